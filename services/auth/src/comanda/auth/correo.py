"""What the mails say, and to whom."""

import math
from collections.abc import Mapping
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import format_datetime, parseaddr

import idna

from comanda.auth.domain import es_email
from comanda.auth.enlaces import Accion
from comanda.auth.repository_correo import Correo, Motivo

ASUNTOS: Mapping[Motivo, str] = {
    "restablecer": "Una contraseña nueva para su cuenta",
    "verificar": "Confirme su dirección de correo",
    "aviso-password": "La contraseña de su cuenta ha cambiado",
    "aviso-passkey": "Una llave de acceso nueva para su cuenta",
}

# Nothing in them is the choice of whoever caused the mail, or we would send anybody's words to anybody.
_TEXTOS: Mapping[Motivo, str] = {
    "restablecer": """\
Se ha pedido una contraseña nueva para su cuenta. Para elegirla, abra este enlace:

{enlace}

Vale durante {plazo} y una sola vez. Al usarlo se cierran todas sus sesiones.

Si no lo ha pedido usted, no haga nada: su contraseña sigue siendo la de antes.
""",
    "verificar": """\
Para confirmar que esta dirección es suya, abra este enlace:

{enlace}

Vale durante {plazo}.

Si no ha abierto ninguna cuenta con esta dirección, no haga nada: quedará sin confirmar.
""",
    "aviso-password": """\
La contraseña de su cuenta ha cambiado.

Si ha sido usted, no tiene que hacer nada.

Si no ha sido usted, pida enseguida una contraseña nueva en {tienda} y avise a quien la atiende.
""",
    "aviso-passkey": """\
Se ha añadido una llave de acceso (passkey) a su cuenta: con ella se entra sin contraseña.

Si ha sido usted, no tiene que hacer nada.

Si no ha sido usted, pida enseguida una contraseña nueva en {tienda}: así se quitan todas las llaves de acceso.
Avise también a quien la atiende.
""",
}


def redactar(
    correo: Correo, email: str, *, remitente: Address, enlace: str, tienda: str, plazo_segundos: int, ahora: datetime
) -> EmailMessage:
    """The mail, ready to be sent. The same entry of the outbox always has the same `Message-ID`.

    Raises:
        ValueError: no mail can have that address.
    """
    destinatario = direccion(email)
    mensaje = EmailMessage(policy=SMTP if destinatario.addr_spec.isascii() else SMTPUTF8)
    mensaje["From"] = remitente
    mensaje["To"] = destinatario
    mensaje["Subject"] = ASUNTOS[correo.motivo]
    mensaje["Date"] = format_datetime(ahora)
    mensaje["Message-ID"] = f"<{correo.id}@{remitente.domain}>"
    mensaje["Auto-Submitted"] = "auto-generated"  # RFC 3834: holiday notices do not answer
    texto = _TEXTOS[correo.motivo].format(enlace=enlace, tienda=tienda, plazo=_plazo(plazo_segundos))
    mensaje.set_content(texto, cte="quoted-printable")
    return mensaje


def enlace(tienda: str, accion: Accion, token: str) -> str:
    """The token stands behind a `#`: browsers send that to nobody, so it is in no log and no `Referer`."""
    return f"{tienda.rstrip('/')}/{accion}#token={token}"


def direccion(email: str) -> Address:
    """The address of a user for SMTP: the domain in its ASCII form (RFC 5891), a local part quoted if it must be.

    Raises:
        ValueError: the domain is none.
    """
    local, _, domain = email.rpartition("@")
    return Address(username=local, domain=domain if domain.isascii() else idna.encode(domain, uts46=True).decode())


def remitente(texto: str) -> Address:
    """`Tienda <no-responder@tienda.es>`, or the address alone. Raises `ValueError`."""
    name, address = parseaddr(texto)
    if not es_email(address) or not address.isascii() or not texto.isprintable():
        raise ValueError("debe ser una dirección: no-responder@tienda.es, o Tienda <no-responder@tienda.es>")
    return Address(name, addr_spec=address)


def _plazo(segundos: int) -> str:
    return f"{segundos // 3600} h" if segundos % 3600 == 0 else f"{math.ceil(segundos / 60)} min"
