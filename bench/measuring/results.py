"""What a run has found so far."""

import statistics
from collections import defaultdict
from dataclasses import dataclass, field

from measuring.measure import Measure, median

Case = tuple[str | int, ...]
"""Which of the measures of a part: `("as delivered", "hot")`, `(64,)`."""


@dataclass
class Memory:
    """Of one process, in bytes: what is resident, and its share of it where pages are shared."""

    resident: int
    share: int


@dataclass
class Results:
    """Filled in as the parts are run; what has not been run is absent.

    Args:
        fsync: seconds that a page takes to reach the disk, from time to time.
        references: orders a second that the database does by itself, by database and whether hot, of each round.
        memory: by database, service and number of orders.
        verified: whether the invariants held and what `comanda verify` said, by what it was said of.
    """

    fsync: list[float] = field(default_factory=list)
    references: dict[tuple[str, bool], list[float]] = field(default_factory=lambda: defaultdict(list))
    measures: dict[tuple[str, str, Case], list[Measure]] = field(default_factory=lambda: defaultdict(list))
    memory: dict[tuple[str, str], dict[int, Memory]] = field(default_factory=lambda: defaultdict(dict))
    verified: dict[str, tuple[bool, str]] = field(default_factory=dict)

    def add(self, part: str, database: str, case: Case, measure: Measure) -> None:
        self.measures[part, database, case].append(measure)
        name = f"{database} {part} {' '.join(map(str, case))}"
        cpu = sum(measure.cpu.values()) - measure.cpu["driver"]
        latency = f"p50 {1e3 * measure.p50:.2f} ms, p99 {1e3 * measure.p99:.2f} ms"
        print(f"{name}: {measure.rate:.0f}/s, {latency}, {cpu:.0f} µs CPU", flush=True)
        if measure.faults:
            print(f"  {measure.faults} unexpected answers: {measure.fault}", flush=True)

    def get(self, part: str, database: str, *case: str | int) -> Measure | None:
        """The median of its rounds; None: it was not measured."""
        measures = self.measures.get((part, database, case))
        return median(measures) if measures else None

    def cases(self, part: str) -> list[Case]:
        """What was measured of that part, in the order of its first round."""
        return list(dict.fromkeys(case for of, _, case in self.measures if of == part))

    def reference(self, database: str, *, hot: bool) -> float | None:
        rates = self.references.get((database, hot))
        return statistics.median(rates) if rates else None

    @property
    def fsync_seconds(self) -> float:
        return statistics.median(self.fsync)

    @property
    def faults(self) -> dict[str, Measure]:
        """The measures that had answers other than expected."""
        names = {key: f"{key[1]} {key[0]} {' '.join(map(str, key[2]))}" for key in self.measures}
        found = {names[key]: median(measures) for key, measures in self.measures.items()}
        return {name: measure for name, measure in found.items() if measure.faults}


def divided(one: float | None, other: float | None) -> float | None:
    """Their ratio; None where there is none."""
    return one / other if one is not None and other else None
