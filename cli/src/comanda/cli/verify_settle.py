"""Telling what is wrong from what only changes, or has not yet had its turn: it is read again until that is clear."""

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from comanda.cli.audit import Violation

CONFIRMATIONS = 3
"""How often something wrong has to be read, unchanged, before it is called a violation."""

ATTEMPTS = 10
PAUSE_SECONDS = 0.3
LONGEST_PAUSE_SECONDS = 10.0
"""While something may still go by itself it is looked at ever more seldom, up to this."""


class Watch:
    """Time since it was made."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def elapsed_seconds(self) -> float:
        return time.monotonic() - self._began

    def pause(self, seconds: float) -> None:
        time.sleep(seconds)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What was read, as of one moment.

    Args:
        version: None: it changed while it was read, or it cannot be judged now.
        early_seconds: how much longer it may take until what is wrong has gone by itself.
    """

    version: object
    violations: list[Violation]
    early_seconds: float = 0.0


Read = Callable[[Collection[str]], Mapping[str, Snapshot]]


@dataclass(slots=True)
class _Doubt:
    """How often something was read when its time had come, and how often of late it was the same."""

    readings: int = 0
    same: int = 0
    version: object = None

    def again(self, version: object) -> None:
        self.readings += 1
        self.same = 0 if version is None else self.same + 1 if version == self.version else 1
        self.version = version


def settle(ids: Iterable[str], read: Read, pause: Callable[[float], None]) -> tuple[list[Violation], list[str]]:
    """Reads all of these until each is right, or wrong and unchanged often enough, its time having come.

    Returns:
        The violations, and the ids of what never stood still for long enough.
    """
    doubts = {identifier: _Doubt() for identifier in ids}
    violations: list[Violation] = []
    undecided: list[str] = []
    patience = PAUSE_SECONDS
    while doubts:
        waits = []
        for identifier, snapshot in read(list(doubts)).items():
            doubt = doubts[identifier]
            if snapshot.violations and snapshot.early_seconds > 0:
                waits.append(snapshot.early_seconds)
                continue
            doubt.again(snapshot.version)
            if not snapshot.violations or doubt.same == CONFIRMATIONS:
                violations += snapshot.violations
                del doubts[identifier]
            elif doubt.readings == ATTEMPTS:
                undecided.append(identifier)
                del doubts[identifier]
        if len(doubts) > len(waits):  # some of them are being judged
            pause(PAUSE_SECONDS)
        elif doubts:
            patience = min(2 * patience, LONGEST_PAUSE_SECONDS)
            pause(min(patience, *waits))
    return violations, undecided
