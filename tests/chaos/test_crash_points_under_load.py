"""Replicas die at every crash point, again and again, while customers shop: on SQLite, and on PostgreSQL with two each.

`test_crash_points` shows what becomes of one order at each point of its life; here the orders of many, the other
replica and the recovery of both work on while one dies. Which passage of a point is its last is drawn by lot.

By default they die once at each point; with `COMANDA_CHAOS_ROUNDS` twenty times. `COMANDA_CHAOS_SEED` repeats the lot.
"""

import asyncio
import os
import random
import time
from collections import Counter
from pathlib import Path

import pytest
from chaos.checks import become_clean, faults
from chaos.cluster import Cluster, running
from chaos.databases import postgresql, sqlite
from chaos.load import PATIENCE_SECONDS, Memory, shopping
from chaos.nursery import Nursery
from chaos.processes import Service
from chaos.test_crash_points import POINTS

DEATHS = 20 if os.environ.get("COMANDA_CHAOS_ROUNDS") else 1
"""At each point."""

SEED = int(os.environ.get("COMANDA_CHAOS_SEED") or random.SystemRandom().randrange(10**6))
LIMIT_SECONDS = 90 + 30 * DEATHS
PASSAGES = range(5, 16)
"""Soon, for each death keeps customers waiting for their keys; but the first few belong to the start of the process."""

DEATH_SECONDS = 60
"""Longer than the lease of a key: while all customers wait for theirs, nobody passes any point."""

CUSTOMERS, HANDS = 16, 8
"""Enough for new orders to come in while many wait."""

STOCK = (100_000, 100_000, 100)
SETTINGS = {"INVENTARIO_RESERVA_TTL_SECONDS": "5"}  # so that who never decides does not keep everybody waiting


@pytest.mark.parametrize("dialect", ["postgresql", "sqlite"])
async def test_dies_at_each_point(dialect: str, folder: Path, postgres_url: str, nursery: Nursery) -> None:
    # The same order may be interrupted again and again, so patience is counted from the last death on.
    deaths, memory, closing = Counter[tuple[str, str]](), Memory(patience_seconds=LIMIT_SECONDS), asyncio.Event()
    lot = random.Random(SEED)  # noqa: S311  # reproducible on purpose
    on_postgresql = dialect == "postgresql"
    databases = await postgresql(postgres_url) if on_postgresql else sqlite(folder)
    async with (
        asyncio.timeout(LIMIT_SECONDS),
        running(folder, databases, replicas=2 if on_postgresql else 1, launcher=nursery, settings=SETTINGS) as cluster,
    ):
        products = {await cluster.product(stock): stock for stock in STOCK}
        async with asyncio.TaskGroup() as group:
            shop = shopping(
                cluster,
                memory,
                list(products),
                customers=CUSTOMERS,
                is_open=lambda: not closing.is_set(),
                seed=SEED,
                hands=HANDS,
            )
            group.create_task(shop)
            async with asyncio.TaskGroup() as killers:
                for service, points in POINTS.items():
                    left = [*points] * DEATHS
                    for replica in cluster.of(service):
                        killers.create_task(_die(cluster, replica, left, lot, deaths))
            closing.set()
            last = time.monotonic()
        answered = time.monotonic()
        assert answered - last < PATIENCE_SECONDS, memory.answers
        await become_clean(cluster, answered)
        wrong = await faults(cluster, memory, products)
    assert not wrong, f"COMANDA_CHAOS_SEED={SEED}:\n" + "\n".join(wrong[:20]) + cluster.log()
    assert deaths == {(service, point): DEATHS for service, points in POINTS.items() for point in points}
    assert len(memory.placed) > CUSTOMERS


async def _die(
    cluster: Cluster, replica: Service, left: list[str], lot: random.Random, deaths: Counter[tuple[str, str]]
) -> None:
    """The replica dies at one point after the other, while any are left; its like takes from the same list.

    All are to die all the time: who calls them stays with the one that is up, until that one dies, too.
    """
    replica.supervised = False
    while left:
        point = left.pop()
        while not await _has_died(cluster, replica, f"{point}:{lot.choice(PASSAGES)}"):
            pass
        deaths[replica.service, point] += 1
    replica.supervised = True


async def _has_died(cluster: Cluster, replica: Service, crash_at: str) -> bool:
    """Whether it died there after it was ready: under load."""
    await replica.kill()
    replica.start(crash_at)
    if not await replica.ready(cluster.http):
        return False
    assert await replica.died(DEATH_SECONDS), f"{replica.name} does not get to {crash_at}"
    return True
