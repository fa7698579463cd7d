"""Use cases of ending one's own sessions from another one, for which it must be the person who is there."""

import math
from datetime import datetime
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from comanda.auth.credenciales import Credenciales, password_incorrecta
from comanda.auth.domain import activo
from comanda.auth.repository import Repository
from comanda.auth.settings import Settings
from comanda.auth.tables import auditoria
from comanda.common.audit import Audit
from comanda.common.clock import Clock
from comanda.common.database import Database
from comanda.common.problems import NoEncontrado, Problem
from comanda.common.tokens import Principal

log = structlog.get_logger()


class AutenticacionRecienteRequerida(Problem):
    """The log-in of this session is too long ago for what was asked: log in again, or, to end sessions, send the
    password with `POST /auth/yo/sesiones/terminar` (RFC 9470 §3; `max_age` in seconds)."""

    status, slug, title = 401, "autenticacion-reciente-requerida", "Hace falta haber entrado hace poco"

    def __init__(self, max_age: int = 0) -> None:
        challenge = f'Bearer error="insufficient_user_authentication", max_age="{max_age}"'
        super().__init__(
            "Entre de nuevo; para terminar sesiones vale la contraseña, en POST /auth/yo/sesiones/terminar.",
            headers={"WWW-Authenticate": challenge},
        )


class FinDeSesiones:
    """Who holds a stolen token must not throw its owner out everywhere else."""

    def __init__(self, settings: Settings, database: Database, clock: Clock, *, credenciales: Credenciales) -> None:
        self._max_age = settings.reauthentication_seconds
        self._database = database
        self._repository = Repository(database)
        self._clock = clock
        self._audit = Audit(auditoria, database, clock)
        self._credenciales = credenciales

    async def terminar_una(self, persona: Principal, sesion_id: UUID) -> None:
        """Ends a session of that person; one's own always, another soon after the log-in only.

        Raises:
            AutenticacionRecienteRequerida.
            NoEncontrado: there is no such session, or it is somebody else's.
        """
        if str(sesion_id) != persona.session_id:
            exigir_reciente(persona, self._clock.now(), self._max_age)
        async with self._database.transaction() as connection:
            await self._terminar_una(connection, UUID(persona.subject), sesion_id)
        log.info("session_ended", familia_id=str(sesion_id), usuario_id=persona.subject)

    async def terminar_todas(self, persona: Principal) -> None:
        """Ends all sessions of that person; one that is being begun waits for the user's row and stays.

        Raises:
            AutenticacionRecienteRequerida.
        """
        exigir_reciente(persona, self._clock.now(), self._max_age)
        usuario_id = UUID(persona.subject)
        async with self._database.transaction() as connection:
            await self._repository.leer_usuario(connection, usuario_id, bloquear=True)
            await self._terminar_todas(connection, usuario_id, salvo=None)
        log.info("sessions_ended", usuario_id=str(usuario_id))

    async def terminar_con_password(
        self, persona: Principal, *, password: str, sesion_id: UUID | None, origen: str
    ) -> None:
        """Ends that session, or all but the one that asks.

        Raises:
            DatosInvalidos: it is not the password.
            NoEncontrado, NoAutenticado, DemasiadosIntentos, ServicioSaturado.
        """
        usuario_id = UUID(persona.subject)
        async with self._database.read() as connection:
            usuario = activo(await self._repository.leer_usuario(connection, usuario_id))
        await self._credenciales.exigir(
            usuario, password, sesion=persona.session_id, origen=origen, incorrecta=password_incorrecta()
        )
        async with self._database.transaction() as connection:
            ahora = activo(await self._repository.leer_usuario(connection, usuario_id, bloquear=True))
            if ahora.password_hash != usuario.password_hash:
                raise password_incorrecta()  # somebody else changed it meanwhile
            if sesion_id:
                await self._terminar_una(connection, usuario_id, sesion_id)
            else:
                propia = UUID(persona.session_id) if persona.session_id else None
                await self._terminar_todas(connection, usuario_id, salvo=propia)
        log.info("sessions_ended", usuario_id=str(usuario_id), familia_id=sesion_id and str(sesion_id))

    async def _terminar_una(self, connection: AsyncConnection, usuario_id: UUID, sesion_id: UUID) -> None:
        if not await self._repository.terminar_familia_de(connection, usuario_id, sesion_id, self._clock.now()):
            raise NoEncontrado
        await self._audit.tell(connection, "sesion_terminada", usuario_id, sesion=str(sesion_id))

    async def _terminar_todas(self, connection: AsyncConnection, usuario_id: UUID, *, salvo: UUID | None) -> None:
        await self._repository.terminar_familias_de(connection, usuario_id, self._clock.now(), salvo=salvo)
        await self._audit.tell(connection, "sesiones_terminadas", usuario_id)


def exigir_reciente(persona: Principal, ahora: datetime, max_age: int) -> None:
    """Raises `AutenticacionRecienteRequerida` when the log-in is longer ago, or its moment is not known."""
    hace = math.inf if persona.authenticated_at is None else ahora.timestamp() - persona.authenticated_at
    if hace > max_age:
        raise AutenticacionRecienteRequerida(max_age)
