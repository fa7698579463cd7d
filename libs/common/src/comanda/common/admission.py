"""Who is let in when more is asked than can be done: three classes of requests, each with a share of its own.

A class that is full refuses its own requests alone. What ends an order has no share to fill but the whole, and reads do
not only wait for a place, but also for their turn: a few at a time are worked on, so that between them everything else
in the event loop has a turn as well (on SQLite a read does not let go of it before its end).

Sources: «Site Reliability Engineering», ch. 21, «Criticality»; Nygard, «Release It!», «Bulkheads».
"""

import asyncio
from collections.abc import Callable
from typing import Literal

from prometheus_client import Counter

from comanda.common.operations import OPERATION, UNGUARDED
from comanda.common.problems import ServicioSaturado
from comanda.common.settings import ServiceSettings

ADMISSION = "comanda.admission"
"""In the state of an application: its `Admission`, for the server to ask before it begins anything."""

Clase = Literal["critica", "ordinaria", "lectura"]
Classify = Callable[[str, str, bytes], Clase]
"""The class of a request by its method, path and query string."""

READS_AT_ONCE = 2
"""Reads that are worked on at the same time. Sending an answer to a slow client is no work. More would
do more only where the database is far away, and each of them delays every step of whoever ends an order."""

REFUSAL_SECONDS = 0.2
"""A refusal is told so late, while there is room to let it wait: who asks again at once, asks five times a second."""

SHED = Counter(
    "comanda_http_shed_total",
    "Requests refused before they were served, by class and cause: share full (cupo), or too late (plazo)",
    ["servicio", "clase", "causa"],
)
FULL, LATE = "cupo", "plazo"


def ordinary(_method: str, _path: str, _query: bytes) -> Clase:
    """All alike: of a service that names no classes."""
    return "ordinaria"


class Admission:
    """The requests in hand, by class. It belongs to one event loop."""

    def __init__(self, service: str, settings: ServiceSettings, classify: Classify) -> None:
        self._classify = classify
        self._service = service
        self._waiting = 0
        self._most_waiting = settings.max_concurrency // 4
        self._turns = asyncio.Semaphore(READS_AT_ONCE)
        self._in_hand: dict[Clase, int] = {"critica": 0, "ordinaria": 0, "lectura": 0}
        self._most: dict[Clase, int] = {
            "critica": settings.max_concurrency,
            "ordinaria": settings.max_ordinary,
            "lectura": settings.max_reads,
        }

    def class_of(self, method: str, path: str, query: bytes) -> Clase | None:
        """None: it is let in whatever else there is."""
        if path in UNGUARDED:
            return None
        return "critica" if path == OPERATION else self._classify(method, path, query)

    async def enter(self, clase: Clase) -> None:
        """Takes a place, to be given back by `leave`. Raises `ServicioSaturado`: the class has none left."""
        if self.has_room(clase):
            self._in_hand[clase] += 1
            return
        self.refused(clase, FULL)
        if self.begin_wait():
            try:
                await asyncio.sleep(REFUSAL_SECONDS)
            finally:
                self.end_wait()
        raise ServicioSaturado

    @property
    def is_full(self) -> bool:
        """Whether some class has no place left; asked before each request, so that most need no closer look."""
        return not all(map(self.has_room, self._most))

    def has_room(self, clase: Clase) -> bool:
        return self._in_hand[clase] < self._most[clase]

    def begin_wait(self) -> bool:
        """Whether a refusal may be told late, to be followed by `end_wait`: not, where too many wait already."""
        may_wait = self._waiting < self._most_waiting
        self._waiting += may_wait
        return may_wait

    def end_wait(self) -> None:
        self._waiting -= 1

    def leave(self, clase: Clase) -> None:
        self._in_hand[clase] -= 1

    async def begin_read(self) -> None:
        """Waits until it is the turn of a read, which `end_read` ends."""
        await self._turns.acquire()

    def end_read(self) -> None:
        """Another read has its turn in the next one of the loop: on SQLite all of them would run in this one."""
        asyncio.get_running_loop().call_soon(self._turns.release)

    def refused(self, clase: Clase, causa: str) -> None:
        SHED.labels(self._service, clase, causa).inc()
