"""JSON shapes of what a person may ask about themselves."""

from pydantic import BaseModel

from comanda.auth.privacidad import Datos
from comanda.auth.schemas import SesionDocumento, UsuarioGestionado
from comanda.auth.schemas_passkeys import PasskeyDocumento
from comanda.auth.schemas_totp import Codigo, Password
from comanda.common.audit import Apunte
from comanda.common.requests import Body


class Baja(Body):
    password: Password
    codigo: Codigo | None = None


class DatosDocumento(BaseModel):
    """The account, its sessions and passkeys, and what the audit log says by and of it, the latest first."""

    cuenta: UsuarioGestionado
    sesiones: list[SesionDocumento]
    passkeys: list[PasskeyDocumento]
    auditoria: list[Apunte]

    @classmethod
    def de(cls, datos: Datos, actual: str | None) -> "DatosDocumento":
        """Args: actual: the `sid` of the token that asks."""
        return cls(
            cuenta=UsuarioGestionado.de(datos.usuario),
            sesiones=[SesionDocumento.de(sesion, actual) for sesion in datos.sesiones],
            passkeys=[PasskeyDocumento.de(passkey) for passkey in datos.passkeys],
            auditoria=[Apunte.model_validate(entry, from_attributes=True) for entry in datos.apuntes],
        )
