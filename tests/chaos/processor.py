"""How much a busy machine slows a test down."""

from pathlib import Path

SCHEDSTAT = Path("/proc/self/schedstat")


class Processor:
    """Watches how long the main thread of this process runs, and how long it waits for a core, from now on."""

    def __init__(self) -> None:
        self._ran, self._waited = _times()

    def slowdown(self) -> float:
        """How much longer everything took than on a machine with nothing else to do; 1 if nobody counts it."""
        ran, waited = _times()
        return 1 + (waited - self._waited) / max(ran - self._ran, 1)


def _times() -> tuple[int, int]:
    """In nanoseconds, as Linux counts them (`Documentation/scheduler/sched-stats.rst`)."""
    if not SCHEDSTAT.exists():
        return 0, 0
    ran, waited, _ = SCHEDSTAT.read_text().split()
    return int(ran), int(waited)
