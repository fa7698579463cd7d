"""One run: a shop with its replicas, clients and faults, from one seed; then silence, and the reckoning."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import NoReturn
from uuid import UUID

import structlog

from comanda.inventario.domain import Existencias
from simulation import invariants, promises, snapshot
from simulation.caps import Caps
from simulation.clients import Client
from simulation.clock import SimulatedClock
from simulation.faults import Chaos
from simulation.history import History
from simulation.hosts import Host
from simulation.loop import VirtualLoop, run
from simulation.network import LONGEST_DELAY_SECONDS, Network
from simulation.process import adopting
from simulation.programs import Files, Loader, quiet_seconds, template
from simulation.refusals import Referee
from simulation.shop import Shop
from simulation.snapshot import Snapshot
from simulation.sqlite import open_file, scratch
from simulation.trace import Trace
from simulation.witness import Witness

LEAST_OPERATIONS = 200
LEAST_FAULTS = 10
LATE_REQUEST_SECONDS = 5.0
KEYS_KEPT_AT_LEAST = timedelta(hours=47)
"""After less than this no key may be forgotten: clocks are not far apart, and 48 hours is when they are swept."""
CLIENTS = 6
PRODUCTS = [UUID(int=0x7 << 76 | 0b10 << 62 | number) for number in range(1, 7)]
UNCOUNTED, INACTIVE, UNKNOWN = PRODUCTS[3:]
"""One that inventario does not count yet, one that is not for sale, one that productos does not know."""


@dataclass(slots=True)
class Outcome:
    seed: int
    trace: Trace
    seconds: float
    """Virtual."""
    operations: int
    orders: Counter[str]
    """By phase, at the end."""
    placed: int
    """How many orders clients were told 201 for."""
    violations: list[str] = field(default_factory=list)


def simulate(seed: int, *, keep_trace: bool = False) -> Outcome:
    """One run. The same seed gives the same run."""
    loop = VirtualLoop()
    loop.set_task_factory(adopting)
    world = World(seed, loop, Trace(loop.time, keep=keep_trace))
    try:
        with _logs_to(world):
            run(world.live(), loop)
    finally:
        world.close()
    history, orders = world.history, Counter(order.fase for order in world.last.orders.values())
    return Outcome(seed, world.trace, loop.time(), history.operations, orders, history.placed, list(world.violations))


@contextmanager
def _logs_to(world: "World") -> Iterator[None]:
    """Logs are dropped, the trace says more; but nothing that happens here is an error to a service."""

    def report(logger: object, method: str, event: dict[str, object]) -> NoReturn:
        world.found([f"log: {method}: {event}"])
        raise structlog.DropEvent

    before = structlog.get_config()
    wrapper = structlog.make_filtering_bound_logger(logging.ERROR)
    structlog.configure(wrapper_class=wrapper, processors=[report], cache_logger_on_first_use=False)
    try:
        yield
    finally:
        structlog.configure(**before)


class World:
    def __init__(self, seed: int, loop: VirtualLoop, trace: Trace) -> None:
        self.trace = trace
        self.history = History()
        self.violations: dict[str, None] = {}
        self._seed = seed
        self._loop = loop
        self._random = self._dice("world")
        loop.set_exception_handler(self._stray_error)
        self._shop = Shop.draw(self._random, PRODUCTS[:3])
        self._caps = Caps.draw(self._random)
        self._open_files()
        self._network = Network(loop, self._dice("network"), trace)
        inactive = frozenset([INACTIVE])
        loader = Loader(self._files, self._network, self._prices, inactive, self._caps, self._found_one, self._passes)
        counts = {"productos": 1, "inventario": self._random.choice((1, 2)), "pedidos": self._random.choice((2, 3))}
        self._hosts = [
            self._host(f"{service}-{number}", getattr(loader, service))
            for service, count in counts.items()
            for number in range(1, count + 1)
        ]
        for host in self._hosts:
            self._network.hosts.setdefault(host.name.partition("-")[0], []).append(host)
        names = [f"cliente-{number}" for number in range(1, CLIENTS + 1)]
        self._clients = [self._client(name) for name in names]
        self._chaos = Chaos(self._dice("chaos"), self._network, trace, self._hosts, names)

    async def live(self) -> None:
        try:
            await self._live()
        finally:
            for host in self._hosts:
                host.retire()

    async def _live(self) -> None:
        self._chaos.prepare()
        for host in self._hosts:
            host.start()
        for message in self._shop.late_requests():
            self._network.deliver("pedidos-1", "inventario", message, LATE_REQUEST_SECONDS)
        over: asyncio.Future[None] = self._loop.create_future()
        reign = self._loop.create_task(self._chaos.reign(over, LEAST_FAULTS))
        watch = self._loop.create_task(self._watch())
        each, hurry = -(-LEAST_OPERATIONS // CLIENTS), self._random.choice((0.1, 0.3, 0.7))
        await asyncio.gather(*(client.shop(each, hurry) for client in self._clients))
        over.set_result(None)
        await reign
        watch.cancel()
        await self._come_to_rest()
        await self._reckon()

    def close(self) -> None:
        self._pedidos.close()
        self._inventario.close()

    def found(self, violations: Iterable[str]) -> None:
        for violation in violations:
            if violation not in self.violations:
                self.violations[violation] = None
                self.trace.add("referee", "VIOLATION", violation)

    def _found_one(self, violation: str) -> None:
        self.found([violation])

    @property
    def last(self) -> Snapshot:
        return self._last

    async def _come_to_rest(self) -> None:
        """Faults stop, everything is up, messages that are still under way arrive; then the promised time runs."""
        self.trace.add("world", "calm")
        self._network.heal()
        for host in self._hosts:
            host.recover()
        await self._wait(lambda: self._network.in_flight, LONGEST_DELAY_SECONDS)
        await self._wait(lambda: snapshot.moving(self._pedidos), self._quiet_seconds)

    async def _wait(self, goes_on: Callable[[], int], at_most_seconds: float) -> None:
        deadline = self._loop.time() + at_most_seconds
        while goes_on() and self._loop.time() < deadline:  # noqa: ASYNC110  # virtual
            await asyncio.sleep(0.5)

    async def _reckon(self) -> None:
        self.trace.add("world", "reckoning")
        self.found(invariants.when_quiet(self._look()))
        for client in self._clients:
            await client.ask_again()
        await self._wait(lambda: snapshot.moving(self._pedidos), self._quiet_seconds)  # a request that was lost is new
        now = self._look()
        self.found(invariants.when_quiet(now))
        self.found(invariants.histories_are_whole(now, snapshot.histories(self._pedidos)))
        lives = 2 if self._chaos.passed >= KEYS_KEPT_AT_LEAST else 1
        self.found(promises.kept(now, self.history, self._network.arrivals, lives=lives))
        self.found(Referee(now, self.history, self._witness, self._caps).check())
        if self._random.random() < 0.12 or self._shop.abandoned:
            await self._wait(lambda: snapshot.waiting(self._pedidos), self._quiet_seconds)
            self.found(invariants.when_all_is_over(self._look()))
            self.found(self._shop.cleared(self._last, self._pedidos, self._chaos.passed))

    @property
    def _quiet_seconds(self) -> float:
        return quiet_seconds(self._chaos.clocks_apart_seconds)

    async def _watch(self) -> None:
        """Compares the two databases every now and then; between two commits they always agree."""
        while True:
            await asyncio.sleep(self._random.uniform(1, 8))
            self._look()

    def _look(self) -> Snapshot:
        self._last = Snapshot.read(self._pedidos, self._inventario)
        self.found(invariants.at_any_moment(self._last, forgetful=bool(self._chaos.passed)))
        self.found(self._caps.kept(self._last))
        return self._last

    def _open_files(self) -> None:
        folder = scratch()
        self._files = Files(folder / "pedidos.db", folder / "inventario.db", self._committed)
        for package, path in (("comanda.pedidos", self._files.pedidos), ("comanda.inventario", self._files.inventario)):
            # The file itself too: what is still open of the run before would share its locks with a file written over.
            for leftover in ("", "-wal", "-shm"):
                path.with_name(path.name + leftover).unlink(missing_ok=True)
            template(package).copy(path)
        self._pedidos, self._inventario = open_file(self._files.pedidos), open_file(self._files.inventario)
        self._shop.open(self._pedidos, self._inventario)
        self._witness = Witness(self._loop.time, self._pedidos, self._inventario, self.found)

    def _passes(self, now: Existencias) -> None:
        self._witness.passes(now)

    def _committed(self, package: str) -> None:
        self._witness.committed(package)

    def _prices(self) -> dict[UUID, int]:
        """They rise every ten seconds: an order keeps the price at which it was placed."""
        return {producto: 250 * (1 + producto.int % 7) + int(self._loop.time() / 10) for producto in PRODUCTS[:5]}

    def _host(self, name: str, load: object) -> Host:
        clock = SimulatedClock(self._loop, self._dice(f"{name} ids"), 0.0)
        return Host(name, clock, self._dice(name), self.trace, load=load, bug=self._found_one)  # type: ignore[arg-type]

    def _client(self, name: str) -> Client:
        return Client(name, self._dice(name), self._network, self.history, self.trace, PRODUCTS)

    def _dice(self, name: str) -> Random:
        """A source of chance of its own for each part, so that a change in one does not shuffle all others."""
        return Random(f"{self._seed}/{name}")  # noqa: S311  # reproducible on purpose

    def _stray_error(self, loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        self.found([f"stray error: {context.get('message')}: {context.get('exception')!r}"])
