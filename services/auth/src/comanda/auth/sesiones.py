"""Use cases of sessions: logging in, staying logged in, logging out."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from comanda.auth.access_tokens import access_claims
from comanda.auth.credenciales import Credenciales
from comanda.auth.domain import ConcesionInvalida, Familia, Rol, Usuario, conceder, es_email, nombre_de_dispositivo
from comanda.auth.keys import SigningKeys
from comanda.auth.origenes import Origenes
from comanda.auth.passwords import Verdict
from comanda.auth.refresh_tokens import RefreshTokens, token_hash
from comanda.auth.repository import SWEEP_ROWS, Repository
from comanda.auth.segundo_paso import SegundoPaso
from comanda.auth.settings import Settings
from comanda.auth.tables import auditoria
from comanda.auth.totp import PWD, PWD_OTP, SegundoFactorRequerido, rol_con
from comanda.common.audit import Audit
from comanda.common.clock import Clock
from comanda.common.database import Database
from comanda.common.pagination import Page, PageRequest

_REFRESCO = "El refresh_token no es, o ya no es, correcto."

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a client gets for its credentials."""

    access_token: str
    expires_in: int
    refresh_token: str
    scope: str
    sesion_segundos: int
    """What is left of the session."""


class Sesiones:
    def __init__(
        self,
        settings: Settings,
        database: Database,
        clock: Clock,
        *,
        keys: SigningKeys,
        refresh_tokens: RefreshTokens,
        credenciales: Credenciales,
        paso: SegundoPaso,
        origenes: Origenes,
    ) -> None:
        self._settings = settings
        self._database = database
        self._repository = Repository(database)
        self._clock = clock
        self._audit = Audit(auditoria, database, clock)
        self._keys = keys
        self._refresh_tokens = refresh_tokens
        self._credenciales = credenciales
        self._paso = paso
        self._origenes = origenes

    async def iniciar(
        self, email: str, password: str, *, alcance: str | None, client_id: str, origen: str, dispositivo: str = ""
    ) -> Tokens:
        """Begins a session, unless the account has a second factor: then `completar` does.

        Who does not exist, is deactivated or gives a wrong password gets the same answer after the same work.

        Raises:
            SegundoFactorRequerido: the password is right, and a code is needed.
            ConcesionInvalida, AlcanceInvalido, DemasiadosIntentos, ServicioSaturado.
        """
        usuario, visto = None, None
        if es_email(email):
            usuario, visto = await self._origenes.buscar(email, origen)
        verdict = await self._credenciales.comprobar(
            usuario, password, email=email, origen=origen, conocido=visto is not None
        )
        if usuario is None or not verdict.right:
            log.info("login_failed", usuario_id=usuario and str(usuario.id), origen=origen)
            await self._audit.note("login_fallido", usuario.id if usuario else "")
            raise ConcesionInvalida
        conceder(usuario.rol, None, alcance)  # what cannot be granted is refused now, not after a second step
        async with self._database.transaction() as connection:
            usuario = await self._confirmar(connection, usuario, verdict)
            mfa_token = await self._paso.pendiente(connection, usuario, client_id=client_id, alcance=alcance)
            if mfa_token is None:
                await self._origenes.recordar(connection, usuario, origen, visto)
                return await self._nueva_sesion(connection, usuario, client_id, alcance, PWD, dispositivo)
        raise SegundoFactorRequerido(mfa_token=mfa_token)

    async def completar(
        self, mfa_token: str, codigo: str, *, de_recuperacion: bool, origen: str, dispositivo: str = ""
    ) -> Tokens:
        """Begins the session whose password was right.

        Raises:
            ConcesionInvalida, AlcanceInvalido, DemasiadosIntentos.
        """
        login = self._paso.leer(mfa_token)
        async with self._database.transaction() as connection:
            leido = await self._repository.leer_usuario(connection, login.usuario_id, bloquear=True)
            usuario = await self._paso.superar(
                connection, leido, login, codigo, de_recuperacion=de_recuperacion, origen=origen
            )
            if usuario:
                await self._origenes.recordar(connection, usuario, origen)
                return await self._nueva_sesion(
                    connection, usuario, login.client_id, login.alcance, PWD_OTP, dispositivo
                )
        raise ConcesionInvalida("El codigo no es correcto, ha caducado o ya se ha usado: espere al siguiente.")

    async def abrir(
        self, connection: AsyncConnection, usuario: Usuario, *, amr: str, client_id: str, dispositivo: str
    ) -> Tokens:
        """Begins the session of somebody who has shown who it is, in the transaction that has locked the user's row."""
        return await self._nueva_sesion(connection, usuario, client_id, None, amr, dispositivo)

    async def _confirmar(self, connection: AsyncConnection, usuario: Usuario, verdict: Verdict) -> Usuario:
        """Whoever changed the password or was deactivated while the hash was computed gets no session any more."""
        ahora = await self._repository.leer_usuario(connection, usuario.id, bloquear=True)
        if ahora is None or not ahora.activo or ahora.password_hash != usuario.password_hash:
            raise ConcesionInvalida
        if verdict.new_hash is not None:
            ahora = replace(ahora, password_hash=verdict.new_hash)
            await self._repository.actualizar_usuario(connection, ahora)
        return ahora

    async def _nueva_sesion(
        self,
        connection: AsyncConnection,
        usuario: Usuario,
        client_id: str,
        alcance: str | None,
        amr: str,
        dispositivo: str,
    ) -> Tokens:
        concedido = conceder(self._rol(usuario, amr), None, alcance)
        familia = self._nueva_familia(usuario, client_id, alcance and concedido, amr, dispositivo)
        await self._repository.insertar_familia(connection, familia)
        await self._audit.tell(connection, "sesion_iniciada", usuario.id, sesion=str(familia.id), amr=amr)
        return self._tokens(usuario, familia, concedido)

    def _rol(self, usuario: Usuario, amr: str | None) -> Rol | None:
        settings = self._settings
        return rol_con(amr, usuario.rol, de_admins=settings.admin_mfa_required, de_todos=settings.mfa_required)

    def _nueva_familia(
        self, usuario: Usuario, client_id: str, alcance: str | None, amr: str, dispositivo: str
    ) -> Familia:
        ahora = self._clock.now()
        familia_id = self._clock.new_id()
        return Familia(
            id=familia_id,
            usuario_id=usuario.id,
            client_id=client_id,
            alcance=alcance,
            generacion=0,
            token_hash=token_hash(self._refresh_tokens.write(familia_id, 0)),
            rotada_en=ahora,
            creada_en=ahora,
            expira_en=self._fin(ahora, ahora),
            amr=amr,
            dispositivo=nombre_de_dispositivo(dispositivo),
        )

    def _fin(self, creada_en: datetime, ahora: datetime) -> datetime:
        """When a session ends that is used now: so long after its log-in, and so long after this use, at the latest."""
        vida = timedelta(seconds=self._settings.refresh_token_seconds)
        return min(creada_en + vida, ahora + timedelta(seconds=self._settings.session_idle_seconds))

    async def renovar(self, refresh_token: str, *, alcance: str | None) -> Tokens:
        """Exchanges a refresh token for its successor. Raises `ConcesionInvalida`, `AlcanceInvalido`.

        A token that comes back when its successor was used, or later than a moment after its rotation, has been
        copied: nobody can tell which of the two holders is the thief, so the session ends for both.
        """
        familia_id, generacion = self._leer(refresh_token)
        ahora = self._clock.now()
        async with self._database.transaction() as connection:
            familia = await self._repository.leer_familia(connection, familia_id)
            if familia is None or familia.ha_caducado(ahora):
                raise ConcesionInvalida(_REFRESCO)
            renovada = await self._canjear(connection, familia, generacion, refresh_token, ahora)
            usuario = await self._repository.leer_usuario(connection, familia.usuario_id)
            if renovada and usuario and usuario.activo:
                concedido = conceder(self._rol(usuario, familia.amr), familia.alcance, alcance)
                return self._tokens(usuario, renovada, concedido)
        raise ConcesionInvalida(_REFRESCO)

    async def _canjear(
        self, connection: AsyncConnection, familia: Familia, generacion: int, refresh_token: str, ahora: datetime
    ) -> Familia | None:
        """The session with its current token, rotated unless it just was; None if this use has ended it."""
        if familia.es_actual(generacion, token_hash(refresh_token)):
            sucesor = self._refresh_tokens.write(familia.id, generacion + 1)
            renovada = familia.rotar(token_hash(sucesor), ahora, self._fin(familia.creada_en, ahora))
            await self._repository.actualizar_familia(connection, renovada)
            return renovada
        if familia.admite_repeticion(generacion, ahora):
            return familia
        await self._repository.terminar_familia(connection, familia.id, ahora)
        await self._audit.tell(connection, "refresh_reutilizado", familia.usuario_id, sesion=str(familia.id))
        log.warning("refresh_reuse", familia_id=str(familia.id), usuario_id=str(familia.usuario_id))
        return None

    async def terminar(self, refresh_token: str) -> None:
        """Ends the session of a refresh token, current or not; anything else is nothing to end (RFC 7009 §2.2)."""
        leido = self._refresh_tokens.read(refresh_token)
        if leido is None:
            return
        async with self._database.transaction() as connection:
            usuario_id = await self._repository.terminar_familia(connection, leido[0], self._clock.now())
            if usuario_id:
                await self._audit.tell(connection, "sesion_terminada", usuario_id, sesion=str(leido[0]))
        if usuario_id:
            log.info("session_ended", familia_id=str(leido[0]), usuario_id=str(usuario_id))

    async def listar(self, usuario_id: UUID, page: PageRequest) -> Page[Familia]:
        """A user's sessions, the latest first."""
        async with self._database.read() as connection:
            return await self._repository.listar_familias(connection, usuario_id, self._clock.now(), page)

    async def barrer(self) -> None:
        """The loop that removes expired sessions."""
        while True:
            async with self._database.transaction() as connection:
                barridas = await self._repository.barrer_familias(connection, self._clock.now())
            if barridas < SWEEP_ROWS:
                await self._clock.sleep(self._settings.sweep_seconds)

    def _leer(self, refresh_token: str) -> tuple[UUID, int]:
        leido = self._refresh_tokens.read(refresh_token)
        if leido is None:
            raise ConcesionInvalida(_REFRESCO)
        return leido

    def _tokens(self, usuario: Usuario, familia: Familia, alcance: str) -> Tokens:
        queda = int((familia.expira_en - self._clock.now()).total_seconds())
        vida = max(1, min(self._settings.access_token_seconds, queda))  # no token outlives its session
        claims = access_claims(
            self._settings,
            self._clock,
            life_seconds=vida,
            sub=str(usuario.id),
            client_id=familia.client_id,
            scope=alcance,
            sid=str(familia.id),
            amr=(familia.amr or PWD).split(),
            auth_time=int(familia.creada_en.timestamp()),
        )
        return Tokens(
            access_token=self._keys.sign(claims),
            expires_in=vida,
            refresh_token=self._refresh_tokens.rewrite(familia.id, familia.generacion, familia.token_hash),
            scope=alcance,
            sesion_segundos=int((familia.expira_en - self._clock.now()).total_seconds()),
        )
