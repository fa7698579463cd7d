"""A bound to what retries add to the load of a neighbour that is in trouble already.

In any `WINDOW_SECONDS` the retries are at most a part of the calls, or so few that they do not matter. A call is
granted its whole round or none of it: single retries spread over all calls would exhaust no round, and only exhausted
rounds open the circuit. What a round does not need is given back.

Sources: Finagle's RetryBudget; gRPC's A6, «Throttling Retry Attempts and Hedged RPCs»; «Site Reliability Engineering»,
ch. 22, «Preventing Server Overload».
"""

from prometheus_client import Counter

from comanda.common.clock import Clock

WINDOW_SECONDS = 10.0
NO_WINDOW = 0.0
"""Of retries that were not counted."""

DENIED = Counter("comanda_circuito_reintentos_negados", "Calls without retries: the budget is spent", ["circuito"])


class RetryBudget:
    """Counts window by window. It belongs to one event loop.

    Args:
        percent: retries for each hundred calls.
        reserve: retries that are granted however few calls there are.
    """

    def __init__(self, name: str, *, percent: float, reserve: int, clock: Clock) -> None:
        self._name = name
        self._part = percent / 100
        self._reserve = reserve
        self._clock = clock
        self._until = 0.0
        self._calls = 0
        self._retries = 0

    def count(self) -> None:
        """A call begins."""
        now = self._clock.monotonic()
        if now >= self._until:
            self._until = now + WINDOW_SECONDS
            self._calls = self._retries = 0
        self._calls += 1

    def grant(self, retries: int) -> float | None:
        """The window that so many retries of one call are counted in; None: there may be no more in it."""
        if self._retries + retries > max(self._reserve, self._calls * self._part):
            DENIED.labels(self._name).inc()
            return None
        self._retries += retries
        return self._until

    def give_back(self, retries: int, window: float) -> None:
        """Retries that were granted in that window and not needed."""
        if window == self._until:
            self._retries -= retries
