"""Who is let in when more is asked than can be done: three classes of requests, each with a share of its own.

A class that is full refuses its own requests alone, at once and cheaply; those that end what is under way (cancel,
complete, confirm, release) and the probes have no share to fill but the whole. As most of the work of a process is done
one after the other, a share is also a bound of the time that its requests can cost those of the other classes.

Source: the Site Reliability Workbook and «Site Reliability Engineering», ch. 21, «Criticality».
"""

from collections.abc import Callable
from typing import Literal

from prometheus_client import Counter

from comanda.common.problems import ServicioSaturado
from comanda.common.settings import ServiceSettings

Clase = Literal["critica", "ordinaria", "lectura"]
Classify = Callable[[str, str, bytes], Clase]
"""The class of a request by its method, path and query string."""

SHED = Counter(
    "comanda_http_shed_total",
    "Requests refused unserved, by class and cause: share full, or too late.",
    ["servicio", "clase", "causa"],
)
FULL, LATE = "cupo", "plazo"


def ordinary(_method: str, _path: str, _query: bytes) -> Clase:
    """All alike: of a service that names no classes."""
    return "ordinaria"


class Admission:
    """The requests in hand, by class. It belongs to one event loop."""

    def __init__(self, service: str, settings: ServiceSettings, classify: Classify) -> None:
        self.classify = classify
        self._service = service
        self._in_hand: dict[Clase, int] = {"critica": 0, "ordinaria": 0, "lectura": 0}
        self._most: dict[Clase, int] = {
            "critica": settings.max_concurrency,
            "ordinaria": min(settings.max_ordinary, settings.max_concurrency),
            "lectura": min(settings.max_reads, settings.max_concurrency),
        }

    def enter(self, clase: Clase) -> None:
        """Takes a place, to be given back by `leave`. Raises `ServicioSaturado`: the class has none left."""
        if self._in_hand[clase] >= self._most[clase]:
            self.refused(clase, FULL)
            raise ServicioSaturado
        self._in_hand[clase] += 1

    def leave(self, clase: Clase) -> None:
        self._in_hand[clase] -= 1

    def refused(self, clase: Clase, causa: str) -> None:
        SHED.labels(self._service, clase, causa).inc()
