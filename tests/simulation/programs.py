"""What each service's process runs: its own wiring (`assemble`), over simulated neighbours, database and clock."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID

import comanda.inventario.app
import comanda.inventario.clients
import comanda.pedidos.app
import comanda.pedidos.clients
import comanda.pedidos.fichas
from comanda.common.http import Answer, Neighbour, NeighbourAnswer
from comanda.common.resilience import Circuit
from comanda.inventario.domain import Existencias
from comanda.inventario.settings import Settings as InventarioSettings
from comanda.pedidos.settings import Settings as PedidosSettings
from simulation import fencing, sharing
from simulation.caps import Caps
from simulation.doors import InventarioDoor, PedidosDoor, ProductosDoor
from simulation.hosts import Host, Program
from simulation.network import Message, Network
from simulation.process import Process
from simulation.sqlite import SimulatedDatabase, Template

TIMES: dict[str, Any] = {
    "breaker_fail_max": 3,
    "breaker_timeout_seconds": 3,
    "retry_attempts": 1,
    "retry_wait_seconds": 0.3,
    "http_timeout_seconds": 0.8,
}
"""Everything is quicker than in life, in about the same proportions."""

PEDIDOS = PedidosSettings(
    database_url="sqlite:///unused",
    abandon_seconds=15,
    recovery_seconds=3,
    recovery_backoff_seconds=6,
    max_open_orders=0,
    max_open_units=0,
    **TIMES,
)
INVENTARIO = InventarioSettings(database_url="sqlite:///unused", reserva_ttl_seconds=25, sweep_seconds=4, **TIMES)


def quiet_seconds(clocks_apart_seconds: float) -> float:
    """Promise 4: within this time of the last fault, and of the last request, every order has ended.

    It is the sum that docs/reliability.md gives, with the settings above. A time that one clock wrote is waited for by
    another, hence the rest.
    """
    return (
        PEDIDOS.abandon_seconds
        + PEDIDOS.breaker_timeout_seconds
        + PEDIDOS.recovery_backoff_seconds
        + INVENTARIO.reserva_ttl_seconds
        + clocks_apart_seconds
    )


@cache
def template(package: str) -> Template:
    return Template(package)


class SimulatedNeighbour(Neighbour):
    """`Neighbour` with its circuit, retries and verdicts, over the simulated network instead of an HTTP client."""

    def __init__(self, name: str, circuit: Circuit, timeout_seconds: float, network: Network, source: str) -> None:
        super().__init__(
            name, f"http://{name}.invalid", circuit=circuit, timeout_seconds=timeout_seconds, authorization=lambda: ""
        )
        self._network = network
        self._source = source

    async def _attempt(self, method: str, path: str, content: bytes | None, params: Any, headers: Any) -> Answer:
        message = Message(method, path, content, params or {})
        reply = await self._network.exchange(self._source, self.name, message, self._timeout_seconds)
        answer = Answer(self.name, reply.status, reply.headers, reply.content)
        if answer.status >= 400:
            raise NeighbourAnswer(answer)
        return answer


@dataclass(frozen=True, slots=True)
class Files:
    """The databases of one run."""

    pedidos: Path
    inventario: Path
    on_commit: Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Loader:
    """Makes the program of a new process, from the same files as the one before it."""

    files: Files
    network: Network
    prices: Callable[[], dict[UUID, int]]
    inactive: frozenset[UUID]
    caps: Caps
    found: Callable[[str], None]
    passes: Callable[[Existencias], None]

    def pedidos(self, host: Host, process: Process) -> Program:
        database = self._database("comanda.pedidos", self.files.pedidos, host, process)
        inventario, productos = (self._neighbour(name, PEDIDOS, host) for name in ("inventario", "productos"))
        parts = comanda.pedidos.app.assemble(
            PEDIDOS.model_copy(update=self.caps._asdict()),
            host.clock,
            database,
            comanda.pedidos.clients.InventarioHttp(inventario),
            comanda.pedidos.fichas.ProductosHttp(productos, host.clock),
        )
        fencing.watch(parts.pedidos._repository, self.found)
        return Program(PedidosDoor(parts.pedidos), parts.loops)

    def inventario(self, host: Host, process: Process) -> Program:
        database = self._database("comanda.inventario", self.files.inventario, host, process)
        productos = comanda.inventario.clients.ProductosHttp(self._neighbour("productos", INVENTARIO, host))
        parts = comanda.inventario.app.assemble(INVENTARIO, host.clock, database, productos)
        sharing.watch(parts.inventario._repository, self.passes)
        return Program(InventarioDoor(parts.inventario), parts.loops)

    def productos(self, host: Host, process: Process) -> Program:
        return Program(ProductosDoor(self.prices, self.inactive), [])

    def _database(self, package: str, path: Path, host: Host, process: Process) -> SimulatedDatabase:
        engine = template(package).engine(path, process, lambda: self.files.on_commit(package))
        return SimulatedDatabase(engine, host.clock)

    def _neighbour(self, name: str, settings: PedidosSettings | InventarioSettings, host: Host) -> SimulatedNeighbour:
        circuit = Circuit.from_settings(name, settings, host.clock)
        return SimulatedNeighbour(name, circuit, settings.http_timeout_seconds, self.network, host.name)
