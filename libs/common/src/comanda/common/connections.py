"""Connections that hold a place and give nothing for it: heads that never end, answers that nobody reads.

Nothing is timed for each request. One look at all connections, about once a second, finds those that stand where they
stood before.
"""

import asyncio
from collections.abc import Collection
from typing import Protocol

from comanda.common.problems import Problem
from comanda.common.response_headers import RawHeaders

LATE_SECONDS = 2
"""A look that comes later is left out: it was this process that stood still, and it has yet to read what came."""


class PeticionMalFormada(Problem):
    """What came is not HTTP (RFC 9112)."""

    status, slug, title = 400, "peticion-mal-formada", "La petición no es HTTP válido"


class CabeceraDemasiadoLenta(Problem):
    """The client took too long to send the head of a request."""

    status, slug, title = 408, "cabecera-demasiado-lenta", "La cabecera no llegó a tiempo"


class UrlDemasiadoLarga(Problem):
    """The target of the request is longer than the service accepts."""

    status, slug, title = 414, "url-demasiado-larga", "La dirección es demasiado larga"


class CabeceraDemasiadoGrande(Problem):
    """The head of the request is larger than the service accepts, or has too many fields."""

    status, slug, title = 431, "cabecera-demasiado-grande", "La cabecera es demasiado grande"


class Watched(Protocol):
    def look(self, now: float) -> None:
        """Ends the connection if the client has owed something for too long; `now` is the event loop's time."""


class Watch:
    """The bounds of the connections of one process.

    Args:
        service: its name, for the metrics.
        header_timeout_seconds: longest time to receive the head of a request, or what is left of a refused body; it
            counts from the first look, so up to a second more.
        unread_seconds: longest time in which a client takes nothing of an answer.
        max_header_bytes: largest head, its line included.
        headers: what refusals carry besides their own.
    """

    MAX_FIELDS = 100
    MAX_URL_BYTES = 8192
    """RFC 9110 §4.1: at least 8000. The longest that we ask for is 200 ids."""

    def __init__(
        self,
        service: str = "-",
        *,
        header_timeout_seconds: float = 10,
        unread_seconds: float = 60,
        max_header_bytes: int = 32_768,
        max_connections: int = 2000,
        headers: RawHeaders = (),
    ) -> None:
        self.service = service
        self.header_timeout_seconds = header_timeout_seconds
        self.unread_seconds = unread_seconds
        self.max_header_bytes = max_header_bytes
        self.max_connections = max_connections
        self.headers = headers
        self._pause_seconds = min(1.0, header_timeout_seconds / 4)
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0

    def over(self, connections: Collection[Watched], loop: asyncio.AbstractEventLoop) -> None:
        """Looks at these as long as there are any."""
        if self._timer is None:
            self._due = loop.time() + self._pause_seconds
            self._timer = loop.call_later(self._pause_seconds, self._look, connections, loop)

    def _look(self, connections: Collection[Watched], loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        now = loop.time()
        if now - self._due < LATE_SECONDS:
            for connection in tuple(connections):
                connection.look(now)
        if connections:
            self.over(connections, loop)
