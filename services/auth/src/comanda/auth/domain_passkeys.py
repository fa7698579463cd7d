"""Passkeys (Web Authentication, WebAuthn): what is kept of one, and when it may be used."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from comanda.auth.domain import NO_STORE
from comanda.common.problems import DatosInvalidos, Problem

MAX_PER_USER = 10
NOMBRE_MAX = 100

CREDENCIAL_MAX = 1023
"""Bytes of a credential's id (WebAuthn §4)."""
LLAVE_MAX = 1024
"""Bytes of a public key: RSA up to 7680 bits. Longer ones would make each log-in costly."""


class DemasiadasPasskeys(Problem):
    """The account has as many passkeys as it may have: remove one that is no longer used."""

    status, slug, title = 409, "demasiadas-passkeys", "La cuenta no admite más llaves de acceso"

    def __init__(self) -> None:
        super().__init__(f"Quite una de las {MAX_PER_USER} que tiene.")


class PasskeyRepetida(Problem):
    """That passkey is registered already, with this account or another one."""

    status, slug, title = 409, "passkey-repetida", "Esta llave de acceso ya está registrada"


class PasskeyIncorrecta(Problem):
    """The passkey is not one of ours, or its answer is not right, too late, or was used before: begin again."""

    status, slug, title = 401, "passkey-incorrecta", "La llave de acceso no vale"

    def __init__(self) -> None:
        headers = NO_STORE | {"WWW-Authenticate": "Bearer"}
        super().__init__("Inténtelo de nuevo, o entre con la contraseña.", headers=headers)


class ContadorAtras(Exception):
    """The authenticator has counted fewer uses than before, so there are two of it: somebody has made a copy."""


@dataclass(frozen=True, slots=True)
class Passkey:
    """Nothing of it is secret: the private key never leaves the authenticator."""

    id: UUID
    usuario_id: UUID
    credencial: bytes
    """The id that the authenticator gave it."""
    llave_publica: bytes = field(repr=False)
    """COSE (RFC 9052 §7)."""
    contador: int
    """Uses as the authenticator has counted them, 0 if it does not count."""
    reto_en: datetime | None
    """When the challenge of its latest log-in was written: only later ones are accepted, so none twice."""
    nombre: str
    creada_en: datetime
    usada_en: datetime | None

    def usar(self, contador: int, reto_en: datetime, ahora: datetime) -> "Passkey | None":
        """After a log-in; None: the challenge, or a later one, was used before.

        Raises:
            ContadorAtras: see WebAuthn §6.1.1.
        """
        if self.reto_en and reto_en <= self.reto_en:
            return None
        if (contador or self.contador) and contador <= self.contador:
            raise ContadorAtras
        return replace(self, contador=contador, reto_en=reto_en, usada_en=ahora)


def credencial_incorrecta() -> DatosInvalidos:
    return DatosInvalidos.of(
        "credencial", "La llave de acceso no vale, o ha pasado demasiado tiempo: empiece de nuevo."
    )
