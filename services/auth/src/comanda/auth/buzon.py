"""Mails are put here in the transaction that causes them, and leave from here in the background."""

from datetime import timedelta
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from comanda.auth import correo as correos
from comanda.auth.domain import Usuario
from comanda.auth.enlaces import Enlaces
from comanda.auth.envio import Carpeta, DireccionRechazada, NoEntregado, ServidorSmtp, Smtp, Transporte
from comanda.auth.repository import Repository
from comanda.auth.repository_correo import Correo, Motivo, RepositoryCorreo
from comanda.auth.settings import Settings
from comanda.common.clock import Clock
from comanda.common.database import Database
from comanda.common.settings import data_folder

MAX_INTENTOS = 16
"""Attempts at one mail: the last is made 10 hours after the first."""

FIRST_WAIT_SECONDS, MAX_WAIT_SECONDS = 60, 3600
"""Wait after the first attempt, and the longest one. The first exceeds what an attempt can take."""

log = structlog.get_logger()


class Buzon:
    """The outbox. A crash while a mail is being sent may send it twice; none is lost."""

    def __init__(self, settings: Settings, database: Database, clock: Clock, enlaces: Enlaces) -> None:
        self._settings = settings
        self._database = database
        self._usuarios = Repository(database)
        self._repository = RepositoryCorreo()
        self._clock = clock
        self._enlaces = enlaces
        self._transporte = _transporte(settings)
        self._remitente = correos.remitente(settings.mail_from or "Comanda <comanda@localhost>")

    @property
    def abierto(self) -> bool:
        """Whether this installation sends mail."""
        return self._transporte is not None

    async def echar(self, connection: AsyncConnection, usuario_id: UUID, motivo: Motivo) -> None:
        """Has a mail sent if the transaction commits; nothing where no mail is sent."""
        if self.abierto:
            await self._repository.insertar(connection, self._clock.new_id(), usuario_id, motivo, self._clock.now())

    async def echar_para_email(self, connection: AsyncConnection, email: str, motivo: Motivo) -> None:
        """Has a mail sent to whoever has that address. The work is the same when nobody has."""
        ahora = self._clock.now()
        await self._repository.insertar_para_email(connection, self._clock.new_id(), email, motivo, ahora)

    async def vaciar(self, connection: AsyncConnection, usuario_id: UUID) -> None:
        """Nothing more is sent to that user."""
        await self._repository.borrar_de(connection, usuario_id)

    async def repartir(self) -> None:
        """The loop that sends what waits, and rests when there is nothing, or when the server does not take it.

        It only looks from time to time: if a request woke it, its work would tell that the address is known.
        """
        if not self.abierto:
            log.warning("mail_not_configured", variable=self._settings.variable("smtp_url"))
        while True:
            if not self.abierto or not await self.enviar_siguiente():
                await self._clock.sleep(self._settings.mail_seconds)

    async def enviar_siguiente(self) -> bool:
        """Sends the mail that is due longest; whether to go on at once.

        Its next attempt is fixed before this one is made, so whoever dies here leaves it to be taken up again.
        """
        ahora = self._clock.now()
        async with self._database.transaction() as connection:
            correo = await self._repository.bloquear_siguiente(connection, ahora)
            if correo is None or self._transporte is None:
                return False
            usuario = correo.usuario_id and await self._usuarios.leer_usuario(connection, correo.usuario_id)
            if not usuario or not _procede(correo, usuario) or _agotado(correo):
                await self._repository.borrar(connection, correo.id)
                return True
            await self._repository.aplazar(connection, correo.id, ahora + _espera(correo.intentos))
        try:
            await self._enviar(self._transporte, correo, usuario)
        except NoEntregado as error:
            return await self._no_entregado(correo, error)
        async with self._database.transaction() as connection:
            await self._repository.borrar_servidos(connection, correo, ahora)
        log.info("mail_sent", correo_id=str(correo.id), usuario_id=str(usuario.id), motivo=correo.motivo)
        return True

    async def _enviar(self, transporte: Transporte, correo: Correo, usuario: Usuario) -> None:
        """To the address that the user registered, never to one that somebody typed later (they may only look alike).

        Raises:
            NoEntregado.
        """
        try:
            mensaje = correos.redactar(
                correo,
                usuario.email,
                remitente=self._remitente,
                enlace=self._enlace(correo, usuario),
                tienda=self._settings.tienda,
                plazo_segundos=self._plazo(correo),
                ahora=self._clock.now(),
            )
            destinatario = correos.direccion(usuario.email).addr_spec
        except ValueError:
            raise DireccionRechazada("not an address") from None
        await transporte.enviar(mensaje, remitente=self._remitente.addr_spec, destinatario=destinatario)

    async def _no_entregado(self, correo: Correo, error: NoEntregado) -> bool:
        """Whether to go on with the next mail at once."""
        details = {"correo_id": str(correo.id), "motivo": correo.motivo, "reason": str(error)}
        if not isinstance(error, DireccionRechazada):
            log.warning("mail_deferred", intentos=correo.intentos + 1, **details)
            return False
        log.warning("mail_refused", **details)
        async with self._database.transaction() as connection:
            await self._repository.borrar(connection, correo.id)
        return True

    def _enlace(self, correo: Correo, usuario: Usuario) -> str:
        if correo.motivo == "aviso-password" or correo.motivo == "aviso-passkey":
            return ""
        caduca = int(self._clock.now().timestamp()) + self._plazo(correo)
        return correos.enlace(
            self._settings.tienda, correo.motivo, self._enlaces.escribir(correo.motivo, usuario, caduca)
        )

    def _plazo(self, correo: Correo) -> int:
        if correo.motivo == "restablecer":
            return self._settings.reset_link_seconds
        return self._settings.verification_link_seconds


def _transporte(settings: Settings) -> Transporte | None:
    if settings.smtp_url:
        return Smtp(ServidorSmtp.de(settings.smtp_url.get_secret_value()))
    return None if settings.production else Carpeta(data_folder() / "correo")


def _procede(correo: Correo, usuario: Usuario) -> bool:
    """Whether the mail still has a point when its turn comes."""
    if correo.motivo in ("aviso-password", "aviso-passkey"):
        return True
    return usuario.activo and not (correo.motivo == "verificar" and usuario.email_verificado)


def _agotado(correo: Correo) -> bool:
    """Whether it was tried often enough; also one that its process did not survive comes to this end."""
    if correo.intentos < MAX_INTENTOS:
        return False
    log.error("mail_given_up", correo_id=str(correo.id), motivo=correo.motivo, intentos=correo.intentos)
    return True


def _espera(intentos: int) -> timedelta:
    return timedelta(seconds=min(FIRST_WAIT_SECONDS * 2**intentos, MAX_WAIT_SECONDS))
