"""The second factor: codes of an authenticator app (TOTP, RFC 6238), and recovery codes for who has lost it."""

import base64
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from textwrap import wrap
from typing import Any, ClassVar, Literal
from uuid import UUID

from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.twofactor import InvalidToken
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from comanda.auth.domain import Rechazo, Rol
from comanda.common.problems import DatosInvalidos, Problem

PASO_SEGUNDOS = 30
CIFRAS = 6
Algoritmo = Literal["SHA1", "SHA256"]
SECRETO_BYTES: Mapping[Algoritmo, int] = {"SHA1": 20, "SHA256": 35}
"""Not shorter than the hash (RFC 2104 §3), and without padding in Base32, which not every app takes.

SHA-1, six digits and 30 s are what every app understands.
"""

CODIGOS = 10
CODIGO_BYTES = 16
"""128 bits (ASVS 5.0, V11.5.1): nobody guesses one, so a wrong one need not make anybody wait."""

FALLOS_LIBRES = 5
"""Wrong codes in a row that cost no wait."""
DEMORA, DEMORA_MAX = timedelta(seconds=30), timedelta(minutes=15)
"""The first wait, doubled by each further wrong code, and the longest: 96 guesses a day, 3 in a million each."""
OLVIDO = timedelta(days=1)
"""Wrong codes so long ago no longer count."""

PWD, PWD_OTP, PASSKEY = "pwd", "pwd otp", "mfa user"
"""How a session began (`amr`, RFC 8176), in the words that its row keeps."""


@dataclass(frozen=True, slots=True)
class Factor:
    """A user's authenticator app. It is in force once a code has shown that the app has the secret."""

    usuario_id: UUID
    secreto: str = field(repr=False)
    """Encrypted."""
    activado_en: datetime | None
    ultimo_paso: int
    """The step of the last code that was used: only later ones are accepted."""
    usos: int
    """How often a code was accepted: each use ends the log-ins that were half done before."""
    fallos: int
    fallado_en: datetime | None
    creado_en: datetime
    algoritmo: Algoritmo = "SHA1"

    def espera(self, ahora: datetime) -> timedelta:
        """How long until the next code is heard; zero if it is now."""
        if self.fallado_en is None or self.fallos < FALLOS_LIBRES:
            return timedelta()
        # The distance to either side: a clock that was set back by hours must not prolong a wait of minutes.
        return max(timedelta(), _demora(self.fallos) - abs(ahora - self.fallado_en))

    def acertar(self, paso: int | None) -> "Factor":
        """After a right code: of that step, or a recovery code (None)."""
        return replace(
            self,
            ultimo_paso=self.ultimo_paso if paso is None else paso,
            usos=self.usos + 1,
            fallos=0,
            fallado_en=None,
        )

    def fallar(self, ahora: datetime) -> "Factor":
        olvidados = self.fallado_en is not None and abs(ahora - self.fallado_en) >= OLVIDO
        return replace(self, fallos=1 if olvidados else self.fallos + 1, fallado_en=ahora)


class SegundoFactorRequerido(Rechazo):
    """The password is right, and no session exists yet: send `mfa_token` with a code.

    The name and shape of this extension of RFC 6749 §5.2 are those that large vendors use.
    """

    error, title = "mfa_required", "Falta el segundo factor: envie mfa_token con otp o recovery_code."
    extra_schema: ClassVar[dict[str, Any]] = {"mfa_token": {"type": "string"}}


class SegundoFactorActivo(Problem):
    """A second factor is in force already; to use another app, deactivate it first."""

    status, slug, title = 409, "segundo-factor-activo", "El segundo factor ya está activo"


class SegundoFactorInactivo(Problem):
    """The account has no second factor in force, or none that waits to be confirmed."""

    status, slug, title = 409, "segundo-factor-inactivo", "No hay ningún segundo factor"


def codigo_incorrecto() -> DatosInvalidos:
    return DatosInvalidos.of("codigo", "No es correcto, ha caducado o ya se ha usado: espere al siguiente.")


def rol_con(amr: str | None, rol: Rol, *, de_admins: bool, de_todos: bool = False) -> Rol | None:
    """The role that a session acts in.

    Without the second factor an admin is a client where it is required of admins, and nobody has any (None) where it is
    required of all: such a session can set one up.
    """
    if amr in (PWD_OTP, PASSKEY):
        return rol
    if de_todos:
        return None
    return "cliente" if de_admins else rol


def nuevo_secreto(algoritmo: Algoritmo = "SHA1") -> bytes:
    return secrets.token_bytes(SECRETO_BYTES[algoritmo])


def en_texto(secreto: bytes) -> str:
    """The secret as a person types it into the app."""
    return base64.b32encode(secreto).decode()


def uri(secreto: bytes, cuenta: str, algoritmo: Algoritmo = "SHA1") -> str:
    """The `otpauth:` address that an app reads from a QR code."""
    return _totp(secreto, algoritmo).get_provisioning_uri(cuenta, "Comanda")


def paso_de(
    codigo: str,
    secreto: bytes,
    ahora: datetime,
    *,
    despues_de: int,
    tolerancia: int = 1,
    algoritmo: Algoritmo = "SHA1",
) -> int | None:
    """The step whose code it is, if it is later than the last one used.

    Args:
        tolerancia: how many steps before and after the present one count, for clocks that differ (RFC 6238 §5.2).
    """
    totp = _totp(secreto, algoritmo)
    actual = int(ahora.timestamp()) // PASO_SEGUNDOS
    for paso in range(actual - tolerancia, actual + tolerancia + 1):
        if paso > despues_de and _es_de(paso, codigo, totp):
            return paso
    return None


def nuevos_codigos() -> list[str]:
    """Recovery codes, such as `k3fq-zt7a-m2xw-5hdy-b6no-q4ws-7e`."""
    return ["-".join(wrap(_aleatorio(), 4)) for _ in range(CODIGOS)]


def normalizar_codigo(codigo: str) -> str:
    """A code of either kind without what people add or change when they type it."""
    return codigo.replace(" ", "").replace("-", "").lower()


def es_de_app(codigo: str) -> bool:
    """Whether a normalised code has the shape of those of an app, else of a recovery code."""
    return len(codigo) == CIFRAS and codigo.isascii() and codigo.isdigit()


def _demora(fallos: int) -> timedelta:
    return min(DEMORA_MAX, DEMORA * (1 << min(fallos - FALLOS_LIBRES, 16)))


def _es_de(paso: int, codigo: str, totp: TOTP) -> bool:
    try:
        totp.verify(codigo.encode(), paso * PASO_SEGUNDOS)
    except InvalidToken:
        return False
    return True


def _totp(secreto: bytes, algoritmo: Algoritmo) -> TOTP:
    hashes: dict[Algoritmo, SHA1 | SHA256] = {
        "SHA1": SHA1(),  # noqa: S303  # what all apps support; HMAC is not hurt (RFC 6238)
        "SHA256": SHA256(),
    }
    return TOTP(secreto, CIFRAS, hashes[algoritmo], PASO_SEGUNDOS)


def _aleatorio() -> str:
    return base64.b32encode(secrets.token_bytes(CODIGO_BYTES)).decode().rstrip("=").lower()
