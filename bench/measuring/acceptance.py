"""What the project promises of its speed, against what was measured."""

from collections.abc import Iterator
from dataclasses import dataclass

from measuring.measure import Measure
from measuring.plan import AS_DELIVERED, CLIENTS, DATABASES, FULL, GROUP_COMMIT_OFF
from measuring.results import Results, divided


@dataclass(frozen=True)
class Promise:
    """One line of the acceptance.

    Args:
        measured: None: this run has not measured it.
        aim: what would be better still.
        at_most: whether the figure must be at most, rather than at least, what is promised.
    """

    subject: str
    measured: float | None
    promised: float
    aim: float | None = None
    at_most: bool = False
    unit: str = ""
    digits: int = 2

    @property
    def verdict(self) -> str:
        if self.measured is None:
            return "not measured"
        if not self._reaches(self.measured, self.promised):
            return "**missed**"
        return "held, aim reached" if self.aim is not None and self._reaches(self.measured, self.aim) else "held"

    def row(self) -> list[str]:
        aim = "" if self.aim is None else f", aim {self._text(self.aim)}"
        measured = "–" if self.measured is None else self._text(self.measured)
        return [
            self.subject,
            f"{'≤' if self.at_most else '≥'} {self._text(self.promised)}{aim}",
            measured,
            self.verdict,
        ]

    def _reaches(self, measured: float, bound: float) -> bool:
        return measured <= bound if self.at_most else measured >= bound

    def _text(self, value: float) -> str:
        return f"{value:.{self.digits}f}{self.unit}"


def promises(results: Results) -> Iterator[Promise]:
    yield from _throughput(results)
    yield from _cpu(results)
    yield from _latency(results)
    yield from _pages(results)
    yield from _memory(results)


def _throughput(results: Results) -> Iterator[Promise]:
    for case, promised, aim in (("hot", 0.8, 1.2), ("spread", 0.3, 0.5)):
        ratio = divided(
            _rate(results.get("orders", "postgresql", AS_DELIVERED, case)),
            results.reference("postgresql", hot=case == "hot"),
        )
        yield Promise(f"postgresql, {CLIENTS} clients, {case}: orders ÷ pgbench's", ratio, promised, aim)
    for database in DATABASES:
        hot, spread = (_rate(results.get("orders", database, AS_DELIVERED, case)) for case in ("hot", "spread"))
        yield Promise(f"{database}: hot ÷ spread", divided(hot, spread), 0.95)
    on, off = (_rate(results.get("orders", "postgresql", name, "hot")) for name in (AS_DELIVERED, GROUP_COMMIT_OFF))
    yield Promise("postgresql, hot: group commit on ÷ off", divided(on, off), 3)


def _cpu(results: Results) -> Iterator[Promise]:
    for database in DATABASES:
        for case in ("spread", "hot"):
            order = results.get("orders", database, AS_DELIVERED, case)
            cpu = order.services_cpu if order else None
            yield Promise(f"{database}, {case}: CPU of the services for an order", cpu, 650, 450, True, " µs", 0)
    for database in DATABASES:
        for name, promised in (("GET /productos/{id}, 200", 350), ("GET /productos/{id}, 304", 220)):
            read = results.get("reads", database, name)
            cpu = read.cpu["productos"] if read else None
            yield Promise(f"{database}: {name}: CPU of productos", cpu, promised, None, True, " µs", 0)


def _latency(results: Results) -> Iterator[Promise]:
    limit = 3e3 * results.fsync_seconds + 5
    for database in DATABASES:
        alone = results.get("clients", database, 1)
        p50 = 1e3 * alone.p50 if alone else None
        yield Promise(f"{database}, one client: p50, 3 × fsync + 5 ms", p50, limit, None, True, " ms")
    for database in DATABASES:
        half = results.get("loads", database, 50)
        ratio = divided(half.p99, half.p50) if half else None
        yield Promise(f"{database}, at 50 % of the maximum: p99 ÷ p50", ratio, 5, at_most=True)


def _pages(results: Results) -> Iterator[Promise]:
    counts = sorted({int(case[1]) for case in results.cases("pages")}) or list(FULL.rows)
    few, many = counts[0], counts[-1]
    for database in DATABASES:
        for whose in ("all", "own"):
            costs = [_cost(results.get("pages", database, whose, count)) for count in (many, few)]
            subject = f"{database}: CPU of a page of {whose} orders, among {many:,} ÷ among {few:,}"
            enough = many >= FULL.rows[-1] and few < many  # fewer rows prove nothing
            yield Promise(subject, divided(*costs) if enough else None, 1.3, at_most=True)


def _memory(results: Results) -> Iterator[Promise]:
    for database in DATABASES:
        found = [counts for (of, _), counts in results.memory.items() if of == database]
        sizes = [[memory.resident for memory in counts.values()] for counts in found if set(FULL.memory) <= set(counts)]
        worst = max((max(each) / min(each) for each in sizes), default=None)
        between = f"between {FULL.memory[0]:,} and {FULL.memory[-1]:,} orders"
        subject = f"{database}: memory of a service {between}, most ÷ least, the worst of the four"
        yield Promise(subject, worst, 1.1, at_most=True)


def _rate(measure: Measure | None) -> float | None:
    return measure.rate if measure else None


def _cost(measure: Measure | None) -> float | None:
    """Of a page of orders: what the service and the database take for it."""
    return measure.cpu["pedidos"] + measure.cpu.get("postgresql", 0) if measure else None
