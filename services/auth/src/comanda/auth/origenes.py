"""From where each account has logged in before. Kept in the database, so that all replicas and a restart know it."""

import hmac
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from comanda.auth.domain import Usuario, clave_de_email
from comanda.auth.origen import lugar
from comanda.auth.repository import SWEEP_ROWS
from comanda.auth.repository_origenes import RepositorioOrigenes
from comanda.auth.settings import Settings
from comanda.common.clock import Clock
from comanda.common.database import Database

MAX_PER_ACCOUNT = 20
"""Places remembered of an account; the one that was not used for longest is forgotten first."""

FRESH = timedelta(days=1)
"""So long a place need not be written again."""


class Origenes:
    """Known places.

    Args:
        secrets: keys of the fingerprints (HMAC-SHA256), the same in all replicas: the first one writes, all of them
            find. With the email in them, the database neither tells an address nor that two accounts share one.
    """

    def __init__(self, settings: Settings, database: Database, clock: Clock, secrets: Sequence[bytes]) -> None:
        self._settings = settings
        self._database = database
        self._repository = RepositorioOrigenes(database)
        self._clock = clock
        self._secrets = secrets

    async def buscar(self, email: str, origen: str) -> tuple[Usuario | None, datetime | None]:
        """Who has that email, and when they last logged in from there, None if not lately. The same work for nobody."""
        usuario: Usuario | None = None
        visto: datetime | None = None
        async with self._database.read() as connection:
            for secret in self._secrets:
                usuario, visto = await self._repository.leer_con_usuario(
                    connection, clave_de_email(email), _huella(secret, email, origen), self._desde()
                )
                if visto is not None:
                    break
        return usuario, visto

    async def recordar(
        self, connection: AsyncConnection, usuario: Usuario, origen: str, visto: datetime | None = None
    ) -> None:
        """That user, whose row the caller has locked, has logged in from there; last before that, `visto`."""
        ahora = self._clock.now()
        if visto is not None and ahora - visto < FRESH:
            return
        await self._repository.guardar(connection, usuario.id, _huella(self._secrets[0], usuario.email, origen), ahora)
        await self._repository.recortar(connection, usuario.id, self._desde(), MAX_PER_ACCOUNT)

    async def olvidar(self, connection: AsyncConnection, usuario_id: UUID) -> None:
        """Forgets all places of that user: who knew the old password may have been somebody else."""
        await self._repository.borrar(connection, usuario_id)

    async def barrer(self) -> None:
        """The loop that removes places which count no longer."""
        while True:
            async with self._database.transaction() as connection:
                barridos = await self._repository.barrer(connection, self._desde())
            if barridos < SWEEP_ROWS:
                await self._clock.sleep(self._settings.sweep_seconds)

    def _desde(self) -> datetime:
        return self._clock.now() - timedelta(days=self._settings.known_source_days)


def _huella(secret: bytes, email: str, origen: str) -> str:
    return hmac.digest(secret, f"{clave_de_email(email)} {lugar(origen)}".encode(), "sha256").hex()
