"""The ways by which a mail leaves: an SMTP server, or a folder while developing."""

import asyncio
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import Self
from urllib.parse import unquote, urlsplit

import aiosmtplib

from comanda.common.files import create_once

ENVIO_SECONDS = 30
"""Longest time that one mail may take. Another replica takes it for lost later than this."""

KEPT_FILES = 200
"""Mails that stay in the folder; the oldest go first."""


class NoEntregado(Exception):
    """The mail did not leave; it may later. The message names the reason and nobody's address."""


class DireccionRechazada(NoEntregado):
    """The server says that there is no such address."""


@dataclass(frozen=True, slots=True)
class ServidorSmtp:
    """Where mail is handed over, as a URL says it.

    `smtps://` speaks TLS from the first byte, `smtp://` demands STARTTLS (RFC 3207); both verify the certificate.
    `smtp+insecure://` sends in clear, so it takes no password: for a relay on the same machine or network.
    """

    esquema: str
    host: str
    port: int
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    PORTS = {"smtps": 465, "smtp": 587, "smtp+insecure": 25}  # noqa: RUF012  # no annotation, so no field

    @classmethod
    def de(cls, url: str) -> Self:
        """Raises `ValueError`."""
        parts = urlsplit(url)
        if parts.scheme not in cls.PORTS or not parts.hostname or parts.path.strip("/") or parts.query:
            raise ValueError("debe ser smtp://usuario:clave@host:puerto, smtps://… o smtp+insecure://host:puerto")
        if parts.scheme == "smtp+insecure" and parts.password is not None:
            raise ValueError("smtp+insecure:// no lleva clave: iría sin cifrar")
        return cls(
            parts.scheme,
            parts.hostname,
            parts.port or cls.PORTS[parts.scheme],
            None if parts.username is None else unquote(parts.username),
            None if parts.password is None else unquote(parts.password),
        )


class Smtp:
    """Hands mails to a server, each on a connection of its own."""

    def __init__(self, servidor: ServidorSmtp) -> None:
        self._servidor = servidor

    async def enviar(self, mensaje: EmailMessage, *, remitente: str, destinatario: str) -> None:
        """Returns when the server has taken the mail. Raises `NoEntregado`, `DireccionRechazada`."""
        servidor = self._servidor
        try:
            async with asyncio.timeout(ENVIO_SECONDS):
                await aiosmtplib.send(
                    mensaje,
                    sender=remitente,
                    recipients=[destinatario],
                    hostname=servidor.host,
                    port=servidor.port,
                    username=servidor.username,
                    password=servidor.password,
                    use_tls=servidor.esquema == "smtps",
                    start_tls=servidor.esquema == "smtp",
                    timeout=ENVIO_SECONDS,
                )
        except aiosmtplib.SMTPRecipientsRefused as error:
            [refusal] = error.recipients
            raise _rechazo(refusal) from None
        except (aiosmtplib.SMTPException, OSError, TimeoutError, ValueError) as error:
            raise NoEntregado(_motivo(error)) from None


class Carpeta:
    """Writes mails as files of their own, mode 0600, into a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def enviar(self, mensaje: EmailMessage, *, remitente: str, destinatario: str) -> None:
        """Raises `NoEntregado`."""
        name = mensaje["Message-ID"].strip("<>").partition("@")[0]
        try:
            await asyncio.to_thread(self._write, f"{name}.eml", mensaje.as_bytes())
        except OSError as error:
            raise NoEntregado(_motivo(error)) from None

    def _write(self, name: str, content: bytes) -> None:
        create_once(self._folder / name, content, 0o600)
        for old in sorted(self._folder.glob("*.eml"))[:-KEPT_FILES]:
            old.unlink(missing_ok=True)


Transporte = Smtp | Carpeta


def _rechazo(refusal: aiosmtplib.SMTPRecipientRefused) -> NoEntregado:
    """Only a status of the address itself (RFC 3463 §3.2) is final; «relaying denied» is for an operator to mend."""
    final = refusal.code >= 500 and refusal.message.startswith("5.1.")
    return (DireccionRechazada if final else NoEntregado)(_motivo(refusal))


def _motivo(error: Exception) -> str:
    code = getattr(error, "code", None)
    return type(error).__name__ if code is None else f"{type(error).__name__} {code}"
