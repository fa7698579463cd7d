"""Counts that leak away, in memory that is bounded whatever is counted."""

import math
import secrets
from collections import OrderedDict
from hashlib import blake2b

from comanda.common.clock import Clock

MAX_KEYS = 20_000
"""Keys that a set of counters remembers of each weight; about 7 MB."""


class Counters:
    """How often something happened, by key. Each count falls by one in `leak_seconds`, until nothing is left of it.

    A key that is new pushes out the one that was silent longest, but of its own weight only: who makes up keys to have
    a real one forgotten must raise each of `MAX_KEYS` invented ones to the weight of that one.

    Args:
        leak_seconds: after so long one event is forgotten.
        heavy: from this count on a key is heavy.
        most: no count exceeds it; default: no bound.
    """

    def __init__(self, clock: Clock, *, leak_seconds: float, heavy: float, most: float = math.inf) -> None:
        self._clock = clock
        self._leak_seconds = leak_seconds
        self._heavy = heavy
        self._most = most
        self._salt = secrets.token_bytes(16)  # so that nobody can compute two keys that collide
        self._light_counts: OrderedDict[bytes, tuple[float, float]] = OrderedDict()
        self._heavy_counts: OrderedDict[bytes, tuple[float, float]] = OrderedDict()

    def add(self, *key: str) -> float:
        """Counts one event; returns the new count."""
        digest = self._digest(key)
        now = self._clock.monotonic()
        count = min(self._most, self._leaked(digest, now) + 1)
        self._drop(digest)
        counts = self._heavy_counts if count >= self._heavy else self._light_counts
        counts[digest] = count, now
        if len(counts) > MAX_KEYS:
            counts.popitem(last=False)
        return count

    def count(self, *key: str) -> float:
        return self._leaked(self._digest(key), self._clock.monotonic())

    def last(self, *key: str) -> tuple[float, float]:
        """The count as it was right after the latest event, and how many seconds ago that was."""
        count, at = self._stored(self._digest(key))
        return count, self._clock.monotonic() - at

    def wait_below(self, bound: float, *key: str) -> float:
        """Seconds until one more event leaves the count at or below `bound`; 0: it does now."""
        return max(0.0, self.count(*key) + 1 - bound) * self._leak_seconds

    def forget(self, *key: str) -> None:
        self._drop(self._digest(key))

    def __len__(self) -> int:
        return len(self._light_counts) + len(self._heavy_counts)

    def _leaked(self, digest: bytes, now: float) -> float:
        count, at = self._stored(digest)
        return max(0.0, count - (now - at) / self._leak_seconds)

    def _stored(self, digest: bytes) -> tuple[float, float]:
        return self._heavy_counts.get(digest) or self._light_counts.get(digest) or (0.0, self._clock.monotonic())

    def _drop(self, digest: bytes) -> None:
        self._heavy_counts.pop(digest, None)
        self._light_counts.pop(digest, None)

    def _digest(self, key: tuple[str, ...]) -> bytes:
        """Of one length, however long what somebody sends as an email is."""
        return blake2b(repr(key).encode(), digest_size=16, key=self._salt).digest()
