"""Reservations per second with group commit on and off, on one product and on a thousand, on both databases.

    .venv/bin/python bench/group_commit.py [--postgres URL]

Calls the use case of inventario in this process, 64 at a time, each commit durable. Without an URL it starts a
PostgreSQL of its own on the disk that holds the temporary folder. The four combinations take turns, and the median of
five rounds counts, so that other load of the machine touches all alike.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import asyncpg
import sqlalchemy as sa

from comanda.common.clock import SystemClock
from comanda.common.database import Database
from comanda.common.idempotency import Keys
from comanda.common.migrations import migrate
from comanda.inventario.domain import Linea, Productos
from comanda.inventario.service import Inventario
from comanda.inventario.tables import existencias, idempotency_keys
from comanda.testing.postgres import PostgresServer

CLIENTS, ROUNDS, PRODUCTS, STOCK = 64, 5, 1000, 10**9
RESERVATIONS = {200: 3000, 1: 300}
"""How many each round makes, by the most that one transaction may serve."""


async def measure(url: str) -> dict[tuple[int, bool], tuple[float, float]]:
    """For (group commit, hot): reservations a second, and microseconds of this process's CPU for each."""
    clock = SystemClock()
    database = Database(url, clock=clock, pool_size=20)
    await migrate(database, "comanda.inventario")
    products = [clock.new_id() for _ in range(PRODUCTS)]
    row = {"fisico": STOCK, "reservado": 0, "version": 1, "actualizado_en": clock.now()}
    async with database.transaction() as connection:
        await connection.execute(sa.insert(existencias), [{"producto_id": product, **row} for product in products])
    keys, nobody = Keys(idempotency_keys, database, clock), cast("Productos", None)
    results: dict[tuple[int, bool], list[tuple[float, float]]] = defaultdict(list)
    for _ in range(ROUNDS):
        for group_commit, count in RESERVATIONS.items():
            inventario = Inventario(
                database, keys, nobody, clock, reserva_ttl_seconds=900, sweep_seconds=1, group_commit=group_commit
            )
            for hot in (True, False):
                turns = iter(products[0] if hot else products[n % PRODUCTS] for n in range(count))

                async def client(inventario: Inventario, turns: Any) -> None:
                    for product in turns:
                        await inventario.reservar(clock.new_id(), (Linea(product, 1),))

                began, used = time.perf_counter(), time.process_time()
                await asyncio.gather(*(client(inventario, turns) for _ in range(CLIENTS)))
                seconds, cpu = time.perf_counter() - began, time.process_time() - used
                results[group_commit, hot].append((count / seconds, 1e6 * cpu / count))
    await database.aclose()
    return {case: (_median(runs, 0), _median(runs, 1)) for case, runs in results.items()}


def _median(runs: list[tuple[float, float]], column: int) -> float:
    return statistics.median(run[column] for run in runs)


@contextmanager
def postgres(url: str | None) -> Iterator[str]:
    """An empty database on that server, or on one that is started here, on a real disk."""
    server = None
    if url is None:
        server = PostgresServer(in_memory=False).start()
        url = server.url
    name = f"bench_{time.time_ns()}"
    try:
        asyncio.run(_execute(url, f"CREATE DATABASE {name}"))
        yield f"{url}/{name}"
        asyncio.run(_execute(url, f"DROP DATABASE {name}"))
    finally:
        if server is not None:
            server.stop()


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(f"{url}/postgres")
    await connection.execute(statement)
    await connection.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--postgres", help="postgresql://user:password@host:port")
    options = parser.parse_args()
    print("| database | products | on, per s | on, µs CPU | off, per s | off, µs CPU | on ÷ off |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder, postgres(options.postgres) as url:
        for name, address in (("SQLite", f"sqlite:///{Path(folder) / 'inventario.db'}"), ("PostgreSQL", url)):
            found = asyncio.run(measure(address))
            for hot in (True, False):
                (on, on_cpu), (off, off_cpu) = found[200, hot], found[1, hot]
                products = "one" if hot else f"{PRODUCTS}"
                print(f"| {name} | {products} | {on:.0f} | {on_cpu:.0f} | {off:.0f} | {off_cpu:.0f} | {on / off:.1f} |")


if __name__ == "__main__":
    main()
