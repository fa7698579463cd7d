"""What becomes of orders when three times as many are asked for as can be placed, as Markdown.

    .venv/bin/python bench/overload.py > bench/results/overload.md         about three minutes, on both databases

Each round finds the most by a closed loop, and then offers that rate, and three times as much, by an open loop whose
requests say how long they wait: an answer that comes later counts for nothing. Promised: at three times the most,
orders placed in time are at least 80 % of the most. All figures of a round are of one run, one behind the other.

Then reads flood pedidos and productos, by clients that ask again at once whatever they are told, while orders are
cancelled and completed and `/livez` is asked. At the end `comanda verify` must be clean. Exit 1 if a promise is broken.
"""

import argparse
import os
import statistics
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from measuring.driver import Load, Outcome
from measuring.measure import orders, warm_up
from measuring.orders import UNLIMITED
from measuring.report import table
from measuring.system import System, drive, headers, running

CLIENTS = (64, 192)
CONNECTIONS = 900
"""Of the open loop."""

DEADLINE_SECONDS = 1.0
LEAST_PART = 0.8
FLOOD_CLIENTS = 256
"""Of each of the two services that are flooded with reads."""
ENDS = 300
"""Orders cancelled, and as many completed, in each measure."""


@dataclass(frozen=True)
class Goodput:
    """Orders placed in time, a second, by what was offered as a multiple of the most; and what was answered."""

    most: float
    rates: Mapping[int, float]
    answers: Mapping[int, str]


def goodput(system: System, seconds: float) -> Goodput:
    load = replace(_impatient(system), within=DEADLINE_SECONDS, seconds=seconds)
    most = max((drive(replace(load, clients=clients)) for clients in CLIENTS), key=_in_time)
    rates, answers = {}, {}
    for times in (1, 3):
        outcome = drive(replace(load, clients=CONNECTIONS, rate=times * _in_time(most)))
        rates[times] = _in_time(outcome, seconds)
        answers[times] = ", ".join(f"{n} x {status}" for status, n in sorted(outcome.statuses.items()))
    return Goodput(_in_time(most), rates, answers)


def _in_time(outcome: Outcome, seconds: float | None = None) -> float:
    """Args: seconds: in which requests were sent, if not all the time; the last answers come a little later."""
    return outcome.in_time / (seconds or outcome.seconds)


def _impatient(system: System) -> Load:
    load = orders(system, system.products, UNLIMITED)
    header = f"X-Request-Timeout-Ms: {1000 * DEADLINE_SECONDS:.0f}\r\nIdempotency-Key: "
    return replace(load, heads=[head.replace("Idempotency-Key: ", header) for head in load.heads])


def ends(system: System, *, flooded: bool, seconds: float) -> list[tuple[str, str, str]]:
    """What cancel, complete and `/livez` do, alone or while reads flood."""
    placed = drive(replace(orders(system, system.products, 2 * ENDS), collect=True)).locations
    with ThreadPoolExecutor(8) as at_once:
        floods = [at_once.submit(drive, one) for one in _floods(system, seconds)] if flooded else []
        measures = {
            "cancelar": _end(system, "cancelar", placed[:ENDS]),
            "completar": _end(system, "completar", placed[ENDS:]),
            "livez": replace(_get(system, "pedidos", "/livez"), requests=ENDS, clients=16),
        }
        # The flood has begun before the first of these is sent, and outlasts them: they are spread over its time.
        load = {n: replace(one, rate=ENDS / (seconds / 2)) for n, one in measures.items()}
        ended = {name: at_once.submit(drive, one) for name, one in load.items()}
        rows = [_row(name, flooded, future.result()) for name, future in ended.items()]
        floods_done = [flood.result() for flood in floods]
    shed = [f"{one.statuses.get('200', 0)} x 200, {one.statuses.get('503', 0)} x 503" for one in floods_done]
    return rows + [("reads of pedidos" if n == 0 else "reads of productos", "flood", one) for n, one in enumerate(shed)]


def _end(system: System, action: str, ids: Sequence[str]) -> Load:
    heads = [f"POST /pedidos/{identifier}/{action} HTTP/1.1\r\n" for identifier in ids]
    return replace(system.load("pedidos", heads, [headers(system.admin) + "\r\n"], 200, len(ids)), clients=16)


def _get(system: System, service: str, path: str) -> Load:
    heads = [f"GET {path} HTTP/1.1\r\n{headers(token)}" for token in system.customers]
    return system.load(service, heads, ["\r\n"], 200, UNLIMITED)


def _floods(system: System, seconds: float) -> list[Load]:
    reads = _get(system, "pedidos", "/pedidos"), _get(system, "productos", "/productos?buscar=producto")
    return [replace(read, clients=FLOOD_CLIENTS, seconds=seconds) for read in reads]


def _row(name: str, flooded: bool, outcome: Outcome) -> tuple[str, str, str]:
    figures = f"p50 {outcome.p50 * 1e3:.0f} ms, p99 {outcome.p99 * 1e3:.0f} ms, others than 200: {outcome.faults}"
    return (name, "flood" if flooded else "alone", figures)


def report(database: str, seconds: float, rounds: int) -> bool:
    """Measures one database, prints its tables; whether the promises were kept."""
    with running(database, customers=128) as system:
        warm_up(system)
        found = [goodput(system, seconds) for _ in range(rounds)]
        rows = [
            (
                f"{times} x",
                f"{one.most:.0f}",
                f"{one.rates[times]:.0f}",
                f"{one.rates[times] / one.most:.2f}",
                one.answers[times],
            )
            for one in found
            for times in one.rates
        ]
        part = statistics.median(one.rates[3] / one.most for one in found)
        print(f"\n## {database}\n")
        print(table(("offered", "most/s", f"in {DEADLINE_SECONDS:g} s, /s", "part of the most", "answers"), rows))
        print(f"\nMedian at 3 x: {part:.2f}, promised {LEAST_PART}.\n")
        under = [row for flooded in (False, True) for row in ends(system, flooded=flooded, seconds=seconds)]
        print(table(("", "", ""), under))
        sound, said = system.verify()
        print(f"\n`comanda verify`: {said}", flush=True)
    return sound and part >= LEAST_PART


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], action="append")
    parser.add_argument("--seconds", type=float, default=8, help="of each measure")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    load = " ".join(f"{one:.2f}" for one in os.getloadavg())
    print(
        f"# Overload\n\n{len(os.sched_getaffinity(0))} cores, which the driver shares; load before: {load}.", flush=True
    )
    kept = [report(one, options.seconds, options.rounds) for one in options.database or ("sqlite", "postgresql")]
    sys.exit(not all(kept))


if __name__ == "__main__":
    main()
