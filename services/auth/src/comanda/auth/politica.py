"""Whether somebody may have that password, by all that this installation knows."""

import asyncio
from urllib.parse import urlsplit

import structlog

from comanda.auth.domain import normalizar_password
from comanda.auth.domain_password import objecion, objecion_de_contexto, palabras_de
from comanda.auth.filtradas import Filtradas
from comanda.auth.settings import Settings
from comanda.common.problems import DatosInvalidos

log = structlog.get_logger()


class Politica:
    """Asked wherever a password is chosen, never where one is compared."""

    def __init__(self, settings: Settings) -> None:
        hosts = (urlsplit(url).hostname or "" for url in (settings.issuer, settings.tienda))
        self._palabras = palabras_de("comanda", *hosts, *settings.context_words.split(","))
        path = settings.breached_passwords_file
        self._filtradas = Filtradas(path) if path else None

    async def exigir(self, campo: str, password: str, *, email: str, nombre: str) -> None:
        """Raises `DatosInvalidos` on that field."""
        motivo = await self.objecion(password, email=email, nombre=nombre)
        if motivo:
            raise DatosInvalidos.of(campo, motivo)

    async def objecion(self, password: str, *, email: str, nombre: str) -> str | None:
        """Why that person may not have it, None if they may. Lists are read from disk, so not in the loop."""
        return await asyncio.to_thread(self._objecion, normalizar_password(password), email, nombre)

    def _objecion(self, password: str, email: str, nombre: str) -> str | None:
        local, _, domain = email.partition("@")
        palabras = self._palabras | palabras_de(local, domain, nombre)
        motivo = objecion(password, email) or objecion_de_contexto(password, palabras)
        if not motivo and self._esta_filtrada(password):
            return "Ha aparecido en una filtración de otro sitio: elija otra, y cámbiela también donde la use."
        return motivo

    def _esta_filtrada(self, password: str) -> bool:
        """A disk that fails later on must not keep people from changing their password; the other rules still hold."""
        try:
            return self._filtradas is not None and self._filtradas.contiene(password)
        except (OSError, ValueError) as error:
            log.error("breached_passwords_unreadable", reason=str(error))
            return False
