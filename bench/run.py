"""Measures the whole system and writes what it found to bench/results/, with pictures.

    make bench                                  everything, about half an hour on two cores
    make bench BENCH='--quick'                  everything in small, in a few minutes, to see that it works
    make bench BENCH='--only orders,reads'      parts of it

Everything runs on free ports and in a temporary folder, which has to be on a disk (TMPDIR moves it). Afterwards
`comanda verify` checks the invariants; a violation ends the run with status 1.
"""

import argparse
import shlex
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from comanda.testing.postgres import PostgresServer
from measuring import machine
from measuring.memory import measure_memory
from measuring.orders import measure_clients, measure_ends, measure_loads, measure_orders
from measuring.plan import DATABASES, FULL, PARTS, PRODUCTS, QUICK, Plan
from measuring.plots import draw
from measuring.reads import measure_catalogue, measure_pages
from measuring.reference import Pgbench, SqliteReference, fsync_seconds
from measuring.report import document
from measuring.results import Results
from measuring.system import System, refuse_memory, running, start, stop

CUSTOMERS = 128


def run(parts: list[str], plan: Plan, server: PostgresServer, folder: Path, results: Results) -> None:
    """Measures those parts."""
    _measure_together(parts, plan, server, folder, results)
    for database in DATABASES:
        if "memory" in parts:
            with running(database, customers=CUSTOMERS, products=PRODUCTS, postgres=server) as system:
                measure_memory(system, database, plan, results)
                results.verified[f"{database}, after {plan.memory[-1]:,} orders"] = system.verify()
        if "pages" in parts:
            with running(database, customers=1, products=1, postgres=server) as system:
                measure_pages(system, database, plan, results)


def _measure_together(parts: list[str], plan: Plan, server: PostgresServer, folder: Path, results: Results) -> None:
    """The parts that share one system on each database, so that they can take turns."""
    steps: dict[str, Callable[[dict[str, System]], None]] = {
        "orders": lambda systems: _orders(systems, plan, server, folder, results),
        "clients": lambda systems: measure_clients(systems, plan, results),
        "loads": lambda systems: measure_loads(systems, plan, results),
        "ends": lambda systems: measure_ends(systems, plan, results),
        "reads": lambda systems: measure_catalogue(systems, plan, results),
    }
    wanted = [step for part, step in steps.items() if part in parts]
    if not wanted:
        return
    with ExitStack() as stack:
        systems = {}
        for database in DATABASES:
            system = stack.enter_context(running(database, customers=CUSTOMERS, products=PRODUCTS, postgres=server))
            stop(system)
            systems[database] = system
        for step in wanted:
            step(systems)
        for database, system in systems.items():
            start(system)
            results.verified[f"{database}, after all measures"] = system.verify()
            stop(system)


def _orders(systems: dict[str, System], plan: Plan, server: PostgresServer, folder: Path, results: Results) -> None:
    lite = SqliteReference(folder)
    try:
        measure_orders(systems, {"postgresql": Pgbench(server, folder), "sqlite": lite}, plan, results)
    finally:
        lite.close()


def main() -> None:
    options = _parser().parse_args()
    parts = options.only.split(",") if options.only else list(PARTS)
    if unknown := set(parts) - set(PARTS):
        sys.exit(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    plan = QUICK if options.quick else FULL
    given = {name: getattr(options, name) for name in ("rounds", "seconds", "memory", "rows")}
    plan = replace(plan, **{name: value for name, value in given.items() if value})
    with tempfile.TemporaryDirectory(prefix="comanda-bench-") as name:
        folder, server = Path(name), PostgresServer(in_memory=False)
        try:
            refuse_memory(folder)
            results = Results([fsync_seconds(folder)])
            described = machine.description(server.start(), folder)
            try:
                run(parts, plan, server, folder, results)
            finally:  # what has been measured is kept, whatever came after
                _write(results, plan, described, options.output)
        finally:
            server.stop()
    if not all(holds for holds, _ in results.verified.values()):
        sys.exit("THE INVARIANTS DO NOT HOLD: see the report.")
    if results.faults:
        sys.exit("There were unexpected answers: see the report.")


def _write(results: Results, plan: Plan, described: dict[str, str], folder: Path) -> None:
    name = datetime.now(UTC).strftime("%Y-%m-%d-%H%M")  # so that no run takes the place of another of the same day
    folder.mkdir(parents=True, exist_ok=True)
    options = [f"BENCH={shlex.join(sys.argv[1:])}"] if sys.argv[1:] else []
    path, command = folder / f"{name}.md", shlex.join(["make", "bench", *options])
    path.write_text(document(results, plan, described, [], name, command))  # pictures can fail, figures may not be lost
    path.write_text(document(results, plan, described, draw(results, folder, name), name, command))
    print(path)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="everything in small")
    parser.add_argument("--only", metavar="PARTS", help=f"some of {','.join(PARTS)}")
    parser.add_argument("--rounds", type=int, help="of each measure")
    parser.add_argument("--seconds", type=float, help="of each measure")
    parser.add_argument("--memory", type=_numbers, help="orders after which memory is read, 50000,100000,200000")
    parser.add_argument("--rows", type=_numbers, help="orders among which a page is read, 10000,1000000")
    results = Path(__file__).parent / "results"
    parser.add_argument("--output", type=Path, default=results, help="folder of the report")
    return parser


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in text.split(","))


if __name__ == "__main__":
    main()
