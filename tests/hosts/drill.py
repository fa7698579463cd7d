"""One round: a plant of the release before, under load, gets the new release and then one fault after the other."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import httpx2
from chaos.accounts import lost_accounts, registering
from chaos.checks import become_clean, faults
from chaos.cluster import SERVICES
from chaos.load import Customer, Memory, Order
from hosts.machines import Host, SlowLink
from hosts.measure import Ending, Record, Span, longest_silence
from hosts.patroni import Patroni
from hosts.plant import ROOT, TO_INVENTARIO, Plant

CUSTOMERS = 10
PAUSE_SECONDS = 0.5
STOCK = 1_000_000
PATIENCE_SECONDS = 120
DARK_SECONDS = 8
"""How long a service host is off, or a path closed: longer than a try, its retry and the breaker's timeout."""

REST_SECONDS = 3
"""Between two faults, beside the time that it takes for all to be whole."""

CLEAN_SECONDS = 150
"""Abandonment, breaker, backoff and the life of a reservation (invariant 8), and 15 s for a busy machine."""

DELAY_SECONDS, LOSS = 0.1, 0.05


class Witness(Customer):
    """A customer whose orders are timed."""

    record: Record

    async def _post_order(self, order: Order) -> httpx2.Response:
        answer = await super()._post_order(order)
        if order.body is None:  # else it is placed again
            self.record.endings.append(Ending(time.monotonic(), accepted=answer.status_code == 201))
        return answer


class Drill:
    def __init__(self, plant: Plant, record: Record) -> None:
        self._plant = plant
        self._record = record

    async def run(self) -> None:
        await asyncio.sleep(REST_SECONDS)
        await self._fault("every service rolled to the new release", self._roll)
        for service in SERVICES:
            await self._fault(f"a host of {service} dies", partial(self._service_host, f"{service}-1"))
        await self._fault("the leading database's host dies", self._leader)
        await self._fault("the leading database's link is cut", self._leader_unplugged)
        await self._fault("the standing-by database's host dies that commits wait for", self._standby)
        await self._fault("a link of pedidos and one of inventario are cut", self._unplugged)
        await self._fault("100 ms and 5 % loss at a host of pedidos and one of inventario", self._slow_services)
        await self._fault("100 ms and 5 % loss at the leading database", self._slow_leader)
        await self._fault("pedidos parted from inventario", self._parted)

    async def _fault(self, name: str, happen: Callable[[], Awaitable[None]]) -> None:
        begin = time.monotonic()
        await happen()
        await self._plant.postgresql.whole()
        await self._plant.ready()
        await asyncio.sleep(REST_SECONDS)
        span = Span(name, begin, time.monotonic())
        self._record.spans.append(span)
        silence, seconds = longest_silence(span, self._record.endings), span.end - span.begin
        sys.stderr.write(f"{name}: {silence:.1f} s without accepted orders, {seconds:.0f} s until all was whole\n")

    async def _roll(self) -> None:
        await asyncio.to_thread(self._plant.migrate, ROOT)
        for name in self._plant.hosts:
            await asyncio.to_thread(self._plant.drain, name)
            self._plant.releases[name] = ROOT
            self._plant.boot(name)
            await self._plant.ready_on(name)

    async def _service_host(self, name: str) -> None:
        await asyncio.to_thread(self._plant.hosts[name].lose_power)
        await asyncio.sleep(DARK_SECONDS)
        await self._plant.boot_again(name)

    async def _leader(self) -> None:
        await self._database_host(await self._plant.postgresql.leader())

    async def _standby(self) -> None:
        await self._database_host(await self._plant.postgresql.standby())

    async def _database_host(self, dead: str) -> None:
        databases = self._plant.postgresql
        await asyncio.to_thread(databases.hosts[dead].lose_power)
        await databases.leader()
        await asyncio.sleep(DARK_SECONDS)
        databases.hosts[dead].plug()
        databases.boot(dead)

    async def _leader_unplugged(self) -> None:
        databases = self._plant.postgresql
        host = databases.hosts[await databases.leader()]
        host.cut()
        await databases.leader()
        await asyncio.sleep(DARK_SECONDS)
        host.plug()

    async def _unplugged(self) -> None:
        hosts = [self._plant.hosts[name] for name in ("pedidos-2", "inventario-2")]
        for host in hosts:
            host.cut()
        await asyncio.sleep(DARK_SECONDS)
        for host in hosts:
            host.plug()

    async def _slow_services(self) -> None:
        await self._slow(*(self._plant.hosts[name] for name in ("pedidos-1", "inventario-1")))

    async def _slow_leader(self) -> None:
        databases = self._plant.postgresql
        await self._slow(databases.hosts[await databases.leader()])

    async def _slow(self, *hosts: Host) -> None:
        link = await asyncio.to_thread(SlowLink, DELAY_SECONDS, LOSS)
        try:
            for host in hosts:
                host.plug_slow()
            await asyncio.sleep(DARK_SECONDS)
            for host in hosts:
                host.plug()
        finally:
            link.close()

    async def _parted(self) -> None:
        hosts = [host for name, host in self._plant.hosts.items() if name.startswith("pedidos")]
        for host in hosts:
            host.lose_sight(TO_INVENTARIO)
        await asyncio.sleep(DARK_SECONDS)
        for host in hosts:
            host.see(TO_INVENTARIO)


async def one_round(folder: Path, release: Path, seed: int) -> Record:
    """Raises `AssertionError` with what was wrong, if anything was."""
    async with _started(folder, release) as plant:
        products = {await plant.product(STOCK): STOCK for _ in range(3)}
        memory, record = Memory(patience_seconds=PATIENCE_SECONDS), Record()
        is_over = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for number in range(CUSTOMERS):
                customer = Witness(plant, memory, f"cliente-{number}", list(products), seed * 1000 + number)
                customer.record = record
                group.create_task(customer.shop(lambda: not is_over.is_set(), PAUSE_SECONDS))
            group.create_task(registering(plant, memory, people=2, is_open=lambda: not is_over.is_set()))
            await Drill(plant, record).run()
            is_over.set()
        await become_clean(plant, time.monotonic(), CLEAN_SECONDS)
        wrong = await faults(plant, memory, products)
        accounts = await lost_accounts(plant, memory)
        record.lost = sum("does not exist" in fault for fault in wrong)
        record.answers = dict(memory.answers)
    assert not wrong + accounts, "\n".join([*wrong, *accounts][:20]) + plant.log()
    return record


@asynccontextmanager
async def _started(folder: Path, release: Path) -> AsyncIterator[Plant]:
    databases = Patroni(folder)
    await databases.start()
    await databases.create(list(SERVICES))
    plant = Plant(folder, databases, release)
    await plant.start()
    try:
        yield plant
    finally:
        await plant.http.aclose()
