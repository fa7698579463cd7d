"""Use cases of auth: accounts. Those of sessions are in `sesiones.py`."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import structlog

from comanda.auth.buzon import Buzon
from comanda.auth.credenciales import Credenciales
from comanda.auth.cuentas_de_servicio import CuentasDeServicio
from comanda.auth.domain import Usuario, activo, debe_quedar_admin
from comanda.auth.fin_de_sesiones import FinDeSesiones
from comanda.auth.keys import SigningKeys
from comanda.auth.origen import lugar
from comanda.auth.origenes import Origenes
from comanda.auth.passkeys import Passkeys
from comanda.auth.passwords import Passwords
from comanda.auth.politica import Politica
from comanda.auth.privacidad import Privacidad, no_borrada
from comanda.auth.recuperacion import Recuperacion
from comanda.auth.repository import Repository
from comanda.auth.segundo_factor import SegundoFactor
from comanda.auth.segundo_paso import SegundoPaso
from comanda.auth.sesiones import Sesiones
from comanda.auth.tables import auditoria
from comanda.auth.terminadas import Terminadas
from comanda.auth.throttling import Throttling
from comanda.auth.totp import codigo_incorrecto
from comanda.common.audit import Audit
from comanda.common.clock import Clock
from comanda.common.conditional import Precondition
from comanda.common.database import Database
from comanda.common.pagination import Page, PageRequest
from comanda.common.problems import DatosInvalidos, NoAutorizado, NoEncontrado

log = structlog.get_logger()


class Cuentas:
    """Who can log in, and as what."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        passwords: Passwords,
        politica: Politica,
        throttling: Throttling,
        credenciales: Credenciales,
        paso: SegundoPaso,
        buzon: Buzon,
        origenes: Origenes,
    ) -> None:
        self._database = database
        self._repository = Repository(database)
        self._clock = clock
        self._audit = Audit(auditoria, database, clock)
        self._passwords = passwords
        self._politica = politica
        self._throttling = throttling
        self._credenciales = credenciales
        self._paso = paso
        self._buzon = buzon
        self._origenes = origenes

    async def registrar(self, *, email: str, password: str, nombre: str, origen: str) -> Usuario:
        """Raises `EmailEnUso`, `DatosInvalidos` (the password), `DemasiadosIntentos`, `ServicioSaturado`."""
        sitio = lugar(origen)
        self._throttling.registration(sitio)
        await self._politica.exigir("password", password, email=email, nombre=nombre)
        ahora = self._clock.now()
        usuario = Usuario(
            id=self._clock.new_id(),
            email=email,
            nombre=nombre,
            rol="cliente",
            activo=True,
            password_hash=await self._passwords.hash(password, source=sitio, known=False),
            version=1,
            creado_en=ahora,
            actualizado_en=ahora,
        )
        async with self._database.transaction() as connection:
            await self._repository.insertar_usuario(connection, usuario)
            await self._audit.tell(connection, "usuario_registrado", usuario.id)
            await self._buzon.echar(connection, usuario.id, "verificar")
        return usuario

    async def consultar_propio(self, usuario_id: UUID) -> Usuario:
        """Raises `NoAutenticado` when the account was deactivated after its token was issued."""
        async with self._database.read() as connection:
            return activo(await self._repository.leer_usuario(connection, usuario_id))

    async def modificar_propio(
        self, usuario_id: UUID, cambios: Mapping[str, Any], precondition: Precondition
    ) -> Usuario:
        """Raises `NoAutenticado`, `VersionObsoleta`."""
        async with self._database.transaction() as connection:
            usuario = activo(await self._repository.leer_usuario(connection, usuario_id, bloquear=True))
            precondition.check(usuario.version)
            modificado = usuario.modificar(cambios, self._clock.now())
            if modificado is not usuario:
                await self._repository.actualizar_usuario(connection, modificado)
        return modificado

    async def cambiar_password(
        self,
        usuario_id: UUID,
        *,
        actual: str,
        nueva: str,
        codigo: str | None = None,
        sesion: UUID | None,
        origen: str,
    ) -> None:
        """Changes the password and ends every session but that one.

        Raises:
            DatosInvalidos: `actual` is not the password, `nueva` is not good enough, or the account has a second factor
                and `codigo` is missing or wrong.
            NoAutenticado, DemasiadosIntentos, ServicioSaturado.
        """
        usuario = await self.consultar_propio(usuario_id)
        await self._politica.exigir("nueva", nueva, email=usuario.email, nombre=usuario.nombre)
        await self._credenciales.exigir(
            usuario, actual, sesion=sesion, origen=origen, incorrecta=_password_incorrecto()
        )
        nuevo_hash = await self._passwords.hash(nueva, source=lugar(origen))
        async with self._database.transaction() as connection:
            ahora = activo(await self._repository.leer_usuario(connection, usuario_id, bloquear=True))
            if ahora.password_hash != usuario.password_hash:
                raise _password_incorrecto()  # somebody else changed it meanwhile
            correcto = await self._paso.exigir(connection, ahora, codigo, origen=origen)
            if correcto:
                await self._repository.actualizar_usuario(connection, replace(ahora, password_hash=nuevo_hash))
                await self._repository.terminar_familias_de(connection, usuario_id, self._clock.now(), salvo=sesion)
                await self._origenes.olvidar(connection, usuario_id)
                await self._origenes.recordar(connection, usuario, origen)
                await self._buzon.echar(connection, usuario_id, "aviso-password")
                await self._audit.tell(connection, "password_cambiada", usuario_id)
        if not correcto:
            raise codigo_incorrecto()
        log.info("password_changed", usuario_id=str(usuario_id))

    async def consultar(self, usuario_id: UUID) -> Usuario:
        """Raises `NoEncontrado`."""
        async with self._database.read() as connection:
            usuario = await self._repository.leer_usuario(connection, usuario_id)
        if usuario is None:
            raise NoEncontrado
        return usuario

    async def listar(self, page: PageRequest) -> Page[Usuario]:
        async with self._database.read() as connection:
            return await self._repository.listar_usuarios(connection, page)

    async def gestionar(
        self, usuario_id: UUID, cambios: Mapping[str, Any], precondition: Precondition, *, actor_id: UUID
    ) -> Usuario:
        """Changes somebody's role or state. Deactivating ends all sessions, and so does a lower role.

        Raises:
            NoEncontrado, VersionObsoleta, UltimoAdmin, CuentaBorrada.
            NoAutenticado, NoAutorizado: the actor's token is older than the actor's own fall.
        """
        async with self._database.transaction() as connection:
            bloqueados = await self._repository.bloquear_con_admins(connection, usuario_id)
            usuario = bloqueados.get(usuario_id)
            if usuario is None:
                raise NoEncontrado
            precondition.check(usuario.version)
            modificado = usuario.modificar(cambios, self._clock.now())
            debe_quedar_admin({**bloqueados, usuario_id: modificado})
            actor = activo(await self._repository.leer_usuario(connection, actor_id))
            if actor.rol != "admin":
                raise NoAutorizado
            if modificado is not usuario:
                no_borrada(usuario)
                await self._repository.actualizar_usuario(connection, modificado)
                await self._audit.tell(connection, "usuario_modificado", usuario_id, cambios=dict(cambios))
            if not modificado.activo or (usuario.rol, modificado.rol) == ("admin", "cliente"):
                await self._repository.terminar_familias_de(connection, usuario_id, self._clock.now())
        log.info("user_managed", usuario_id=str(usuario_id), actor_id=str(actor_id), cambios=dict(cambios))
        return modificado


@dataclass(frozen=True, slots=True)
class Auth:
    """What the routes reach: the use cases, and the keys for who verifies tokens."""

    cuentas: Cuentas
    sesiones: Sesiones
    fin_de_sesiones: FinDeSesiones
    terminadas: Terminadas
    segundo_factor: SegundoFactor
    passkeys: Passkeys
    cuentas_de_servicio: CuentasDeServicio
    recuperacion: Recuperacion
    privacidad: Privacidad
    buzon: Buzon
    keys: SigningKeys


def _password_incorrecto() -> DatosInvalidos:
    return DatosInvalidos.of("actual", "No es la contraseña actual.")
