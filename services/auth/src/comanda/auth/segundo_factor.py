"""Use cases of the second factor: setting it up, renewing its recovery codes, removing it."""

from dataclasses import dataclass
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from comanda.auth.credenciales import Credenciales, password_incorrecta
from comanda.auth.domain import Usuario, activo
from comanda.auth.repository import Repository
from comanda.auth.repository_totp import RepositoryTotp
from comanda.auth.segundo_paso import SegundoPaso
from comanda.auth.settings import Settings
from comanda.auth.tables import auditoria
from comanda.auth.totp import (
    Factor,
    SegundoFactorActivo,
    SegundoFactorInactivo,
    codigo_incorrecto,
    en_texto,
    normalizar_codigo,
    nuevo_secreto,
    nuevos_codigos,
    uri,
)
from comanda.common.audit import Audit
from comanda.common.clock import Clock
from comanda.common.database import Database
from comanda.common.problems import NoAutorizado, NoEncontrado

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class EstadoDelFactor:
    activo: bool
    codigos_restantes: int


@dataclass(frozen=True, slots=True)
class FactorPreparado:
    """What the app needs to know, shown once."""

    secreto: str
    uri: str


class SegundoFactor:
    def __init__(
        self,
        settings: Settings,
        database: Database,
        clock: Clock,
        *,
        paso: SegundoPaso,
        credenciales: Credenciales,
    ) -> None:
        self._algoritmo = settings.totp_algorithm
        self._database = database
        self._usuarios = Repository(database)
        self._repository = RepositoryTotp(database)
        self._clock = clock
        self._audit = Audit(auditoria, database, clock)
        self._paso = paso
        self._credenciales = credenciales

    async def consultar(self, usuario_id: UUID) -> EstadoDelFactor:
        """Raises `NoAutenticado`."""
        async with self._database.read() as connection:
            usuario = activo(await self._usuarios.leer_usuario(connection, usuario_id))
            en_vigor = await self._paso.en_vigor(connection, usuario)
            restantes = await self._repository.codigos_restantes(connection, usuario_id)
        return EstadoDelFactor(en_vigor is not None, restantes)

    async def preparar(self, usuario_id: UUID, *, password: str, sesion: UUID | None, origen: str) -> FactorPreparado:
        """Makes a secret, which replaces one that was never confirmed. It is not yet in force.

        Raises:
            SegundoFactorActivo, NoAutenticado, DemasiadosIntentos, ServicioSaturado.
            DatosInvalidos: it is not the password.
        """
        comprobado = await self._comprobar_password(usuario_id, password, sesion, origen)
        secreto = nuevo_secreto(self._algoritmo)
        async with self._database.transaction() as connection:
            usuario = await self._bloquear(connection, usuario_id, comprobado)
            if await self._paso.en_vigor(connection, usuario):
                raise SegundoFactorActivo("Para usar otra aplicación, desactive antes la actual.")
            cifrado = await self._paso.cifrar(connection, secreto, usuario_id)
            factor = Factor(usuario_id, cifrado, None, 0, 0, 0, None, self._clock.now(), self._algoritmo)
            await self._repository.guardar_factor(connection, factor)
        return FactorPreparado(en_texto(secreto), uri(secreto, usuario.email, self._algoritmo))

    async def confirmar(self, usuario_id: UUID, *, codigo: str, sesion: UUID | None, origen: str) -> list[str]:
        """Puts the factor in force and ends every session but that one. Returns the recovery codes.

        Should the answer be lost, `renovar_codigos` gives others.

        Raises:
            SegundoFactorActivo, SegundoFactorInactivo, NoAutenticado, DemasiadosIntentos.
            DatosInvalidos: the code is wrong.
        """
        codigos = nuevos_codigos()
        async with self._database.transaction() as connection:
            await self._bloquear(connection, usuario_id)
            factor = await self._repository.leer_factor(connection, usuario_id)
            if factor is None:
                raise SegundoFactorInactivo("Pida antes un secreto con POST /auth/yo/totp.")
            if factor.activado_en:
                raise SegundoFactorActivo("Si le faltan los códigos de recuperación, pida otros.")
            correcto = await self._paso.gastar_de_app(connection, factor, normalizar_codigo(codigo), origen)
            if correcto:
                await self._repository.activar_factor(connection, usuario_id, self._clock.now())
                await self._guardar_codigos(connection, usuario_id, codigos)
                await self._usuarios.terminar_familias_de(connection, usuario_id, self._clock.now(), salvo=sesion)
                await self._audit.tell(connection, "segundo_factor_activado", usuario_id)
        if not correcto:
            raise codigo_incorrecto()
        log.info("totp_enabled", usuario_id=str(usuario_id), origen=origen)
        return codigos

    async def renovar_codigos(self, usuario_id: UUID, *, codigo: str, origen: str) -> list[str]:
        """New recovery codes; those before are void.

        Raises:
            SegundoFactorInactivo, NoAutenticado, DemasiadosIntentos.
            DatosInvalidos: the code is wrong.
        """
        codigos = nuevos_codigos()
        async with self._database.transaction() as connection:
            usuario = await self._con_factor(connection, usuario_id)
            correcto = await self._paso.exigir(connection, usuario, codigo, origen=origen)
            if correcto:
                await self._guardar_codigos(connection, usuario_id, codigos)
                await self._audit.tell(connection, "codigos_de_recuperacion_renovados", usuario_id)
        if not correcto:
            raise codigo_incorrecto()
        log.info("recovery_codes_renewed", usuario_id=str(usuario_id), origen=origen)
        return codigos

    async def desactivar(
        self, usuario_id: UUID, *, password: str, codigo: str, sesion: UUID | None, origen: str
    ) -> None:
        """Removes the factor and ends every session but that one, which counts as one by password alone from now on.

        Raises:
            SegundoFactorInactivo, NoAutenticado, DemasiadosIntentos, ServicioSaturado.
            DatosInvalidos: the password or the code is wrong.
        """
        comprobado = await self._comprobar_password(usuario_id, password, sesion, origen)
        async with self._database.transaction() as connection:
            usuario = await self._con_factor(connection, usuario_id, comprobado)
            correcto = await self._paso.exigir(connection, usuario, codigo, origen=origen)
            if correcto:
                await self._repository.quitar_factor(connection, usuario_id)
                await self._usuarios.terminar_familias_de(connection, usuario_id, self._clock.now(), salvo=sesion)
                await self._repository.degradar_familias(connection, usuario_id)
                await self._audit.tell(connection, "segundo_factor_quitado", usuario_id)
        if not correcto:
            raise codigo_incorrecto()
        log.info("totp_disabled", usuario_id=str(usuario_id), origen=origen)

    async def quitar(self, usuario_id: UUID, *, actor_id: UUID, origen: str) -> None:
        """Removes the factor of somebody who has lost it, and ends that user's sessions. Nothing to remove is fine.

        Raises:
            NoEncontrado, NoAutenticado.
            NoAutorizado: it is the actor's own, or the actor is no longer an admin.
        """
        if usuario_id == actor_id:
            raise NoAutorizado("El propio se quita con POST /auth/yo/totp/desactivar, que pide un código.")
        async with self._database.transaction() as connection:
            if usuario_id not in await self._usuarios.bloquear_con_admins(connection, usuario_id):
                raise NoEncontrado
            actor = activo(await self._usuarios.leer_usuario(connection, actor_id))
            if actor.rol != "admin":
                raise NoAutorizado
            quitado = await self._repository.quitar_factor(connection, usuario_id)
            if quitado:
                await self._usuarios.terminar_familias_de(connection, usuario_id, self._clock.now())
                await self._audit.tell(connection, "segundo_factor_quitado", usuario_id)
        if quitado:
            log.warning("totp_disabled", usuario_id=str(usuario_id), actor_id=str(actor_id), origen=origen)

    async def _comprobar_password(self, usuario_id: UUID, password: str, sesion: UUID | None, origen: str) -> Usuario:
        async with self._database.read() as connection:
            usuario = activo(await self._usuarios.leer_usuario(connection, usuario_id))
        await self._credenciales.exigir(
            usuario, password, sesion=sesion, origen=origen, incorrecta=password_incorrecta()
        )
        return usuario

    async def _bloquear(
        self, connection: AsyncConnection, usuario_id: UUID, comprobado: Usuario | None = None
    ) -> Usuario:
        """The user, locked. A password that was right a moment ago must still be the one."""
        usuario = activo(await self._usuarios.leer_usuario(connection, usuario_id, bloquear=True))
        if comprobado and usuario.password_hash != comprobado.password_hash:
            raise password_incorrecta()
        return usuario

    async def _con_factor(
        self, connection: AsyncConnection, usuario_id: UUID, comprobado: Usuario | None = None
    ) -> Usuario:
        usuario = await self._bloquear(connection, usuario_id, comprobado)
        if await self._paso.en_vigor(connection, usuario) is None:
            raise SegundoFactorInactivo
        return usuario

    async def _guardar_codigos(self, connection: AsyncConnection, usuario_id: UUID, codigos: list[str]) -> None:
        hashes = [self._paso.hash_de(codigo) for codigo in codigos]
        await self._repository.reemplazar_codigos(connection, usuario_id, hashes, self._paso.llave)
