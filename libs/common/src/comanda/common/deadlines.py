"""How long the answer to a request is waited for, told from hop to hop: work that nobody waits for is not begun.

`X-Request-Timeout-Ms` says what is left, in whole milliseconds. It is relative, as gRPC's `grpc-timeout` and Connect's
`Connect-Timeout-Ms`, so the clocks of two hosts may differ; what the network takes is not counted. ADR 0033.
"""

import asyncio
from contextvars import ContextVar
from math import inf

from comanda.common.problems import DatosInvalidos, ServicioSaturado

TIMEOUT_HEADER = "X-Request-Timeout-Ms"
MOST_DIGITS = 8
"""As many as gRPC takes; about a day."""

DEADLINE: ContextVar[float] = ContextVar("comanda_deadline", default=inf)
"""When the caller stops waiting, by the clock of the event loop. A background loop has none."""


class PlazoAgotado(ServicioSaturado):
    """Whoever asked has stopped waiting, so it was not begun; nothing has been changed by this step."""

    summary = "El plazo de la petición se agotó antes de empezar; repítala, con la misma clave si la lleva."


def begin(given: bytes | None, most_seconds: float) -> None:
    """Sets the deadline of the request that is served in this context.

    Args:
        given: the header of the request, if it has one; it shortens what is allowed here, and never lengthens it.

    Raises:
        DatosInvalidos: it is not 1–8 digits.
    """
    seconds = most_seconds
    if given is not None:
        if not given.isdigit() or len(given) > MOST_DIGITS:
            raise DatosInvalidos.of(TIMEOUT_HEADER, f"Deben ser milisegundos: de 1 a {MOST_DIGITS} cifras.")
        seconds = min(seconds, int(given) / 1000)
    DEADLINE.set(asyncio.get_running_loop().time() + seconds)


def left_seconds() -> float:
    """What is left to the request of this context; 0 or less: nobody waits; infinite outside of a request."""
    deadline = DEADLINE.get()
    return deadline if deadline == inf else deadline - asyncio.get_running_loop().time()


def to_header(seconds: float) -> str:
    """Whole milliseconds, rounded down: a neighbour may stop too early, never too late."""
    return str(max(0, int(seconds * 1000)))
