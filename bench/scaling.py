"""What an order costs on this machine, and what that says of larger ones, as the tables of docs/scaling.md.

    .venv/bin/python bench/scaling.py                  about three minutes

Measures orders at several numbers of clients: the CPU of each process, the size of turns, commits, rows and write-ahead
log for each. Fits the costs to that, lets the simulation of `measuring.capacity` predict the very same measures, and
then what larger plants take. PostgreSQL only: SQLite stays on one machine.
"""

import argparse
import asyncio
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import asyncpg
import httpx2

from measuring.capacity import Cost, Plant, Predicted, Simulation
from measuring.machine import description
from measuring.measure import Measure, measure, orders, warm_up
from measuring.report import table
from measuring.system import System, running

CLIENTS = (1, 4, 16, 64, 128)
ORDERS = {1: 600, 4: 1500}
MANY = 6000
"""Orders of a round with more clients."""

LOG = "bytes of write-ahead log"
PROCESSES = ("pedidos", "inventario", "productos", "postgresql")
KEPT_PART, LATE_SECONDS = 0.97, 0.25
"""A plant holds if it places this part of what is offered, and 99 of 100 orders within that time."""

STEPS = (
    (2_000, {"pedidos": 1, "inventario": 1, "productos": 1}, 4, 1),
    (3_000, {"pedidos": 2, "inventario": 1, "productos": 1}, 4, 1),
    (10_000, {"pedidos": 5, "inventario": 2, "productos": 1}, 8, 1),
    (30_000, {"pedidos": 14, "inventario": 4, "productos": 2}, 16, 1),
    (100_000, {"pedidos": 60, "inventario": 20, "productos": 8}, 16, 16),
)
"""What to simulate: orders a second, replicas, cores of each database, and into how many databases of their own the
clients of pedidos and the products of inventario are cut."""

SPREAD, HOT = 100_000, 1
"""Products among which the orders of a simulation are spread."""


@dataclass(frozen=True)
class Observed:
    """One measure, and what the databases counted meanwhile, for each order."""

    clients: int
    measured: Measure
    turn: float
    counted: Mapping[str, float]


def observe(system: System) -> Iterator[Observed]:
    for clients in CLIENTS:
        load = replace(orders(system, system.products, ORDERS.get(clients, MANY)), clients=clients)
        before, turns = _counters(system), _turns(system)
        measured = measure(system, load)
        if measured.faults:
            raise SystemExit(f"{measured.faults} unexpected answers: {measured.fault}")
        placed = load.requests
        after, (number, requests) = _counters(system), _turns(system)
        counted = {name: (after[name] - before[name]) / placed for name in after}
        yield Observed(clients, measured, (requests - turns[1]) / (number - turns[0]), counted)


def _turns(system: System) -> tuple[float, float]:
    """How many turns recorded orders so far, and how many orders."""
    text = httpx2.get(f"http://127.0.0.1:{system.port('pedidos')}/metrics", trust_env=False).text
    found = {
        name: float(value) for name, value in re.findall(r'comanda_lote_(count|sum){lote="altas"[^}]*} (\S+)', text)
    }
    return found["count"], found["sum"]


def _counters(system: System) -> dict[str, float]:
    time.sleep(1.5)  # PostgreSQL's backends report about once a second
    return asyncio.run(_counted(system))


async def _counted(system: System) -> dict[str, float]:
    assert system.postgres is not None  # noqa: S101
    connection = await asyncpg.connect(f"{system.postgres.url}/postgres")
    try:
        found = {LOG: float(await connection.fetchval("SELECT wal_bytes FROM pg_stat_wal"))}
        for service in ("pedidos", "inventario"):
            row = await connection.fetchrow(
                "SELECT xact_commit, tup_inserted + tup_updated AS rows FROM pg_stat_database WHERE datname = $1",
                system.variables[f"{service.upper()}_DATABASE_URL"].rpartition("/")[2],
            )
            found |= {f"transactions of {service}": row["xact_commit"], f"rows written of {service}": row["rows"]}
    finally:
        await connection.close()
    return found


def fitted(observed: Sequence[Observed]) -> dict[str, Cost]:
    sizes = [each.turn for each in observed]
    return {
        process: Cost.fitted(sizes, [each.measured.cpu[process] / 1e6 for each in observed]) for process in PROCESSES
    }


def predicted(costs: Mapping[str, Cost], observed: Observed, cores: int, commit_seconds: float) -> Predicted:
    plant = Plant(
        costs,
        dict.fromkeys(("pedidos", "inventario", "productos"), 1),
        cores=cores,
        commit_seconds=commit_seconds,
        client_seconds=observed.measured.cpu["driver"] / 1e6,
    )
    return Simulation(plant).closed(observed.clients, 4.0)


def _measured_table(observed: Sequence[Observed]) -> str:
    names = list(observed[0].counted)
    head = ["clients", "orders a turn", *(f"{process}, µs" for process in PROCESSES), *names]
    return table(
        head,
        (
            [str(each.clients), f"{each.turn:.1f}"]
            + [f"{each.measured.cpu[process]:.0f}" for process in PROCESSES]
            + [f"{each.counted[name]:.{0 if 'bytes' in name else 2}f}" for name in names]
            for each in observed
        ),
    )


def _prediction_table(observed: Sequence[Observed], told: Sequence[Predicted]) -> str:
    head = ["clients", "orders a second, measured", "predicted", "÷", "p50 ms, measured", "predicted"]
    rows = []
    for each, prediction in zip(observed, told, strict=True):
        ratio = prediction.rate / each.measured.rate
        figures = [f"{each.measured.rate:.0f}", f"{prediction.rate:.0f}", f"{ratio:.2f}"]
        rows.append([str(each.clients), *figures, f"{1e3 * each.measured.p50:.1f}", f"{1e3 * prediction.p50:.1f}"])
    return table(head, rows)


def _steps_table(costs: Mapping[str, Cost], commit_seconds: float, seconds: float, logged: float) -> str:
    """Args: logged: bytes of write-ahead log for each order."""
    head = ["offered a second", "processes", "databases × cores", "write-ahead log, MB/s", "products"]
    rows = []
    for rate, replicas, cores, parts in STEPS:
        processes = ", ".join(f"{number} {name}" for name, number in replicas.items())
        plant = Plant(
            costs, replicas, database_cores=cores, commit_seconds=commit_seconds, partitions=parts, shards=parts
        )
        for products in (SPREAD, HOT):
            told = Simulation(replace(plant, products=products)).open(rate, seconds)
            holds = told.rate >= KEPT_PART * rate and told.p99 <= LATE_SECONDS
            told_ms = [f"{1e3 * told.p50:.0f}", f"{1e3 * told.p99:.0f}"]
            offered = [f"{rate:,}", processes, f"{1 + 2 * parts} × {cores}", f"{rate * logged / 1e6:.0f}"]
            rows.append([*offered, f"{products:,}", f"{told.rate:,.0f}", *told_ms, "yes" if holds else "**no**"])
    return table([*head, "placed a second", "p50, ms", "p99", "holds"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--commit-ms", type=float, default=1.0, help="of the larger plants: a standby in the same region"
    )
    parser.add_argument("--seconds", type=float, default=1.0, help="to simulate of each larger plant")
    options = parser.parse_args()
    with running("postgresql", customers=128) as system:
        assert system.postgres is not None  # noqa: S101
        machine = description(system.postgres, system.folder)
        warm_up(system)
        observed = list(observe(system))
    costs = fitted(observed)
    print(table(["", ""], ([name, value] for name, value in machine.items())))
    print("\n" + _measured_table(observed) + "\n")
    rows = ([name, f"{1e6 * cost.turn:.0f}", f"{1e6 * cost.order:.0f}"] for name, cost in costs.items())
    print(table(["process", "a turn, µs", "an order in it, µs"], rows) + "\n")
    print(_prediction_table(observed, [predicted(costs, each, 2, 0.0001) for each in observed]) + "\n")
    logged = observed[-1].counted[LOG]
    print(_steps_table(costs, options.commit_ms / 1e3, options.seconds, logged))


if __name__ == "__main__":
    main()
