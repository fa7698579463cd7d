"""Orders: as fast as they come, by number of clients, at a given rate, and how they end."""

from collections.abc import Mapping
from dataclasses import replace

from measuring.driver import Load
from measuring.measure import measure, measure_outcome, orders, serving
from measuring.plan import CLIENTS, Plan, variants
from measuring.reference import Pgbench, SqliteReference, fsync_seconds
from measuring.results import Results
from measuring.system import System, headers

UNLIMITED = 10**9
"""Requests of a measure that its seconds bound."""

OPEN_LOOP_CONNECTIONS = 256


def measure_orders(
    systems: Mapping[str, System], references: Mapping[str, Pgbench | SqliteReference], plan: Plan, results: Results
) -> None:
    """Spread and hot orders on each database in each variant, taking turns with what the databases do by themselves."""
    cases = [(database, name) for name in variants() for database in systems]
    for number in range(plan.rounds):
        results.fsync.append(fsync_seconds(next(iter(systems.values())).folder))
        for database, reference in references.items():
            for hot in (False, True):
                results.references[database, hot].append(reference.rate(hot=hot, seconds=plan.seconds))
                print(f"{database} alone, {_spread(hot)}: {results.references[database, hot][-1]:.0f}/s", flush=True)
        for database, variant in cases[::-1] if number % 2 else cases:
            system = systems[database]
            with serving(system, variants()[variant]):
                for hot in (False, True):
                    measured = measure(system, _closed(system, CLIENTS, plan, hot=hot))
                    results.add("orders", database, (variant, _spread(hot)), measured)


def measure_clients(systems: Mapping[str, System], plan: Plan, results: Results) -> None:
    """The closed loop: latency and throughput by number of clients."""
    for database, system in systems.items():
        with serving(system):
            for _ in range(plan.rounds):
                results.fsync.append(fsync_seconds(system.folder))
                for clients in plan.clients:
                    results.add("clients", database, (clients,), measure(system, _closed(system, clients, plan)))


def measure_loads(systems: Mapping[str, System], plan: Plan, results: Results) -> None:
    """The open loop: orders come at parts of the rate that the closed loop has just reached."""
    for database, system in systems.items():
        with serving(system):
            for _ in range(plan.rounds):
                closed = _closed(system, CLIENTS, plan)
                most = measure(system, closed)
                results.add("loads", database, ("most",), most)
                for percentage in plan.loads:
                    load = replace(closed, rate=most.rate * percentage / 100, clients=OPEN_LOOP_CONNECTIONS)
                    results.add("loads", database, (percentage,), measure(system, load))


def measure_ends(systems: Mapping[str, System], plan: Plan, results: Results) -> None:
    """Completing and cancelling orders that have been placed before."""
    for database, system in systems.items():
        with serving(system):
            for _ in range(plan.rounds):
                placing = replace(orders(system, system.products, 2 * plan.ends), collect=True)
                _, placed = measure_outcome(system, placing)
                if placed.faults:
                    raise RuntimeError(f"orders to be ended: {placed.statuses} {placed.fault}")
                half = len(placed.locations) // 2
                for action, ids in (("completar", placed.locations[:half]), ("cancelar", placed.locations[half:])):
                    heads = [f"POST /pedidos/{identifier}/{action} HTTP/1.1\r\n" for identifier in ids]
                    ending = system.load("pedidos", heads, [headers(system.admin) + "\r\n"], 200, len(ids))
                    results.add("ends", database, (action,), measure(system, ending))


def _closed(system: System, clients: int, plan: Plan, *, hot: bool = False) -> Load:
    products = system.products[:1] if hot else system.products
    return replace(orders(system, products, UNLIMITED), clients=clients, seconds=plan.seconds)


def _spread(hot: bool) -> str:
    return "hot" if hot else "spread"
