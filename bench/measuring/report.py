"""A run as a document."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from measuring.acceptance import promises
from measuring.measure import Measure
from measuring.plan import CLIENTS, DATABASES, Plan
from measuring.results import Results, divided
from measuring.system import SERVICES

HOW = """\
Real requests through all four services, which run as processes of their own beside their database and the driver, on
the cores named above; every commit is on disk before its answer. Each figure is the median of {rounds} of
{seconds:g} s. CPU is user and system time of a process and its children, in microseconds for each expected answer.
*By itself* is what the database does without Comanda in the same run: one order's three statements in one durable
transaction, on PostgreSQL by pgbench with 16 clients, on SQLite by one writer. *Spread* orders are of a thousand
products, *hot* ones all of one."""


def document(
    results: Results, plan: Plan, machine: Mapping[str, str], pictures: Sequence[Path], date: str, command: str
) -> str:
    parts = [
        f"# Measured on {date}",
        f"`{command}`",
        table(["", ""], [*([name, value] for name, value in machine.items()), _fsync(results)]),
        HOW.format(rounds=f"{plan.rounds} round{'s' if plan.rounds > 1 else ''}", seconds=plan.seconds),
        "## What is promised",
        table(["", "promised", "measured", ""], (promise.row() for promise in promises(results))),
        _soundness(results),
        *_section("Orders", _references(results), _orders(results)),
        *_section("By number of clients", _table(results, "clients", "clients")),
        *_section("At a given rate", _table(results, "loads", "% of the highest")),
        *_section("How orders end", _table(results, "ends", "")),
        *_section("The catalogue", _table(results, "reads", "")),
        *_section("Pages of orders", _table(results, "pages", "whose, rows")),
        *_section("Memory", _memory(results)),
        *(f"![]({picture.name})" for picture in pictures),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    rule = "|" + "---|" * len(head)
    return "\n".join(["| " + " | ".join(head) + " |", rule, *lines]) if lines else ""


def _section(title: str, *tables: str) -> list[str]:
    found = [each for each in tables if each]
    return [f"## {title}", *found] if found else []


def _fsync(results: Results) -> list[str]:
    shortest, longest = (f"{1e3 * each:.2f}" for each in (min(results.fsync), max(results.fsync)))
    times = f"{1e3 * results.fsync_seconds:.2f} ms ({shortest} to {longest} in the course of the run)"
    return ["Writing 8 KiB and fdatasync, median of 200", times]


def _soundness(results: Results) -> str:
    """The invariants, and the answers that were not expected."""
    checked = [f"- {of}: {'' if holds else '**violated** '}{said}" for of, (holds, said) in results.verified.items()]
    faults = [
        f"- {name}: {measure.faults} unexpected answers, {measure.fault}" for name, measure in results.faults.items()
    ]
    return "\n".join([*checked, *(faults or ["- Every request got the answer that was expected."])])


def _references(results: Results) -> str:
    rows = []
    for database in DATABASES:
        spread, hot = (results.reference(database, hot=hot) for hot in (False, True))
        if spread is not None and hot is not None:
            rows.append([database, f"{spread:.0f}", f"{hot:.0f}", f"{hot / spread:.2f}"])
    return table(["the database by itself", "spread, a second", "hot, a second", "hot ÷ spread"], rows)


def _orders(results: Results) -> str:
    head = [f"{CLIENTS} clients", "orders a second", "÷ by itself", *_head(), "services", "driver's share"]
    rows = []
    for database in DATABASES:
        for case in results.cases("orders"):
            measure = results.get("orders", database, *case)
            if measure is not None:
                ratio = divided(measure.rate, results.reference(database, hot=case[1] == "hot"))
                row = [f"{database}, {case[0]}, {case[1]}", f"{measure.rate:.0f}", f"{ratio:.2f}" if ratio else "–"]
                share = f"{100 * measure.driver_share:.1f} %"
                rows.append([*row, *_figures(measure), f"{measure.services_cpu:.0f}", share])
    return table(head, rows)


def _table(results: Results, part: str, subject: str) -> str:
    rows = []
    for database in DATABASES:
        for case in results.cases(part):
            measure = results.get(part, database, *case)
            if measure is not None:
                name = ", ".join(f"{each:,}" if isinstance(each, int) else each for each in case)
                rows.append([database, name, f"{measure.rate:.0f}", *_figures(measure)])
    return table(["", subject, "a second", *_head()], rows)


def _head() -> list[str]:
    return ["p50, ms", "p90", "p99", "longest", *(f"{name}, µs" for name in reversed(SERVICES)), "PostgreSQL", "driver"]


def _figures(measure: Measure) -> list[str]:
    latencies = measure.p50, measure.p90, measure.p99, measure.longest
    processes = [measure.cpu.get(name) for name in (*reversed(SERVICES), "postgresql", "driver")]
    return [
        *(f"{1e3 * each:.2f}" for each in latencies),
        *("–" if each is None else f"{each:.0f}" for each in processes),
    ]


def _memory(results: Results) -> str:
    counts = sorted({count for found in results.memory.values() for count in found})
    rows = [
        [
            f"{database}, {service}",
            *(_megabytes(found[count].resident, found[count].share) if count in found else "–" for count in counts),
        ]
        for (database, service), found in results.memory.items()
    ]
    return table(["RSS (PSS), MiB, after orders", *(f"{count:,}" for count in counts)], rows)


def _megabytes(resident: int, share: int) -> str:
    return f"{resident / 2**20:.0f} ({share / 2**20:.0f})"
