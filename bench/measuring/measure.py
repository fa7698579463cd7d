"""One measure: a load, and what each process used while it ran."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from measuring import processes
from measuring.driver import Load, Outcome
from measuring.system import SERVICES, System, drive, headers, start, stop, with_body

WARM_UP = 500
"""Orders before the first measure of a system: tokens are verified, statements prepared, connections open."""


@dataclass(frozen=True)
class Measure:
    """What one load came to, or the median of several.

    Args:
        offered: requests a second of an open loop.
        rate: expected answers a second.
        p50: latency in seconds, as are the others.
        cpu: microseconds for each expected answer, of each process, `postgresql` and `driver` among them.
        faults: answers other than expected, and what the first of them said.
    """

    offered: float | None
    rate: float
    p50: float
    p90: float
    p99: float
    longest: float
    cpu: dict[str, float]
    faults: int
    fault: str

    @property
    def services_cpu(self) -> float:
        """Of the four services together."""
        return sum(self.cpu[service] for service in SERVICES)

    @property
    def driver_share(self) -> float:
        """The part of all CPU that the driver took."""
        return self.cpu["driver"] / (sum(self.cpu.values()) or 1)


def median(measures: Sequence[Measure]) -> Measure:
    """The median of each figure, and the faults of all."""

    def middle(name: str) -> float:
        return float(statistics.median(getattr(measure, name) for measure in measures))

    return Measure(
        offered=None if measures[0].offered is None else middle("offered"),
        rate=middle("rate"),
        p50=middle("p50"),
        p90=middle("p90"),
        p99=middle("p99"),
        longest=middle("longest"),
        cpu={name: statistics.median(measure.cpu[name] for measure in measures) for name in measures[0].cpu},
        faults=sum(measure.faults for measure in measures),
        fault=next((measure.fault for measure in measures if measure.faults), ""),
    )


def measure(system: System, load: Load) -> Measure:
    return measure_outcome(system, load)[0]


def measure_outcome(system: System, load: Load) -> tuple[Measure, Outcome]:
    """As `measure`, with what the driver brought back."""
    before = _used(system)
    outcome = drive(load)
    after = _used(system)
    answers = max(outcome.answered, 1)
    cpu = {name: 1e6 * (after[name] - before[name]) / answers for name in after}
    cpu["driver"] = 1e6 * outcome.cpu_seconds / answers
    latencies = outcome.p50, outcome.p90, outcome.p99, outcome.longest
    fault = " ".join(f"{outcome.statuses} {outcome.fault}".split()) if outcome.faults else ""
    return Measure(load.rate, outcome.rate, *latencies, cpu, outcome.faults, fault), outcome


def _used(system: System) -> dict[str, float]:
    return {name: processes.cpu_seconds(pid) for name, pid in system.pids.items()}


def orders(system: System, products: Sequence[str], requests: int) -> Load:
    """Orders of one unit of one product, by all customers in turn."""
    heads = [f"POST /pedidos HTTP/1.1\r\n{headers(token)}Idempotency-Key: " for token in system.customers]
    tails = ["\r\n" + with_body({"lineas": [{"producto_id": product, "cantidad": 1}]}) for product in products]
    return replace(system.load("pedidos", heads, tails, 201, requests), unique=True)


def warm_up(system: System) -> None:
    drive(orders(system, system.products, WARM_UP))


@contextmanager
def serving(system: System, settings: Mapping[str, str] | None = None) -> Iterator[None]:
    """While it lasts, the system runs with those settings too."""
    try:
        start(system, settings)
        warm_up(system)
        yield
    finally:
        stop(system)
