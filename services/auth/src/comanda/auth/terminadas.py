"""Use cases of what has ended: telling the other services, and refusing here what they would refuse."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import structlog

from comanda.auth.repository_terminadas import SWEEP_ROWS, RepositorioTerminadas
from comanda.auth.settings import Settings
from comanda.common.clock import Clock
from comanda.common.database import Database
from comanda.common.principal import Principal
from comanda.common.revocation import MAX_ENDED

MARGIN_SECONDS = 60
"""Kept longer than an access token lives: the leeway of those who verify (30 s), what clocks of replicas differ, and
what a refresh waits for its session (2 s)."""

log = structlog.get_logger()


class Terminadas:
    def __init__(self, settings: Settings, database: Database, clock: Clock) -> None:
        self._database = database
        self._repository = RepositorioTerminadas(database)
        self._clock = clock
        self._vigencia = timedelta(seconds=settings.access_token_seconds + MARGIN_SECONDS)
        self._pause_seconds = settings.sweep_seconds

    async def edicion(self) -> str:
        """Another text whenever `listar` answers something else, at a small part of its cost."""
        async with self._database.read() as connection:
            return await self._repository.edicion(connection, self._clock.now() - self._vigencia)

    async def listar(self) -> Sequence[UUID]:
        """Sessions and service accounts that have ended and whose last token may be alive, the latest first."""
        async with self._database.read() as connection:
            ids = await self._repository.listar(connection, self._clock.now() - self._vigencia, MAX_ENDED + 1)
        if len(ids) > MAX_ENDED:
            log.error("ended_sessions_overflow", published=MAX_ENDED)  # the tokens of the oldest die by themselves
        return ids[:MAX_ENDED]

    async def ended(self, principal: Principal) -> bool:
        """Whether the session, or the service account, that a token was given to has ended, as of now."""
        if principal.is_service:
            return False
        try:
            uno = UUID(principal.session_id or principal.subject)
        except ValueError:
            return False
        async with self._database.read() as connection:
            return await self._repository.contiene(connection, uno)

    async def barrer(self) -> None:
        """The loop that forgets what no living token was given to."""
        while True:
            async with self._database.transaction() as connection:
                barridas = await self._repository.barrer(connection, self._clock.now() - self._vigencia)
            if barridas < SWEEP_ROWS:
                await self._clock.sleep(self._pause_seconds)
