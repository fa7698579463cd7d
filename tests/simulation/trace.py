"""What happened in a run, in order. Two runs of one seed give the same trace, hence the same digest."""

import hashlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path

Event = tuple[float, str, str, str]


class Trace:
    """Counts events by kind; keeps them only when asked to, since a run can be repeated with its trace at any time.

    Args:
        time: the virtual clock.
        keep: whether to keep the events themselves.
    """

    def __init__(self, time: Callable[[], float], *, keep: bool) -> None:
        self.keep = keep
        self.events: list[Event] = []
        self.counts: Counter[str] = Counter()
        self._time = time

    def add(self, actor: str, kind: str, detail: str = "") -> None:
        self.counts[kind] += 1
        if self.keep:
            self.events.append((self._time(), actor, kind, detail))

    def step(self, actor: str, what: str) -> None:
        """An event of which there are thousands: not counted. Call it only if `keep`."""
        self.events.append((self._time(), actor, "step", " ".join(what.split())))

    def total(self, prefix: str) -> int:
        return sum(count for kind, count in self.counts.items() if kind.startswith(prefix))

    @property
    def digest(self) -> str:
        return hashlib.sha256("\n".join(self.lines()).encode()).hexdigest()

    def lines(self, last: int = 0) -> list[str]:
        """The events as text; `last` of them, 0: all."""
        return [
            f"{time:11.6f}  {actor:<14} {kind:<18} {detail}".rstrip()
            for time, actor, kind, detail in self.events[-last:]
        ]

    def write(self, path: Path) -> None:
        path.write_text("\n".join(self.lines()) + "\n", encoding="utf-8")
