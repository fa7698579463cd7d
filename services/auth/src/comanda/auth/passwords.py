"""Argon2id off the event loop, bounded in how much of it runs and how much waits."""

import asyncio
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import BoundedSemaphore
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from comanda.auth.domain import PASSWORD_MAX, normalizar_password
from comanda.common.problems import ServicioSaturado

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a password is right; `new_hash` replaces the stored hash when that has outdated parameters."""

    right: bool
    new_hash: str | None = None


class Passwords:
    """Hashes and verifies passwords.

    Args:
        workers: threads, each busy with one hash.
        queue: hashes that may wait for a thread; beyond that callers are refused at once.
    """

    def __init__(self, hasher: PasswordHasher, *, workers: int, queue: int) -> None:
        self._hasher = hasher
        self._executor = ThreadPoolExecutor(workers, thread_name_prefix="argon2")
        self._places = BoundedSemaphore(workers + queue)
        self._nobodys_hash = hasher.hash(secrets.token_urlsafe())

    async def hash(self, password: str) -> str:
        """Raises `ServicioSaturado`."""
        return await self._run(lambda: self._hasher.hash(normalizar_password(password)))

    async def verify(self, stored: str | None, password: str) -> Verdict:
        """Whether the password is the one of the stored hash.

        Without a hash (nobody has that name) the work and the time are the same, and the answer is no.

        Raises:
            ServicioSaturado: too many are waiting already.
        """
        normalised = normalizar_password(password)
        if stored is None or len(normalised) > PASSWORD_MAX:
            await self._run(lambda: self._verify(self._nobodys_hash, normalised[:PASSWORD_MAX]))
            return Verdict(right=False)
        return await self._run(lambda: self._verify(stored, normalised))

    def _verify(self, stored: str, password: str) -> Verdict:
        try:
            self._hasher.verify(stored, password)
        except (VerificationError, InvalidHashError):
            return Verdict(right=False)
        outdated = self._hasher.check_needs_rehash(stored)
        return Verdict(right=True, new_hash=self._hasher.hash(password) if outdated else None)

    async def _run(self, work: Callable[[], Result]) -> Result:
        if not self._places.acquire(blocking=False):
            raise ServicioSaturado
        future = self._executor.submit(work)
        # Also when the caller has left: a thread that has begun cannot be stopped, so its place stays taken.
        future.add_done_callback(lambda _: self._places.release())
        return await asyncio.wrap_future(future)

    async def aclose(self) -> None:
        self._executor.shutdown(wait=False, cancel_futures=True)
