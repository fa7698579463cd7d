"""Argon2id off the event loop."""

import secrets
from dataclasses import dataclass

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from comanda.auth.domain import PASSWORD_MAX, normalizar_password
from comanda.auth.hashing import HashThreads
from comanda.common.clock import Clock, SystemClock

OURSELVES = ""
"""The source of hashes that nobody asked for from outside."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a password is right; `new_hash` replaces the stored hash when that has outdated parameters."""

    right: bool
    new_hash: str | None = None


class Passwords:
    """Hashes and verifies passwords. The source of a request, and whether it is known, decide its place in the queue.

    Args:
        workers, queue, wait_seconds: those of `HashThreads`.
    """

    def __init__(
        self,
        hasher: PasswordHasher,
        *,
        workers: int,
        queue: int,
        wait_seconds: float = 2,
        clock: Clock | None = None,
    ) -> None:
        self._hasher = hasher
        clock = clock or SystemClock()
        began = clock.monotonic()
        self._nobodys_hash = hasher.hash(secrets.token_urlsafe())
        hash_seconds = clock.monotonic() - began
        self._threads = HashThreads(
            clock, workers=workers, queue=queue, wait_seconds=wait_seconds, hash_seconds=hash_seconds
        )
        self.queues = self._threads.queues

    async def hash(self, password: str, *, source: str = OURSELVES, known: bool = True) -> str:
        """Raises `ServicioSaturado`."""
        return await self._threads.run(
            lambda: self._hasher.hash(normalizar_password(password)), source=source, known=known
        )

    async def verify(
        self, stored: str | None, password: str, *, source: str = OURSELVES, known: bool = True
    ) -> Verdict:
        """Whether the password is the one of the stored hash.

        Without a hash (nobody has that name) the work and the time are the same, and the answer is no.

        Raises:
            ServicioSaturado: too many are waiting already.
        """
        normalised = normalizar_password(password)
        if stored is None or len(normalised) > PASSWORD_MAX:
            nobodys, cut = self._nobodys_hash, normalised[:PASSWORD_MAX]
            await self._threads.run(lambda: self._verify(nobodys, cut), source=source, known=known)
            return Verdict(right=False)
        return await self._threads.run(lambda: self._verify(stored, normalised), source=source, known=known)

    def _verify(self, stored: str, password: str) -> Verdict:
        try:
            self._hasher.verify(stored, password)
        except (VerificationError, InvalidHashError):
            return Verdict(right=False)
        outdated = self._hasher.check_needs_rehash(stored)
        return Verdict(right=True, new_hash=self._hasher.hash(password) if outdated else None)

    async def aclose(self) -> None:
        await self._threads.aclose()
