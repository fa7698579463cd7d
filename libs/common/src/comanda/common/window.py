"""What was asked of this process in the last minute: rates and times by route, in memory of a fixed size.

Prometheus' histograms are for a server that scrapes and keeps them; their buckets are too wide for a percentile, and
belong to the process rather than to the application. This one forgets by itself.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from operator import add

from comanda.common.clock import Clock

SECONDS = 60
"""The length of the window."""

BOUNDS = tuple(0.00025 * 1.3**n for n in range(47))
"""Upper bounds of the times, seconds: 0.25 ms to 44 s. A percentile is off by less than 30 %, on average by 7 %."""

_EDGES = (0.0, *BOUNDS, BOUNDS[-1])  # what took longer counts as the last of them

MOST_ROUTES = 100
OTHERS = ("-", "-")
"""What exceeds them: nobody can fill our memory with methods of their own invention."""

_DONE, _ERRORS = len(BOUNDS) + 1, len(BOUNDS) + 2
_NOTHING = [0] * (_ERRORS + 1)

Key = tuple[str, str]
"""Method and route, a template."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one route, or of all; rates are for each second, times milliseconds, None if nothing was asked."""

    per_second: float
    done_per_second: float
    """Answers below 400."""
    errors_per_second: float
    """Answers of 500 and more."""
    p50: float | None
    p95: float | None
    p99: float | None


class Window:
    """The last `SECONDS` seconds, counted second by second. It belongs to one event loop."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._began = clock.monotonic()
        self._seconds: dict[int, dict[Key, list[int]]] = {}
        self._second = -1
        self._present: dict[Key, list[int]] = {}
        self.in_hand = 0
        """Requests that are being served."""

    def record(self, method: str, route: str, status: int, seconds: float, now: float) -> None:
        """Counts a request that has ended at that moment of the monotonic clock."""
        second = int(now)
        if second != self._second:
            self._turn(second)
        counts = self._present.get((method, route)) or self._open((method, route))
        counts[bisect_left(BOUNDS, seconds)] += 1
        if status < 400:
            counts[_DONE] += 1
        elif status >= 500:
            counts[_ERRORS] += 1

    def figures(self) -> tuple[Figures, dict[Key, Figures]]:
        """Those of all requests, and of the busiest routes, in that order."""
        routes = self._routes()
        ordered = sorted(routes.items(), key=lambda item: (-_count(item[1]), item[0]))
        return self._figures(_sum(routes.values())), {
            key: self._figures(counts) for key, counts in ordered[:MOST_ROUTES]
        }

    def _turn(self, second: int) -> None:
        self._forget(second)
        self._second = second
        self._present = self._seconds.setdefault(second, {})

    def _open(self, key: Key) -> list[int]:
        if len(self._present) >= MOST_ROUTES:
            key = OTHERS
        return self._present.setdefault(key, list(_NOTHING))

    def _forget(self, second: int) -> None:
        for old in [one for one in self._seconds if one <= second - SECONDS]:
            del self._seconds[old]

    def _routes(self) -> dict[Key, list[int]]:
        self._forget(int(self._clock.monotonic()))
        found: dict[Key, list[list[int]]] = {}
        for routes in self._seconds.values():
            for key, counts in routes.items():
                found.setdefault(key, []).append(counts)
        return {key: _sum(counted) for key, counted in found.items()}

    def _figures(self, counts: Sequence[int]) -> Figures:
        now = self._clock.monotonic()
        covered = max(1.0, min(now - self._began, SECONDS - 1 + now % 1))  # the present second has just begun
        p50, p95, p99 = (_percentile(counts, share) for share in (0.5, 0.95, 0.99))
        asked, done, errors = (round(n / covered, 3) for n in (_count(counts), counts[_DONE], counts[_ERRORS]))
        return Figures(asked, done, errors, p50, p95, p99)


def _sum(counted: Iterable[Sequence[int]]) -> list[int]:
    total = _NOTHING
    for counts in counted:
        total = list(map(add, total, counts))
    return total


def _count(counts: Sequence[int]) -> int:
    return sum(counts[:_DONE])


def _percentile(counts: Sequence[int], share: float) -> float | None:
    """Milliseconds, by the place within its bucket; None without requests."""
    upto = list(accumulate(counts[:_DONE]))
    rank = share * upto[-1]
    if not rank:
        return None
    bucket = bisect_left(upto, rank)
    lower, upper = _EDGES[bucket : bucket + 2]
    inside = (rank - upto[bucket] + counts[bucket]) / counts[bucket]
    return round(1000 * (lower + (upper - lower) * inside), 2)
