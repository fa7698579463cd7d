"""Is it really them? A password checked within the limits on failed attempts."""

from comanda.auth.domain import EMAIL_MAX, Usuario, clave_de_email
from comanda.auth.passwords import Passwords, Verdict
from comanda.auth.throttling import Throttling


class Credenciales:
    def __init__(self, passwords: Passwords, throttling: Throttling) -> None:
        self._passwords = passwords
        self._throttling = throttling

    async def comprobar(self, usuario: Usuario | None, password: str, *, email: str, origen: str) -> Verdict:
        """Whether it is the password of that user, who may not exist. Only wrong ones count against the limits.

        Raises:
            DemasiadosIntentos, ServicioSaturado.
        """
        cuenta = clave_de_email(email[:EMAIL_MAX])
        self._throttling.check_login(cuenta, origen)
        stored = usuario.password_hash if usuario is not None and usuario.activo else None
        verdict = await self._passwords.verify(stored, password)
        # Once more: guesses sent all at the same time have passed the first check together.
        self._throttling.check_login(cuenta, origen)
        if not verdict.right:
            self._throttling.login_failed(cuenta, origen)
        return verdict
