"""Use cases of who forgot a password, and of who shows that an address is theirs."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from comanda.auth.buzon import Buzon
from comanda.auth.domain import Usuario, clave_de_email
from comanda.auth.enlaces import Enlace, Enlaces
from comanda.auth.origen import lugar
from comanda.auth.origenes import Origenes
from comanda.auth.passwords import Passwords
from comanda.auth.politica import Politica
from comanda.auth.repository import Repository
from comanda.auth.repository_passkeys import RepositoryPasskeys
from comanda.auth.tables import auditoria
from comanda.auth.throttling import Throttling
from comanda.common.audit import Audit
from comanda.common.clock import Clock
from comanda.common.database import Database
from comanda.common.problems import NoAutenticado, Problem

log = structlog.get_logger()


class CorreoNoDisponible(Problem):
    """This installation sends no mail (`AUTH_SMTP_URL` is not set): an administrator can set a password."""

    status, slug, title = 503, "servicio-no-disponible", "Un servicio necesario no está disponible"
    extra_schema: ClassVar[Mapping[str, Any]] = {"servicio": {"type": "string"}}

    def __init__(self) -> None:
        super().__init__("Aquí no se envía correo: diríjase a quien administra la tienda.", servicio="correo")


class Recuperacion:
    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        buzon: Buzon,
        enlaces: Enlaces,
        passwords: Passwords,
        politica: Politica,
        throttling: Throttling,
        origenes: Origenes,
    ) -> None:
        self._database = database
        self._repository = Repository(database)
        self._passkeys = RepositoryPasskeys(database)
        self._clock = clock
        self._buzon = buzon
        self._enlaces = enlaces
        self._passwords = passwords
        self._politica = politica
        self._throttling = throttling
        self._origenes = origenes
        self._audit = Audit(auditoria, database, clock)

    async def olvidada(self, email: str, *, origen: str) -> None:
        """Has a link sent to whoever has that address, unless it got several lately.

        Neither the answer nor the work until then tells whether somebody has it: one statement writes one row and is
        committed in both cases. Who has it is asked when the row's turn comes.

        Raises:
            CorreoNoDisponible, DemasiadosIntentos.
        """
        if not self._buzon.abierto:
            raise CorreoNoDisponible
        self._throttling.forgotten_password(lugar(origen))
        if not self._throttling.reset_mail(clave_de_email(email)):
            return
        async with self._database.transaction() as connection:
            await self._buzon.echar_para_email(connection, email, "restablecer")
            await self._audit.tell(connection, "password_olvidada")

    async def restablecer(self, token: str, nueva: str, *, origen: str) -> None:
        """Sets the password, ends every session and removes every passkey: whoever has added one is out.

        Who could read the link has the address, so that is verified too.

        Raises:
            EnlaceInvalido: of two uses at once, the second to get the user's row meets another password.
            DatosInvalidos: `nueva` is not good enough.
            ServicioSaturado.
        """
        enlace = self._enlaces.leer("restablecer", token)
        usuario = await self._comprobar(enlace)
        await self._politica.exigir("nueva", nueva, email=usuario.email, nombre=usuario.nombre)
        nuevo_hash = await self._passwords.hash(nueva, source=lugar(origen), known=False)
        async with self._database.transaction() as connection:
            ahora = self._clock.now()
            usuario = await self._bloquear(connection, enlace, ahora)
            verificado = usuario.modificar({"email_verificado_en": usuario.email_verificado_en or ahora}, ahora)
            await self._repository.actualizar_usuario(connection, replace(verificado, password_hash=nuevo_hash))
            await self._repository.terminar_familias_de(connection, usuario.id, ahora)
            await self._passkeys.quitar_todas(connection, usuario.id)
            await self._origenes.olvidar(connection, usuario.id)
            await self._origenes.recordar(connection, usuario, origen)
            await self._buzon.echar(connection, usuario.id, "aviso-password")
            await self._audit.tell(connection, "password_restablecida", usuario.id)
        log.info("password_reset", usuario_id=str(usuario.id))

    async def pedir_verificacion(self, usuario_id: UUID) -> None:
        """Has a link sent to one's own address; nothing if it is verified already.

        Raises:
            CorreoNoDisponible, DemasiadosIntentos.
            NoAutenticado: the account was deactivated after its token was issued.
        """
        if not self._buzon.abierto:
            raise CorreoNoDisponible
        async with self._database.read() as connection:
            usuario = await self._repository.leer_usuario(connection, usuario_id)
        if usuario is None or not usuario.activo:
            raise NoAutenticado("La cuenta ya no está activa.")
        if usuario.email_verificado:
            return
        self._throttling.verification_mail(str(usuario_id))
        async with self._database.transaction() as connection:
            await self._buzon.echar(connection, usuario_id, "verificar")

    async def verificar(self, token: str) -> None:
        """Notes that the address is its user's. Again, it changes nothing. Raises `EnlaceInvalido`."""
        enlace = self._enlaces.leer("verificar", token)
        await self._comprobar(enlace)
        async with self._database.transaction() as connection:
            ahora = self._clock.now()
            usuario = await self._bloquear(connection, enlace, ahora)
            if usuario.email_verificado:
                return
            verificado = usuario.modificar({"email_verificado_en": ahora}, ahora)
            await self._repository.actualizar_usuario(connection, verificado)
            await self._audit.tell(connection, "email_verificado", usuario.id)
        log.info("email_verified", usuario_id=str(usuario.id))

    async def _comprobar(self, enlace: Enlace) -> Usuario:
        """Whose link it is, before anything is hashed or locked for it. Raises `EnlaceInvalido`."""
        async with self._database.read() as connection:
            leido = await self._repository.leer_usuario(connection, enlace.usuario_id)
        return self._enlaces.comprobar(enlace, leido, self._clock.now())

    async def _bloquear(self, connection: AsyncConnection, enlace: Enlace, ahora: datetime) -> Usuario:
        """Whose link it still is, with nobody able to change that user now. Raises `EnlaceInvalido`."""
        leido = await self._repository.leer_usuario(connection, enlace.usuario_id, bloquear=True)
        return self._enlaces.comprobar(enlace, leido, ahora)
