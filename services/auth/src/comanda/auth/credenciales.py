"""Is it really them? A password checked within the limits on failed attempts."""

from uuid import UUID

import structlog

from comanda.auth.domain import EMAIL_MAX, Usuario, clave_de_email
from comanda.auth.origen import lugar
from comanda.auth.passwords import Passwords, Verdict
from comanda.auth.throttling import Throttling
from comanda.common.audit import Audit
from comanda.common.problems import DatosInvalidos, Problem

log = structlog.get_logger()


class Credenciales:
    def __init__(self, passwords: Passwords, throttling: Throttling, audit: Audit) -> None:
        self._passwords = passwords
        self._throttling = throttling
        self._audit = audit

    async def exigir(
        self, usuario: Usuario, password: str, *, sesion: UUID | str | None, origen: str, incorrecta: Problem
    ) -> None:
        """Asks a person who is logged in for the password again.

        What fails counts against the session, wherever it is used from: who holds a stolen token gets no more guesses
        by changing addresses, and keeps neither the owner's log-in nor the owner's other sessions waiting.

        Raises:
            incorrecta: it is another one.
            DemasiadosIntentos, ServicioSaturado.
        """
        verdict = await self.comprobar(
            usuario, password, email=usuario.email, origen=origen, conocido=True, sesion=str(sesion or "")
        )
        if not verdict.right:
            await self._audit.note("password_incorrecta", usuario.id)
            raise incorrecta

    async def comprobar(
        self,
        usuario: Usuario | None,
        password: str,
        *,
        email: str,
        origen: str,
        conocido: bool,
        sesion: str | None = None,
    ) -> Verdict:
        """Whether it is the password of that user, who may not exist. Only wrong ones count against the limits.

        Args:
            conocido: that user has logged in from there before, or is logged in.
            sesion: the session in which it is asked for; None: it is a log-in.

        Raises:
            DemasiadosIntentos, ServicioSaturado.
        """
        cuenta, sitio = clave_de_email(email[:EMAIL_MAX]), lugar(origen)
        desde = sitio if sesion is None else f"sesion {sesion}"
        self._throttling.check_login(cuenta, desde, known=conocido)
        stored = usuario.password_hash if usuario is not None and usuario.activo else None
        verdict = await self._passwords.verify(stored, password, source=sitio, known=conocido)
        # Once more: guesses sent all at the same time have passed the first check together.
        self._throttling.check_login(cuenta, desde, known=conocido)
        if verdict.right:
            self._throttling.login_succeeded(cuenta, desde)
        elif self._throttling.login_failed(cuenta, desde, known=conocido):
            log.warning("account_attacked", usuario_id=usuario and str(usuario.id))
        return verdict


def password_incorrecta() -> DatosInvalidos:
    return DatosInvalidos.of("password", "No es la contraseña.")
