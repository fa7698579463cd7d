"""What auth mailed, and what is done with the links in it."""

import re
from collections.abc import Awaitable, Callable
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTPUTF8
from pathlib import Path
from typing import Any

from comanda.testing import problem

EMAIL, PASSWORD, NUEVA = "ana@ejemplo.es", "caballo correcto", "otra muy distinta"
RESTABLECER, VERIFICAR, AVISO = (
    "Una contraseña nueva para su cuenta",
    "Confirme su dirección de correo",
    "La contraseña de su cuenta ha cambiado",
)

Recibir = Callable[[], Awaitable[list[EmailMessage]]]
"""The fixture `recibir`: everything that was mailed so far, once nothing waits any more."""


def read(folder: Path) -> list[EmailMessage]:
    found = [message_from_bytes(path.read_bytes(), policy=SMTPUTF8) for path in sorted(folder.glob("*.eml"))]
    return [message for message in found if isinstance(message, EmailMessage)]


async def enlace(recibir: Recibir, asunto: str) -> str:
    """The token of the newest mail with that subject."""
    texts = [message.get_content() for message in await recibir() if message["Subject"] == asunto]
    accion = "restablecer" if asunto == RESTABLECER else "verificar"
    [token] = re.findall(rf"http://127\.0\.0\.1:8000/{accion}#token=(\S+)", texts[-1])
    return str(token)


async def olvidada(api: Any, email: str = EMAIL, **kwargs: Any) -> Any:
    return await api.http.post("/auth/password/olvidada", json={"email": email}, **kwargs)


async def restablecer(api: Any, token: str, nueva: str = NUEVA) -> Any:
    return await api.http.post("/auth/password/restablecer", json={"token": token, "nueva": nueva})


async def verificar(api: Any, token: str) -> Any:
    return await api.http.post("/auth/email/verificar", json={"token": token})


def invalido(response: Any) -> bool:
    return (response.status_code, problem(response)) == (422, "enlace-invalido")
