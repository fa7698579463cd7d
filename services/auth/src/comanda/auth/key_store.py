"""The signing keys as they are stored: made, announced, removed and replaced, by one replica at a time."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from comanda.auth.cipher import CipherAtRest, Unreadable
from comanda.auth.claves import Clave, RotacionRechazada, caducadas, objecion_a_rotar, toca_rotar
from comanda.auth.master_keys import MasterKeys
from comanda.auth.repository import Repository
from comanda.auth.repository_claves import RepositoryClaves
from comanda.auth.settings import Settings
from comanda.auth.tables import auditoria
from comanda.common.app import NotReady
from comanda.common.audit import Audit
from comanda.common.clock import Clock
from comanda.common.database import Database
from comanda.common.tokens import SigningKey

RETENTION_MARGIN_SECONDS = 600
"""How much longer than its tokens a retired key is published: verifiers allow for 30 s, and a replica whose clock is
behind, or that was stopped for a while, may have signed with it after its time."""

log = structlog.get_logger()


class KeyStore:
    """Reads and writes the keys. A row that no master key opens is left alone and takes no part.

    Every write is one transaction under the lock that also orders the starts of replicas, and decides by what it reads
    there; so of two replicas that find a rotation due, the second finds it done.
    """

    def __init__(self, settings: Settings, database: Database, master_keys: MasterKeys, clock: Clock) -> None:
        self._database = database
        self._audit = Audit(auditoria, database, clock)
        self._claves = RepositoryClaves()
        self._repository = Repository(database)
        self._cipher = CipherAtRest(master_keys, "signing keys")
        self._clock = clock
        self._announce = timedelta(seconds=settings.key_announce_seconds)
        self._rotate_every = timedelta(days=settings.key_rotation_days)
        self.retention = timedelta(seconds=settings.access_token_seconds + RETENTION_MARGIN_SECONDS)
        """How long a key is published after another one began to sign."""
        self._opened: dict[tuple[str, str], SigningKey | None] = {}

    async def load_or_create(self) -> list[Clave]:
        """The keys in order; the first one is made. Raises `NotReady`: no master key opens any."""
        async with self._alone() as connection:
            stored = await self._readable(connection)
            return stored or [await self._insert(connection, self._clock.now())]

    async def read(self) -> list[Clave]:
        """The keys in order. Raises `NotReady`: no master key opens any."""
        async with self._database.read() as connection:
            return await self._readable(connection)

    async def maintain(self) -> list[Clave]:
        """Removes what has expired, announces a key if it is time, and gives the keys in order. Raises `NotReady`."""
        stored = await self.read()
        if not self._is_due(stored):
            return stored
        async with self._alone() as connection:
            stored, now = await self._readable(connection), self._clock.now()
            if expired := caducadas(stored, now, self.retention):
                await self._remove(connection, expired)
            if stored and toca_rotar(stored, now, self._rotate_every):
                await self._insert(connection, now + self._announce)
            current = await self._readable(connection)
        _tell(stored, current)
        return current

    async def rotate(self) -> Clave:
        """Announces a key; it signs when every verifier has had the time to learn of it.

        Raises:
            RotacionRechazada: another one is announced already, or there are too many.
            NotReady: no master key opens any stored key.
        """
        async with self._alone() as connection:
            stored, now = await self._readable(connection), self._clock.now()
            if reason := objecion_a_rotar(stored, now):
                raise RotacionRechazada(reason)
            return await self._insert(connection, now + self._announce if stored else now)

    async def replace(self) -> tuple[Clave, int]:
        """Withdraws every key and makes one that signs at once; gives it and how many were withdrawn.

        Raises:
            NotReady: no master key opens any stored key: what it would encrypt now, auth could not open.
        """
        async with self._alone() as connection:
            await self._readable(connection)
            withdrawn = await self._claves.leer(connection)
            await self._remove(connection, withdrawn)
            return await self._insert(connection, self._clock.now()), len(withdrawn)

    async def rewrap(self) -> tuple[int, int]:
        """Encrypts anew, with the present master key, whatever was not: how many, and how many none opens.

        Raises:
            NotReady: no master key opens any.
        """
        async with self._alone() as connection:
            readable = await self._readable(connection)
            former = [clave for clave in readable if not clave.privada.startswith(self._cipher.prefix)]
            for clave in former:
                privada = self._cipher.seal(self.signer(clave).to_pem(), clave.kid)
                await self._claves.recifrar(connection, clave.kid, privada)
                await self._audit.tell(connection, "clave_recifrada", clave.kid)
            return len(former), len(await self._claves.leer(connection)) - len(readable)

    def signer(self, clave: Clave) -> SigningKey:
        """The private key of one that was read here."""
        key = self._open(clave)
        assert key is not None  # noqa: S101  # only those that open are given out
        return key

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[AsyncConnection]:
        async with self._database.transaction() as connection:
            await self._repository.serializar_arranque(connection)
            yield connection

    async def _readable(self, connection: AsyncConnection) -> list[Clave]:
        stored = await self._claves.leer(connection)
        opened = {_row(clave): self._open(clave) for clave in stored}
        if stored and not any(opened.values()):
            raise NotReady(
                "AUTH_MASTER_KEY is not the key that encrypted the signing keys in this database: set the one it was "
                "first started with, name it in AUTH_MASTER_KEY_PREVIOUS, or restore keys/master.key in COMANDA_DATA"
            )
        for clave in stored:
            if opened[_row(clave)] is None and _row(clave) not in self._opened:
                log.error("signing_key_unreadable", kid=clave.kid)
        self._opened = opened
        return [clave for clave in stored if opened[_row(clave)] is not None]

    async def _insert(self, connection: AsyncConnection, activa_desde: datetime) -> Clave:
        key = SigningKey.generate()
        if await self._claves.hay_de_antes(connection):
            privada = self._cipher.seal_as_before(key.to_pem())
        else:
            privada = self._cipher.seal(key.to_pem(), key.kid)
        clave = Clave(key.kid, privada, self._clock.now(), activa_desde)
        await self._claves.insertar(connection, clave)
        signs_from = activa_desde.isoformat()
        await self._audit.tell(connection, "clave_creada", clave.kid, activa_desde=signs_from)
        return clave

    async def _remove(self, connection: AsyncConnection, claves: Sequence[Clave]) -> None:
        await self._claves.borrar(connection, claves)
        await self._audit.record(connection, *(self._audit.entry("clave_retirada", clave.kid) for clave in claves))

    def _is_due(self, stored: Sequence[Clave]) -> bool:
        now = self._clock.now()
        return bool(stored) and (
            toca_rotar(stored, now, self._rotate_every) or bool(caducadas(stored, now, self.retention))
        )

    def _open(self, clave: Clave) -> SigningKey | None:
        """Decrypted once, however often it is read; None if no master key fits."""
        if _row(clave) in self._opened:
            return self._opened[_row(clave)]
        try:
            return SigningKey.from_pem(self._cipher.open(clave.privada, clave.kid))
        except (Unreadable, ValueError):
            return None


def _row(clave: Clave) -> tuple[str, str]:
    return clave.kid, clave.privada


def _tell(before: Sequence[Clave], after: Sequence[Clave]) -> None:
    for clave in before:
        if clave not in after:
            log.info("signing_key_removed", kid=clave.kid)
    for clave in after:
        if clave not in before:
            log.info("signing_key_announced", kid=clave.kid, activa_desde=clave.activa_desde.isoformat())
