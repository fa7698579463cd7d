"""Use cases of service accounts: administering them, and giving them tokens (RFC 6749 §4.4)."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from comanda.auth.access_tokens import access_claims
from comanda.auth.domain import ClienteInvalido, limitar
from comanda.auth.domain_clientes import (
    ALCANCES_DE_SERVICIO,
    SECRETOS_MAX,
    SOLAPE,
    CuentaDeServicio,
    DemasiadosSecretos,
    Secreto,
    reconocer,
)
from comanda.auth.keys import SigningKeys
from comanda.auth.origen import lugar
from comanda.auth.refresh_tokens import token_hash
from comanda.auth.repository import Repository
from comanda.auth.repository_clientes import RepositoryClientes
from comanda.auth.repository_terminadas import RepositorioTerminadas
from comanda.auth.settings import Settings
from comanda.auth.tables import auditoria
from comanda.auth.throttling import Throttling
from comanda.common.audit import Audit
from comanda.common.clock import Clock
from comanda.common.conditional import Precondition
from comanda.common.database import Database
from comanda.common.pagination import Page, PageRequest
from comanda.common.problems import NoAutenticado, NoAutorizado, NoEncontrado

PREFIJO = "cmd_"
"""How every secret begins, so that scanners for leaked secrets know one when they see it."""

_NADIE = UUID(int=0)

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Actor:
    """The administrator who asks, and from where."""

    id: UUID
    origen: str


@dataclass(frozen=True, slots=True)
class TokenDeServicio:
    """What a service account gets for its secret; no refresh token, it has its secret (RFC 6749 §4.4.3)."""

    access_token: str
    expires_in: int
    scope: str


class CuentasDeServicio:
    def __init__(
        self, settings: Settings, database: Database, clock: Clock, *, keys: SigningKeys, throttling: Throttling
    ) -> None:
        self._settings = settings
        self._database = database
        self._repository = RepositoryClientes()
        self._usuarios = Repository(database)
        self._terminadas = RepositorioTerminadas(database)
        self._clock = clock
        self._keys = keys
        self._throttling = throttling
        self._audit = Audit(auditoria, database, clock)

    async def conceder(self, client_id: str, secreto: str, *, alcance: str | None, origen: str) -> TokenDeServicio:
        """A token for the account, with its scopes or fewer. Only wrong secrets count against the limits on attempts.

        Who does not exist, is revoked or gives a wrong secret gets the same answer after the same work.

        Raises:
            ClienteInvalido, AlcanceInvalido, DemasiadosIntentos.
        """
        cuenta_id = _leer_id(client_id)
        intento = str(cuenta_id), lugar(origen)
        self._throttling.check_client(*intento)
        ahora = self._clock.now()
        async with self._database.read() as connection:
            cuenta = await self._repository.leer(connection, cuenta_id or _NADIE)
            vigentes = await self._repository.leer_secretos(connection, cuenta_id or _NADIE, ahora)
        usado = reconocer(vigentes, token_hash(secreto))
        # Once more: guesses sent all at the same time have passed the first check together.
        self._throttling.check_client(*intento)
        if cuenta is None or not cuenta.activo or usado is None:
            self._throttling.client_failed(*intento)
            await self._audit.note("cliente_rechazado", cuenta_id or "")
            log.info("client_refused", client_id=cuenta_id and str(cuenta_id), origen=origen)
            raise ClienteInvalido
        concedido = limitar([scope for scope in ALCANCES_DE_SERVICIO if scope in cuenta.alcances], alcance)
        if usado.caduca_en is not None:
            log.info("client_old_secret", client_id=client_id, origen=origen, caduca_en=usado.caduca_en.isoformat())
        if cuenta.falta_anotar(ahora):
            async with self._database.transaction() as connection:
                await self._repository.anotar_uso(connection, cuenta.id, ahora)
        return self._token(cuenta, concedido)

    async def crear(self, *, nombre: str, alcances: tuple[str, ...], actor: Actor) -> tuple[CuentaDeServicio, str]:
        """The new account and its secret, which nobody can learn again. Raises `NoAutenticado`, `NoAutorizado`."""
        ahora = self._clock.now()
        cuenta = CuentaDeServicio(
            id=self._clock.new_id(),
            nombre=nombre,
            alcances=alcances,
            activo=True,
            version=1,
            creado_en=ahora,
            ultimo_uso=None,
        )
        async with self._database.transaction() as connection:
            await self._comprobar(connection, actor)
            await self._repository.insertar(connection, cuenta)
            secreto = await self._nuevo_secreto(connection, cuenta, ahora)
            await self._audit.tell(connection, "cliente_creado", cuenta.id, nombre=nombre, alcances=alcances)
        _anotar("client_created", cuenta, actor, alcances=alcances)
        return cuenta, secreto

    async def consultar(self, cuenta_id: UUID) -> CuentaDeServicio:
        """Raises `NoEncontrado`."""
        async with self._database.read() as connection:
            cuenta = await self._repository.leer(connection, cuenta_id)
        if cuenta is None:
            raise NoEncontrado
        return cuenta

    async def listar(self, page: PageRequest) -> Page[CuentaDeServicio]:
        async with self._database.read() as connection:
            return await self._repository.listar(connection, page)

    async def modificar(
        self, cuenta_id: UUID, cambios: Mapping[str, Any], precondition: Precondition, *, actor: Actor
    ) -> CuentaDeServicio:
        """Changes name or scopes; tokens that were given keep theirs until they expire.

        Raises:
            NoEncontrado, VersionObsoleta, ClienteRevocado, NoAutenticado, NoAutorizado.
        """
        async with self._database.transaction() as connection:
            cuenta = await self._bloquear(connection, cuenta_id, actor)
            precondition.check(cuenta.version)
            cuenta.exigir_activa()
            modificada = cuenta.modificar(cambios)
            if modificada is not cuenta:
                await self._repository.actualizar(connection, modificada)
                await self._audit.tell(connection, "cliente_modificado", cuenta_id, cambios=dict(cambios))
        if modificada is not cuenta:
            _anotar("client_changed", modificada, actor, cambios=dict(cambios))
        return modificada

    async def rotar(self, cuenta_id: UUID, *, inmediato: bool, actor: Actor) -> str:
        """A new secret. The one before goes on working for `SOLAPE`, or ends now.

        Whoever lost the answer asks again: the secret in use keeps the end that the first rotation gave it.

        Raises:
            NoEncontrado, ClienteRevocado, DemasiadosSecretos, NoAutenticado, NoAutorizado.
        """
        ahora = self._clock.now()
        async with self._database.transaction() as connection:
            cuenta = await self._bloquear(connection, cuenta_id, actor)
            cuenta.exigir_activa()
            await self._repository.olvidar_secretos(connection, cuenta_id, caducados_en=None if inmediato else ahora)
            if len(await self._repository.leer_secretos(connection, cuenta_id, ahora)) >= SECRETOS_MAX:
                raise DemasiadosSecretos("Espere a que caduque alguno, o repita con «inmediato»: true.")
            await self._repository.caducar_actual(connection, cuenta_id, ahora + SOLAPE)
            secreto = await self._nuevo_secreto(connection, cuenta, ahora)
            await self._audit.tell(connection, "cliente_secreto_rotado", cuenta_id, inmediato=inmediato)
        _anotar("client_secret_rotated", cuenta, actor, inmediato=inmediato)
        return secreto

    async def revocar(self, cuenta_id: UUID, precondition: Precondition, *, actor: Actor) -> None:
        """No more tokens for it, for ever; those that were given are void as soon as the services learn of it.

        Raises:
            NoEncontrado, VersionObsoleta, NoAutenticado, NoAutorizado.
        """
        async with self._database.transaction() as connection:
            cuenta = await self._bloquear(connection, cuenta_id, actor)
            precondition.check(cuenta.version)
            revocada = cuenta.modificar({"activo": False})
            if revocada is not cuenta:
                await self._repository.actualizar(connection, revocada)
                await self._repository.olvidar_secretos(connection, cuenta_id)
                await self._terminadas.anotar(connection, {cuenta_id: self._clock.now()})
                await self._audit.tell(connection, "cliente_revocado", cuenta_id)
        if revocada is not cuenta:
            _anotar("client_revoked", cuenta, actor)

    async def _bloquear(self, connection: AsyncConnection, cuenta_id: UUID, actor: Actor) -> CuentaDeServicio:
        await self._comprobar(connection, actor)
        cuenta = await self._repository.leer(connection, cuenta_id, bloquear=True)
        if cuenta is None:
            raise NoEncontrado
        return cuenta

    async def _comprobar(self, connection: AsyncConnection, actor: Actor) -> None:
        """A token is older than its owner's fall: a former admin must not make accounts that outlive it.

        Raises:
            NoAutenticado, NoAutorizado.
        """
        usuario = await self._usuarios.leer_usuario(connection, actor.id, bloquear=True)
        if usuario is None or not usuario.activo:
            raise NoAutenticado("La cuenta ya no está activa.")
        if usuario.rol != "admin":
            raise NoAutorizado

    async def _nuevo_secreto(self, connection: AsyncConnection, cuenta: CuentaDeServicio, ahora: datetime) -> str:
        secreto = PREFIJO + secrets.token_urlsafe(32)
        await self._repository.insertar_secreto(connection, Secreto(cuenta.id, token_hash(secreto), ahora, None))
        return secreto

    def _token(self, cuenta: CuentaDeServicio, alcance: str) -> TokenDeServicio:
        client_id = str(cuenta.id)  # without a user the client is the subject (RFC 9068 §2.2)
        claims = access_claims(self._settings, self._clock, sub=client_id, client_id=client_id, scope=alcance)
        return TokenDeServicio(self._keys.sign(claims), self._settings.access_token_seconds, alcance)


def _leer_id(client_id: str) -> UUID | None:
    """The account that it can name. What is none is never logged: it may be a secret in the wrong place."""
    try:
        leido = UUID(client_id)
    except ValueError:
        return None
    return leido if str(leido) == client_id else None


def _anotar(event: str, cuenta: CuentaDeServicio, actor: Actor, **details: Any) -> None:
    log.info(event, client_id=str(cuenta.id), actor_id=str(actor.id), origen=actor.origen, **details)
