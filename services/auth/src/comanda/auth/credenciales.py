"""Is it really them? A password checked within the limits on failed attempts."""

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

    async def exigir(self, usuario: Usuario, password: str, *, origen: str, incorrecta: Problem) -> None:
        """Asks a person who is logged in for the password again.

        Raises:
            incorrecta: it is another one.
            DemasiadosIntentos, ServicioSaturado.
        """
        verdict = await self.comprobar(usuario, password, email=usuario.email, origen=origen, conocido=True)
        if not verdict.right:
            await self._audit.note("password_incorrecta", usuario.id)
            raise incorrecta

    async def comprobar(
        self, usuario: Usuario | None, password: str, *, email: str, origen: str, conocido: bool
    ) -> Verdict:
        """Whether it is the password of that user, who may not exist. Only wrong ones count against the limits.

        Args:
            conocido: that user has logged in from there before, or is logged in.

        Raises:
            DemasiadosIntentos, ServicioSaturado.
        """
        cuenta, sitio = clave_de_email(email[:EMAIL_MAX]), lugar(origen)
        self._throttling.check_login(cuenta, sitio, known=conocido)
        stored = usuario.password_hash if usuario is not None and usuario.activo else None
        verdict = await self._passwords.verify(stored, password, source=sitio, known=conocido)
        # Once more: guesses sent all at the same time have passed the first check together.
        self._throttling.check_login(cuenta, sitio, known=conocido)
        if verdict.right:
            self._throttling.login_succeeded(cuenta, sitio)
        elif self._throttling.login_failed(cuenta, sitio, known=conocido):
            log.warning("account_attacked", usuario_id=usuario and str(usuario.id))
        return verdict


def password_incorrecta() -> DatosInvalidos:
    return DatosInvalidos.of("password", "No es la contraseña.")
