"""`GET /operacion`: how this process is doing, in one document for a page that shows it live."""

import os
import socket
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Literal

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from pydantic import AwareDatetime, BaseModel, Field

from comanda.common.measures import measures
from comanda.common.resilience import Circuit
from comanda.common.window import SECONDS, Figures, Key, Window

if TYPE_CHECKING:
    from comanda.common.app import Wiring


class Circuito(BaseModel):
    nombre: str
    estado: Literal["CERRADO", "ABIERTO", "SEMIABIERTO"]
    fallos: int
    abre_hasta: AwareDatetime | None


class Latencia(BaseModel):
    """Milliseconds; null: nothing was asked."""

    p50: float | None
    p95: float | None
    p99: float | None


class Ruta(Latencia):
    metodo: str
    ruta: str = Field(description="a template; `-`: no route, or too many to tell apart")
    por_segundo: float
    errores_por_segundo: float


class Peticiones(BaseModel):
    en_curso: int = Field(description="in hand besides the one that asks")
    por_segundo: float
    errores_por_segundo: float = Field(description="answers of 500 and more")
    latencia_ms: Latencia
    rutas: list[Ruta] = Field(description="the busiest first")


class Cola(BaseModel):
    nombre: str
    en_espera: int = Field(description="of a pool (`conexiones-…`): in use")
    maximo: int


class Operacion(BaseModel):
    """The process that answers, in the last `ventana_segundos`; probes and this route are not counted."""

    servicio: str
    version: str
    instancia: str
    en: AwareDatetime
    arrancado_en: AwareDatetime
    ventana_segundos: int
    peticiones: Peticiones
    circuitos: list[Circuito]
    colas: list[Cola]


@dataclass(frozen=True, slots=True)
class More:
    """What a service adds.

    Args:
        model: the document with its further fields.
        gather: their values, from the figures of each route.
        measure: what it adds to `GET /metrics`.
    """

    model: type[Operacion]
    gather: Callable[[Mapping[Key, Figures]], Awaitable[Mapping[str, Any]]]
    measure: Callable[[], Awaitable[Iterable[Metric]]]


class Operation:
    """Args: window: what was asked of the process."""

    def __init__(self, wiring: "Wiring", window: Window) -> None:
        self._wiring = wiring
        self._window = window
        self._began = wiring.clock.now()
        self._version = _version(wiring.name)
        self._instance = f"{socket.gethostname()}:{os.getpid()}"

    async def describe(self) -> Operacion:
        everything, routes = self._window.figures()
        more = self._wiring.more
        own = await more.gather(routes) if more else {}
        return (more.model if more else Operacion)(
            servicio=self._wiring.name,
            version=self._version,
            instancia=self._instance,
            en=self._wiring.clock.now(),
            arrancado_en=self._began,
            ventana_segundos=SECONDS,
            peticiones=_peticiones(everything, routes, self._window.in_hand - 1),
            circuitos=[circuito(circuit) for circuit in self._wiring.circuits],
            colas=self._colas(),
            **own,
        )

    async def measure(self, *, ready: bool) -> CollectorRegistry:
        """What Prometheus is told besides what is counted as it happens."""
        more = await self._wiring.more.measure() if self._wiring.more else ()
        return measures(self._wiring, in_hand=self._window.in_hand - 1, ready=ready, more=more)

    def _colas(self) -> list[Cola]:
        pool = self._wiring.database.pool
        in_hand = self._wiring.settings.max_concurrency
        return [
            Cola(nombre=queue.name, en_espera=queue.waiting(), maximo=in_hand if queue.most is None else queue.most)
            for queue in (*self._wiring.queues, *([pool] if pool else []))
        ]


def circuito(circuit: Circuit) -> Circuito:
    return Circuito.model_validate(circuit.snapshot(), from_attributes=True)


def _peticiones(everything: Figures, routes: Mapping[Key, Figures], in_hand: int) -> Peticiones:
    return Peticiones(
        en_curso=in_hand,
        por_segundo=everything.per_second,
        errores_por_segundo=everything.errors_per_second,
        latencia_ms=Latencia(p50=everything.p50, p95=everything.p95, p99=everything.p99),
        rutas=[
            Ruta(
                metodo=method,
                ruta=route,
                por_segundo=figures.per_second,
                errores_por_segundo=figures.errors_per_second,
                p50=figures.p50,
                p95=figures.p95,
                p99=figures.p99,
            )
            for (method, route), figures in routes.items()
        ],
    )


def _version(service: str) -> str:
    """That of the installed package; of a service without one, ours."""
    try:
        return version(f"comanda-{service}")
    except PackageNotFoundError:
        return version("comanda-common")
