"""A small simulation of Comanda: what an order costs goes in, how many a second it can take comes out.

An order goes through four stages: productos is asked, the order is recorded, inventario is asked, the verdict is
recorded. Each is served in turns, as `comanda.common.batch` does: a turn takes all that wait, costs its
process so much for itself and so much for each order, and then its database likewise. A process has one thread. Who
reserves holds the rows of the products until its transaction has ended.

Left out: the network, garbage collection, the tail of a disk. What it says is the middle of what to expect.
"""

import random
import statistics
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import simpy

MOST_IN_A_TURN = 200
STAGES = ("productos", "pedidos", "inventario", "pedidos")
VISITS = {"pedidos": 2, "productos": 1, "inventario": 1}
DATABASE_VISITS = len(STAGES)
Events = Generator[Any, Any, None]


@dataclass(frozen=True)
class Cost:
    """Seconds of CPU: of a turn whatever its size, and of each order in it."""

    turn: float
    order: float

    def of(self, orders: int) -> float:
        return self.turn + self.order * orders

    @classmethod
    def fitted(cls, sizes: Sequence[float], measured: Sequence[float]) -> "Cost":
        """From what an order cost at several sizes of turns: cost = turn ÷ size + order, by least squares.

        The residuals are weighted by 1 ÷ cost, so that the large turns, which matter at the limit, count as much as the
        small.
        """
        rows = [(1 / size / cost, 1 / cost) for size, cost in zip(sizes, measured, strict=True)]
        xx, xy, yy = (sum(a[i] * a[j] for a in rows) for i, j in ((0, 0), (0, 1), (1, 1)))
        x, y = (sum(a[i] for a in rows) for i in (0, 1))
        determinant = xx * yy - xy * xy
        return cls((x * yy - y * xy) / determinant, max((y * xx - x * xy) / determinant, 0.0))


@dataclass(frozen=True)
class Plant:
    """What runs.

    Args:
        costs: of an order, by process; `postgresql` is what all databases take together.
        replicas: of each service.
        cores: that all processes and databases share; None: each process has one of its own.
        database_cores: of each database, where cores are not shared.
        commit_seconds: what a commit waits for its disk, or for a standby.
        products: among which orders are spread evenly; 1: a hot product.
        partitions: of inventario, each with its own products in its own database.
        shards: of pedidos, each with its own replicas and its own database.
    """

    costs: Mapping[str, Cost]
    replicas: Mapping[str, int]
    cores: int | None = None
    database_cores: int = 16
    commit_seconds: float = 0.0002
    products: int = 1000
    partitions: int = 1
    shards: int = 1
    client_seconds: float = 0.0


@dataclass
class Predicted:
    """Orders a second, the median and 99th percentile of their seconds, and the busy part of each kind of process."""

    rate: float
    p50: float
    p99: float
    orders_a_turn: float
    busy: dict[str, float]


@dataclass
class _Order:
    product: int
    replica: int
    since: float
    again: Any = None
    stage: int = 0


@dataclass
class _Queue:
    waiting: list[_Order] = field(default_factory=list)
    wake: Any = None


class Simulation:
    def __init__(self, plant: Plant, seed: int = 1) -> None:
        self._plant = plant
        self._env = simpy.Environment()
        self._random = random.Random(seed)  # noqa: S311  # a simulation, no secret
        shared = simpy.Resource(self._env, plant.cores) if plant.cores else None
        self._threads = {
            name: [(simpy.Resource(self._env, 1), shared) for _ in range(number)]
            for name, number in plant.replicas.items()
        }
        self._databases = {
            name: [shared or simpy.Resource(self._env, plant.database_cores) for _ in range(number)]
            for name, number in (("pedidos", plant.shards), ("productos", 1), ("inventario", plant.partitions))
        }
        self._shared = shared
        self._free = [0.0] * plant.products
        self._busy = dict.fromkeys([*plant.replicas, *(f"{name} database" for name in self._databases)], 0.0)
        self._turns: list[int] = []
        self._latencies: list[tuple[float, float]] = []
        self._queues: dict[tuple[int, int], _Queue] = {}
        for replica in range(plant.replicas["pedidos"]):
            for stage in range(len(STAGES)):
                self._queues[replica, stage] = _Queue()
                self._env.process(self._turns_of(replica, stage))

    def closed(self, clients: int, seconds: float) -> Predicted:
        """So many clients, each of whom orders again as soon as it has its answer."""
        for _ in range(clients):
            self._env.process(self._client())
        return self._run(seconds)

    def open(self, rate: float, seconds: float) -> Predicted:
        """So many orders a second, evenly spaced by chance (a Poisson process)."""
        self._env.process(self._arrivals(rate))
        return self._run(seconds)

    def _run(self, seconds: float) -> Predicted:
        self._env.run(until=seconds)
        settled = [latency for end, latency in self._latencies if end > seconds / 4]
        times = sorted(settled) or [float("inf")]
        number = {**self._plant.replicas}
        number |= {f"{name} database": len(them) * self._plant.database_cores for name, them in self._databases.items()}
        return Predicted(
            rate=len(settled) / (seconds * 3 / 4),
            p50=statistics.median(times),
            p99=times[int(len(times) * 0.99)],
            orders_a_turn=statistics.mean(self._turns) if self._turns else 0,
            busy={name: used / seconds / number[name] for name, used in self._busy.items()},
        )

    def _client(self) -> Events:
        while True:
            if self._plant.client_seconds and self._shared is not None:
                with self._shared.request() as core:
                    yield core
                    yield self._env.timeout(self._plant.client_seconds)
            answered = self._env.event()
            self._enter(answered)
            yield answered

    def _arrivals(self, rate: float) -> Events:
        """In steps of a millisecond at most, so that a hundred thousand a second cost no more than their orders."""
        step = max(0.001, 1 / rate)
        while True:
            yield self._env.timeout(step)
            mean = rate * step
            for _ in range(max(0, round(self._random.gauss(mean, mean**0.5)))):
                self._enter(None)

    def _enter(self, answered: Any) -> None:
        replica = self._random.randrange(self._plant.replicas["pedidos"])
        self._wait(_Order(self._random.randrange(self._plant.products), replica, self._env.now, answered))

    def _wait(self, order: _Order) -> None:
        queue = self._queues[order.replica, order.stage]
        queue.waiting.append(order)
        if queue.wake is not None and not queue.wake.triggered:
            queue.wake.succeed()

    def _turns_of(self, replica: int, stage: int) -> Events:
        queue, service = self._queues[replica, stage], STAGES[stage]
        while True:
            if not queue.waiting:
                queue.wake = self._env.event()
                yield queue.wake
            batch, queue.waiting[:] = queue.waiting[:MOST_IN_A_TURN], queue.waiting[MOST_IN_A_TURN:]
            self._turns.append(len(batch))
            at = replica if service == "pedidos" else self._random.randrange(self._plant.replicas[service])
            yield from self._on_thread(service, at, len(batch))
            yield from self._in_database(service, batch)
            for order in batch:
                self._advance(order)

    def _advance(self, order: _Order) -> None:
        order.stage += 1
        if order.stage < len(STAGES):
            self._wait(order)
            return
        self._latencies.append((self._env.now, self._env.now - order.since))
        if order.again is not None:
            order.again.succeed()

    def _on_thread(self, service: str, at: int, orders: int) -> Events:
        cost = self._plant.costs[service]
        seconds = cost.of(orders) / VISITS[service]
        thread, cores = self._threads[service][at]
        with thread.request() as turn:
            yield turn
            yield from self._work(service, cores, seconds)

    def _in_database(self, service: str, batch: Sequence[_Order]) -> Events:
        """Where rows are locked, each partition's part of the batch waits for those who hold its rows."""
        number = len(self._databases[service])
        parts: dict[int, list[int]] = {}
        for order in batch:
            key = order.product if service == "inventario" else order.replica
            parts.setdefault(key % number, []).append(order.product)
        for partition, products in parts.items():
            seconds = self._plant.costs["postgresql"].of(len(products)) / DATABASE_VISITS
            if service == "inventario":
                held_until = max(self._free[product] for product in products)
                end = max(held_until, self._env.now) + seconds + self._plant.commit_seconds
                for product in products:
                    self._free[product] = end
                yield self._env.timeout(max(0.0, held_until - self._env.now))
            yield from self._work(f"{service} database", self._databases[service][partition], seconds)
            if service != "productos":
                yield self._env.timeout(self._plant.commit_seconds)

    def _work(self, name: str, cores: simpy.Resource | None, seconds: float) -> Events:
        self._busy[name] += seconds
        if cores is None:
            yield self._env.timeout(seconds)
            return
        with cores.request() as core:
            yield core
            yield self._env.timeout(seconds)
