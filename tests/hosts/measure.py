"""What each fault cost, and the table of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

HEAD = (
    "| fault | rounds | seconds without accepted orders | orders accepted | refused | acknowledged orders lost |",
    "|---|---|---|---|---|---|",
)


@dataclass(frozen=True)
class Ending:
    """A final answer to an attempt to place an order."""

    moment: float
    accepted: bool


@dataclass
class Span:
    """A fault and what followed until all was whole again. Moments are of the monotonic clock."""

    fault: str
    begin: float
    end: float


@dataclass
class Record:
    """A round as its customers saw it."""

    endings: list[Ending] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    lost: int = 0
    answers: dict[str, int] = field(default_factory=dict)
    """What each try was answered with, retried ones included, and how often."""


@dataclass(frozen=True)
class Cost:
    """Of one fault in one round."""

    fault: str
    seconds: float
    accepted: int
    refused: int
    lost: int


def costs(record: Record) -> list[Cost]:
    """Of each of its faults. A lost order is charged to every fault: nobody knows which one lost it."""
    return [_cost(span, record) for span in record.spans]


def longest_silence(span: Span, endings: Sequence[Ending]) -> float:
    """The longest time within the span in which no order was accepted, seconds."""
    moments = sorted(ending.moment for ending in endings if ending.accepted and span.begin <= ending.moment <= span.end)
    return max(later - earlier for earlier, later in pairwise([span.begin, *moments, span.end]))


def table(rounds: Sequence[Record]) -> list[str]:
    """Lines of Markdown. The seconds are the median of the rounds and, in brackets, the longest."""
    all_costs = [cost for record in rounds for cost in costs(record)]
    faults = dict.fromkeys(cost.fault for cost in all_costs)
    return [*HEAD, *(_row(fault, [cost for cost in all_costs if cost.fault == fault]) for fault in faults)]


def _cost(span: Span, record: Record) -> Cost:
    within = [ending for ending in record.endings if span.begin <= ending.moment <= span.end]
    accepted = sum(ending.accepted for ending in within)
    silence = longest_silence(span, record.endings)
    return Cost(span.fault, silence, accepted, len(within) - accepted, record.lost)


def _row(fault: str, of: Sequence[Cost]) -> str:
    seconds = sorted(cost.seconds for cost in of)
    cells = (
        fault,
        len(of),
        f"{seconds[len(seconds) // 2]:.1f} ({seconds[-1]:.1f})",
        sum(cost.accepted for cost in of),
        sum(cost.refused for cost in of),
        sum(cost.lost for cost in of),
    )
    return f"| {' | '.join(map(str, cells))} |"
