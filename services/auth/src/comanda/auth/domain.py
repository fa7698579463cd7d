"""Users, what their role allows, and the sessions they hold."""

import hmac
import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, ClassVar, Literal
from uuid import UUID

from starlette.responses import Response

from comanda.common.problems import NoAutenticado, Problem

Rol = Literal["cliente", "admin"]

_CLIENTE = ("productos:leer", "inventario:leer", "pedidos:crear", "pedidos:propios")
ALCANCES: Mapping[Rol, tuple[str, ...]] = {
    "cliente": _CLIENTE,
    "admin": (
        *_CLIENTE,
        "productos:escribir",
        "inventario:escribir",
        "reservas:leer",
        "pedidos:leer",
        "pedidos:gestionar",
        "usuarios:gestionar",
        "operaciones:leer",
        "auditoria:leer",
    ),
}
"""What each role may do. Nobody gets `reservas:escribir`: only the service pedidos writes reservations."""

GRACIA = timedelta(seconds=10)
"""How long a rotated refresh token still answers with its successor, for tabs that refresh at the same time."""

NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
"""Headers of every answer that carries a token or says why there is none (RFC 6749 §5.1)."""

PASSWORD_MIN, PASSWORD_MAX = 12, 256
DISPOSITIVO_MAX = 200
EMAIL_MAX = 254

_EMAIL = re.compile(r"[^@\s]{1,64}@(?:localhost|[^@\s.]+(?:\.[^@\s.]+)+)")


@dataclass(frozen=True, slots=True)
class Usuario:
    """Somebody who can log in. The email is kept as it was typed; case makes no difference when it is compared."""

    id: UUID
    email: str
    nombre: str
    rol: Rol
    activo: bool
    password_hash: str = field(repr=False)
    version: int
    creado_en: datetime
    actualizado_en: datetime
    email_verificado_en: datetime | None = None
    """When somebody who reads the mail of that address showed it, None if nobody has."""

    @property
    def email_verificado(self) -> bool:
        return self.email_verificado_en is not None

    @property
    def es_admin_activo(self) -> bool:
        return self.rol == "admin" and self.activo

    def modificar(self, cambios: Mapping[str, Any], ahora: datetime) -> "Usuario":
        """The user with those fields changed: a new version, unless nothing is different."""
        modificado = replace(self, **cambios)
        if modificado == self:
            return self
        return replace(modificado, version=self.version + 1, actualizado_en=ahora)


@dataclass(frozen=True, slots=True)
class Familia:
    """A session: the line of refresh tokens that began with one login. Only the newest of the line is current."""

    id: UUID
    usuario_id: UUID
    client_id: str
    alcance: str | None
    """The scope that the client asked for at login; None: whatever the role gives at the time."""
    generacion: int
    token_hash: str = field(repr=False)
    rotada_en: datetime
    creada_en: datetime
    expira_en: datetime
    dispositivo: str = ""
    """What the client called itself when it logged in (`User-Agent`): a hint for its owner, nothing to rely on."""
    amr: str | None = None
    """How it began (RFC 8176), separated by spaces; None, from before this was kept: by password."""

    def ha_caducado(self, ahora: datetime) -> bool:
        return ahora >= self.expira_en

    def es_actual(self, generacion: int, token_hash: str) -> bool:
        return generacion == self.generacion and hmac.compare_digest(token_hash, self.token_hash)

    def admite_repeticion(self, generacion: int, ahora: datetime) -> bool:
        """Whether the token of that generation was rotated a moment ago and its successor is still unused.

        Using the successor would have made a further generation, so the direct predecessor is the only candidate.
        """
        return generacion == self.generacion - 1 and ahora - self.rotada_en <= GRACIA

    def rotar(self, token_hash: str, ahora: datetime, expira_en: datetime) -> "Familia":
        generacion = self.generacion + 1
        return replace(self, generacion=generacion, token_hash=token_hash, rotada_en=ahora, expira_en=expira_en)


class EmailEnUso(Problem):
    """Somebody is already registered with this email, perhaps written with other capitals."""

    status, slug, title = 409, "email-en-uso", "Ya hay un usuario con este email"


class UltimoAdmin(Problem):
    """The change would leave nobody who can administer the system: make somebody else an administrator first."""

    status, slug, title = 409, "ultimo-admin", "Es el último administrador activo"


class DemasiadosIntentos(Problem):
    """Too many attempts in a short time; the next one is heard after `Retry-After` seconds."""

    status, slug, title = 429, "demasiados-intentos", "Demasiados intentos"

    def __init__(self, retry_after_seconds: int = 1) -> None:
        super().__init__(headers=NO_STORE | {"Retry-After": str(retry_after_seconds)})


class Rechazo(Problem):
    """A refusal of the token or revocation endpoint (RFC 6749 §5.2).

    Its text is ASCII without quotes, as the standard wants of `error_description`.
    """

    status = 400
    error: ClassVar[str]

    def response(self, instance: str) -> Response:
        body = json.dumps({"error": self.error, "error_description": self.detail, **self.extras}).encode()
        return Response(body, self.status, NO_STORE | dict(self.headers or {}), "application/json")


class SolicitudInvalida(Rechazo):
    """A parameter is missing, repeated or malformed, or the body is no form."""

    error, title = "invalid_request", "La solicitud no es correcta."


class ClienteInvalido(Rechazo):
    """The client is not known, its secret is wrong or was revoked, or it authenticates although it is public."""

    status, error, title = 401, "invalid_client", "El cliente no es conocido o su secreto no es correcto."

    def __init__(self) -> None:
        super().__init__(headers={"WWW-Authenticate": 'Basic realm="comanda"'})


class ConcesionInvalida(Rechazo):
    """The credentials or the refresh token are not, or no longer, good."""

    error, title = "invalid_grant", "Las credenciales no son correctas."


class ConcesionNoAdmitida(Rechazo):
    """No token is given for this kind of grant."""

    error, title = (
        "unsupported_grant_type",
        "grant_type no es de los que nombra /.well-known/oauth-authorization-server.",
    )


class AlcanceInvalido(Rechazo):
    """The scope asked for does not exist or exceeds what can be granted."""

    error, title = "invalid_scope", "El alcance no es correcto."


def debe_quedar_admin(usuarios: Mapping[UUID, Usuario]) -> None:
    """Raises `UltimoAdmin` when none of these, every active admin among them, can administer the system."""
    if not any(usuario.es_admin_activo for usuario in usuarios.values()):
        raise UltimoAdmin


def activo(usuario: Usuario | None) -> Usuario:
    """Raises `NoAutenticado` when the account was deactivated after the token was issued that names it."""
    if usuario is None or not usuario.activo:
        raise NoAutenticado("La cuenta ya no está activa.")
    return usuario


def conceder(rol: Rol | None, limite: str | None, pedido: str | None) -> str:
    """The scope of an access token: what the role gives, within the session's limit, narrowed to what is asked for.

    Without a role it is empty: good for one's own account alone.

    Raises:
        AlcanceInvalido: more is asked for than can be given.
    """
    if rol is None and pedido is not None:
        raise AlcanceInvalido("Ninguno se concede sin segundo factor: pida el token sin scope y active uno.")
    alcances = ALCANCES[rol] if rol else ()
    return limitar([scope for scope in alcances if limite is None or scope in limite.split()], pedido)


def limitar(alcance: Sequence[str], pedido: str | None) -> str:
    """That scope, narrowed to what is asked for.

    Raises:
        AlcanceInvalido: more is asked for than can be given.
    """
    if pedido is None:
        return " ".join(alcance)
    pedidos = set(pedido.split(" "))
    if not pedidos <= set(alcance):
        raise AlcanceInvalido("El alcance pedido no existe o pasa del que se puede conceder.")
    return " ".join(scope for scope in alcance if scope in pedidos)


def es_email(texto: str) -> bool:
    """Whether it has the shape of an address; whether mail arrives there is for no pattern to say."""
    return len(texto) <= EMAIL_MAX and texto.isprintable() and _EMAIL.fullmatch(texto) is not None


def nombre_de_dispositivo(user_agent: str) -> str:
    """What is kept of a `User-Agent`: its printable characters, at most `DISPOSITIVO_MAX`."""
    return "".join(filter(str.isprintable, user_agent[: DISPOSITIVO_MAX * 2]))[:DISPOSITIVO_MAX].strip()


def clave_de_email(email: str) -> str:
    """By what emails are compared: canonical composition (UAX #15) and case folding (Unicode §3.13)."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", email).casefold())


def normalizar_password(password: str) -> str:
    """The password as it is hashed: the same however the keyboard composed its accents (RFC 8265 §4.2).

    Composing makes at most four characters one, so what is cut off here belongs to a password too long anyway;
    composing a megabyte would take minutes.
    """
    return unicodedata.normalize("NFC", password[: PASSWORD_MAX * 4 + 1])
