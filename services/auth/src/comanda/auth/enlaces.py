"""The links that are mailed: signed, for one purpose, and dead once what they are for has changed."""

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from comanda.auth.domain import Usuario, clave_de_email
from comanda.common.problems import Problem

Accion = Literal["restablecer", "verificar"]

_ACCIONES: tuple[Accion, ...] = ("restablecer", "verificar")
_ID_BYTES, _EXPIRY_BYTES = 16, 5
_BODY_BYTES = 1 + _ID_BYTES + _EXPIRY_BYTES
_CHARS = 72
"""Base64url of action, user, expiry (seconds since 1970) and a MAC of 32 bytes: 54 bytes, without padding."""


class EnlaceInvalido(Problem):
    """The link has expired, was used, was overtaken by another change, or is not whole: ask for a new one."""

    status, slug, title = 422, "enlace-invalido", "El enlace ya no vale"

    def __init__(self) -> None:
        super().__init__("El enlace ha caducado, ya se ha usado o no está completo: pida uno nuevo.")


@dataclass(frozen=True, slots=True)
class Enlace:
    """What a token says of itself. Nothing of it is to be believed before `Enlaces.comprobar`."""

    accion: Accion
    usuario_id: UUID
    caduca: int
    """Seconds since 1970."""
    token: str


class Enlaces:
    """Writes and checks the tokens of links. They are kept nowhere.

    The MAC covers what the link is to change: the password and the address of a reset, the address of a verification.
    Once that is different, whoever changed it, the token is nobody's any more.

    Args:
        secrets: keys of the MAC (HMAC-SHA256), the same in all replicas: the first one writes, all of them check.
    """

    def __init__(self, *secrets: bytes) -> None:
        self._secrets = secrets

    def escribir(self, accion: Accion, usuario: Usuario, caduca: int) -> str:
        """The token of a link for that user. Args: caduca: seconds since 1970."""
        return _escribir(self._secrets[0], accion, usuario, caduca)

    def leer(self, accion: Accion, token: str) -> Enlace:
        """What a token for that action says of itself. Raises `EnlaceInvalido`."""
        if len(token) != _CHARS or not token.isascii():
            raise EnlaceInvalido
        try:
            raw = base64.b64decode(token, altchars=b"-_", validate=True)
        except binascii.Error:
            raise EnlaceInvalido from None
        if raw[0] != _ACCIONES.index(accion):
            raise EnlaceInvalido
        caduca = int.from_bytes(raw[1 + _ID_BYTES : _BODY_BYTES], "big")
        return Enlace(accion, UUID(bytes=raw[1 : 1 + _ID_BYTES]), caduca, token)

    def comprobar(self, enlace: Enlace, usuario: Usuario | None, ahora: datetime) -> Usuario:
        """The user, as it is now, whose link that is. Raises `EnlaceInvalido`, also for who is deactivated."""
        if usuario is None or not usuario.activo or ahora.timestamp() >= enlace.caduca:
            raise EnlaceInvalido
        escritos = [_escribir(secret, enlace.accion, usuario, enlace.caduca) for secret in self._secrets]
        if not any(hmac.compare_digest(enlace.token, escrito) for escrito in escritos):
            raise EnlaceInvalido
        return usuario


def _escribir(secret: bytes, accion: Accion, usuario: Usuario, caduca: int) -> str:
    body = bytes([_ACCIONES.index(accion)]) + usuario.id.bytes + caduca.to_bytes(_EXPIRY_BYTES, "big")
    mac = hmac.digest(secret, body + hashlib.sha256(_estado(accion, usuario)).digest(), "sha256")
    return base64.urlsafe_b64encode(body + mac).decode().rstrip("=")


def _estado(accion: Accion, usuario: Usuario) -> bytes:
    """What must not have changed since the link was written. No address holds a line break."""
    email = clave_de_email(usuario.email)
    return (f"{email}\n{usuario.password_hash}" if accion == "restablecer" else email).encode()
