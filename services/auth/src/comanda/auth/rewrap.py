"""Replacing the master key: what is stored is encrypted anew with the present one, and what is left to former ones."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import structlog

from comanda.auth.cipher import CipherAtRest, Unreadable
from comanda.auth.key_store import KeyStore
from comanda.auth.master_keys import MasterKeys
from comanda.auth.refresh_tokens import RefreshTokens
from comanda.auth.repository_rewrap import RepositoryRewrap
from comanda.auth.segundo_paso import TOTP_SECRETS
from comanda.auth.settings import Settings
from comanda.common.clock import Clock
from comanda.common.database import Database

BATCH = 500
"""Rows read at once."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Rewrapped:
    """What was done, and what still needs a former master key."""

    llave: str
    claves: int
    factores: int
    """Encrypted anew by this run."""
    ilegibles: int
    """Keys and factors that no master key opens."""
    sesiones: int
    """Whose refresh token a former key wrote; their next refresh makes it one of the present key."""
    fin: datetime | None
    """When the last of those sessions ends."""
    cuentas: int
    """With recovery codes that a former key keeps; only their owners can replace them."""


class Rewrap:
    """One short transaction for the signing keys, and one for each factor: it may die between any two, and run twice.

    Whatever it finds done it leaves alone. Run it when every replica writes under the present key.
    """

    def __init__(self, settings: Settings, database: Database, master_keys: MasterKeys, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._master_keys = master_keys
        self._repository = RepositoryRewrap()
        self._store = KeyStore(settings, database, master_keys, clock)
        self._cipher = CipherAtRest(master_keys, TOTP_SECRETS)
        self._refresh_tokens = RefreshTokens(*master_keys.derive("refresh tokens"))

    async def run(self) -> Rewrapped:
        """Raises `NotReady`: no master key opens any signing key."""
        # First the keys: while one is encrypted as by the release before, new factors are, too.
        claves, ilegibles = await self._store.rewrap()
        factores, perdidos = await self._factores()
        cuentas = await self._codigos()
        sesiones, fin = await self._sesiones()
        return Rewrapped(self._master_keys.id, claves, factores, ilegibles + perdidos, sesiones, fin, cuentas)

    async def _factores(self) -> tuple[int, int]:
        """How many were encrypted anew, and how many no key opens."""
        done, lost, last = 0, 0, None
        while True:
            async with self._database.read() as connection:
                batch = await self._repository.con_factor_de_otra(connection, self._cipher.prefix, last, BATCH)
            for usuario_id in batch:
                try:
                    done += await self._factor(usuario_id)
                except Unreadable:
                    lost += 1
                    log.error("totp_secret_unreadable", usuario_id=str(usuario_id))
            if len(batch) < BATCH:
                return done, lost
            last = batch[-1]

    async def _factor(self, usuario_id: UUID) -> bool:
        """Whether there was something to do. Raises `Unreadable`."""
        async with self._database.transaction() as connection:
            secreto = await self._repository.leer_secreto(connection, usuario_id)
            if secreto is None or secreto.startswith(self._cipher.prefix):
                return False  # removed or written anew meanwhile
            content = self._cipher.open(secreto, str(usuario_id))
            await self._repository.guardar_secreto(connection, usuario_id, self._cipher.seal(content, str(usuario_id)))
        return True

    async def _codigos(self) -> int:
        async with self._database.transaction() as connection:
            if not self._master_keys.others:
                await self._repository.fijar_llave(connection, self._master_keys.id)
            return await self._repository.con_codigos_de_otra(connection, self._master_keys.id)

    async def _sesiones(self) -> tuple[int, datetime | None]:
        """Sessions of former keys, and when the last of them ends."""
        count, end, last, now = 0, None, None, self._clock.now()
        while True:
            async with self._database.read() as connection:
                batch = await self._repository.leer_sesiones(connection, now, last, BATCH)
            for familia_id, generacion, huella, expira_en in batch:
                if self._refresh_tokens.is_former(familia_id, generacion, huella):
                    count, end = count + 1, max(end or expira_en, expira_en)
            if len(batch) < BATCH:
                return count, end
            last = batch[-1].id
