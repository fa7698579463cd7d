"""Circuit breaker and retry around the calls to one neighbour (architecture document, «Estrategia de Resiliencia»).

aiobreaker counts the failures and owns the three states. What it lacks is added around it: one probe instead of
everybody at half-open, a monotonic clock, and verdicts that count only for the state in which their call began.
"""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, Self, TypeVar

import structlog
import tenacity
from aiobreaker import CircuitBreaker, CircuitBreakerError, CircuitBreakerState
from fastapi import HTTPException
from httpx2 import RequestError
from prometheus_client import Counter, Gauge

from comanda.common.clock import Clock
from comanda.common.deadlines import left_seconds
from comanda.common.retry_budget import NO_WINDOW, RetryBudget
from comanda.common.settings import ServiceSettings

T = TypeVar("T")
Estado = Literal["CERRADO", "SEMIABIERTO", "ABIERTO"]
Slot = Callable[[], AbstractAsyncContextManager[None]]

_ESTADOS: dict[CircuitBreakerState, Estado] = {
    CircuitBreakerState.CLOSED: "CERRADO",
    CircuitBreakerState.HALF_OPEN: "SEMIABIERTO",
    CircuitBreakerState.OPEN: "ABIERTO",
}
_LEVELS: dict[Estado, int] = {"CERRADO": 0, "SEMIABIERTO": 1, "ABIERTO": 2}

STATE = Gauge("comanda_circuito_estado", "State of the circuit: 0 closed, 1 half-open, 2 open", ["circuito"])
TRANSITIONS = Counter("comanda_circuito_transiciones", "Changes of state, by the state entered", ["circuito", "a"])
REJECTIONS = Counter("comanda_circuito_rechazos", "Calls refused without asking the neighbour", ["circuito"])
RETRIES = Counter("comanda_circuito_reintentos", "Tries after the first of a call", ["circuito"])

_log = structlog.get_logger()


class CircuitOpen(Exception):
    """The neighbour is known to be away, or is being probed by another call: it was not asked.

    Args:
        name: the circuit's name.
        retry_after_seconds: when asking again makes sense.
    """

    def __init__(self, name: str, retry_after_seconds: float) -> None:
        super().__init__(f"el circuito «{name}» está abierto")
        self.name = name
        self.retry_after_seconds = retry_after_seconds


class GivenUp(Exception):
    """A call ended for a reason of our own, which says nothing of the neighbour."""


class PoolExhausted(GivenUp):
    """Our own connections to a neighbour are all in use and none became free in time."""


class TimeUp(GivenUp):
    """Whoever asked stops waiting before the call, or its next try, could end."""


class RetriesSpent(GivenUp):
    """The call failed once, and its retries would have been too much load for the neighbour."""


@dataclass(frozen=True)
class CircuitSnapshot:
    """A circuit as an operator sees it; `abre_hasta` is wall-clock time, present only while ABIERTO."""

    nombre: str
    estado: Estado
    fallos: int
    abre_hasta: datetime | None


class Circuit:
    """Guards the calls to one neighbour. It belongs to one event loop.

    | outcome of a call                            | verdict                              |
    |----------------------------------------------|--------------------------------------|
    | returns, or raises an `HTTPException`        | success: the neighbour answered      |
    | raises a `RequestError` after all retries    | one failure                          |
    | `GivenUp`, cancellation, anything else       | none: it is not the neighbour's deed |

    Args:
        name: the neighbour, as metrics and logs show it.
        fail_max: consecutive failures that open it.
        timeout_seconds: how long it refuses before it lets one call probe.
        retry_attempts: retries after the first try of a call.
        retry_wait_seconds: wait between two tries.
        retry_budget_percent: retries for each hundred calls; what opens the circuit twice is granted in any case.
    """

    def __init__(
        self,
        name: str,
        *,
        fail_max: int,
        timeout_seconds: float,
        retry_attempts: int,
        retry_wait_seconds: float,
        retry_budget_percent: float = 20,
        clock: Clock,
    ) -> None:
        self.name = name
        self._timeout_seconds = timeout_seconds
        self._retry_attempts = retry_attempts
        self._retry_wait_seconds = retry_wait_seconds
        self._clock = clock
        self._breaker = _Breaker(
            fail_max=fail_max, timeout_duration=timedelta(seconds=timeout_seconds), exclude=[HTTPException]
        )
        reserve = 2 * fail_max * retry_attempts
        self._budget = RetryBudget(name, percent=retry_budget_percent, reserve=reserve, clock=clock)
        self._generation = 0
        self._probing = False
        self._open_until = 0.0
        STATE.labels(name).set(0)

    @classmethod
    def from_settings(cls, name: str, settings: ServiceSettings, clock: Clock) -> Self:
        return cls(
            name,
            fail_max=settings.breaker_fail_max,
            timeout_seconds=settings.breaker_timeout_seconds,
            retry_attempts=settings.retry_attempts,
            retry_wait_seconds=settings.retry_wait_seconds,
            retry_budget_percent=settings.retry_budget_percent,
            clock=clock,
        )

    async def call(self, attempt: Callable[[], Awaitable[T]], *, slot: Slot = nullcontext, weight: int = 1) -> T:
        """Runs `attempt`, again after each `RequestError` as often as the retries allow.

        Args:
            attempt: one try. Called only while the circuit lets this call through.
            slot: entered before each try; whatever it waits for, the circuit is asked again afterwards.
            weight: how many calls this one stands for: so many failures are counted if it fails.

        Raises:
            CircuitOpen: the circuit refuses, from the start or since an earlier try.
            RetriesSpent: the first try failed and the budget grants no retries. A probe needs no budget.
            TimeUp: the request that is served is over before the next try.
            Exception: whatever the last try (or `slot`) raised.
        """
        admitted = self._admit()
        self._budget.count()
        try:
            result = await self._round(attempt, slot, admitted)
        except (RequestError, HTTPException) as error:
            self._settle(admitted, error, weight)
            raise
        else:
            self._settle(admitted, None)
            return result
        finally:
            self._release(admitted)

    @property
    def state(self) -> Estado:
        """ABIERTO lasts until the first call after the timeout makes it SEMIABIERTO."""
        return _ESTADOS[self._breaker.current_state]

    @property
    def is_well(self) -> bool:
        """Whether it is closed and the last call that brought a verdict was no failure."""
        return self.state == "CERRADO" and not self._breaker.fail_counter

    @property
    def retry_after_seconds(self) -> float:
        """When a refused or failed call makes sense again: what is left of ABIERTO, else the wait between tries."""
        return self._remaining_seconds() if self.state == "ABIERTO" else self._retry_wait_seconds

    def snapshot(self) -> CircuitSnapshot:
        until = None
        if self.state == "ABIERTO":
            until = self._clock.now() + timedelta(seconds=self._remaining_seconds())
        return CircuitSnapshot(self.name, self.state, self._breaker.fail_counter, until)

    def _admit(self) -> int:
        """Lets a call through and returns the generation that its verdict will belong to."""
        if self.state == "ABIERTO" and self._remaining_seconds() <= 0:
            self._breaker.half_open()
            self._changed()
        if self.state == "ABIERTO" or self._probing:
            raise self._refusal()
        self._probing = self.state == "SEMIABIERTO"
        return self._generation

    async def _round(self, attempt: Callable[[], Awaitable[T]], slot: Slot, admitted: int) -> T:
        try:
            return await self._try(attempt, slot, admitted)
        except RequestError as error:
            failure = error
        if not self._retry_attempts or self._shut_for(admitted):
            raise failure
        if left_seconds() <= self._retry_attempts * self._retry_wait_seconds:
            raise TimeUp from failure  # it could not end its round: so it takes none from those who can
        window = NO_WINDOW if self._probing else self._budget.grant(self._retry_attempts)
        if window is None:
            raise RetriesSpent from failure

        sent = 0

        async def again() -> T:
            nonlocal sent
            if retrying.statistics["attempt_number"] == 1:
                raise failure
            sent += 1
            return await self._try(attempt, slot, admitted, is_retry=True)

        # tenacity costs more than all else here, and most calls need one try: it learns of the first once that failed.
        retrying = tenacity.AsyncRetrying(
            sleep=self._pause,
            stop=tenacity.stop_after_attempt(1 + self._retry_attempts),
            wait=tenacity.wait_fixed(self._retry_wait_seconds),
            retry=tenacity.retry_if_exception(lambda e: isinstance(e, RequestError) and not self._shut_for(admitted)),
            reraise=True,
        )
        try:
            return await retrying(again)
        finally:
            self._budget.give_back(self._retry_attempts - sent, window)

    async def _pause(self, seconds: float) -> None:
        """Waits for the next try, if there will be anybody to make it for."""
        if left_seconds() <= seconds:
            raise TimeUp
        await self._clock.sleep(seconds)

    async def _try(
        self, attempt: Callable[[], Awaitable[T]], slot: Slot, admitted: int, *, is_retry: bool = False
    ) -> T:
        async with slot():
            if self._shut_for(admitted):
                raise self._refusal()
            if is_retry:
                RETRIES.labels(self.name).inc()
            return await attempt()

    def _shut_for(self, admitted: int) -> bool:
        """Whether the circuit has opened since that generation and has not closed again."""
        return self._generation != admitted and self.state != "CERRADO"

    def _settle(self, admitted: int, error: Exception | None, weight: int = 1) -> None:
        """Tells the state machine how a call ended, unless the state it began in is over: that news is stale."""

        def outcome() -> None:
            if error is not None:
                raise error

        for _ in range(weight):
            if admitted != self._generation:
                return
            before = self._breaker.current_state
            with suppress(RequestError, HTTPException, CircuitBreakerError):
                self._breaker.call(outcome)
            if self._breaker.current_state is not before:
                self._changed()

    def _release(self, admitted: int) -> None:
        """A call has ended. If it was the probe and brought no verdict, the next call probes."""
        if admitted == self._generation:
            self._probing = False

    def _changed(self) -> None:
        self._generation += 1
        self._probing = False
        if self.state == "ABIERTO":
            self._open_until = self._clock.monotonic() + self._timeout_seconds
        STATE.labels(self.name).set(_LEVELS[self.state])
        TRANSITIONS.labels(self.name, self.state).inc()
        log = _log.info if self.state == "CERRADO" else _log.warning
        log("circuito", circuito=self.name, estado=self.state, fallos=self._breaker.fail_counter)

    def _refusal(self) -> CircuitOpen:
        REJECTIONS.labels(self.name).inc()
        return CircuitOpen(self.name, self.retry_after_seconds)

    def _remaining_seconds(self) -> float:
        return max(0.0, self._open_until - self._clock.monotonic())


class _Breaker(CircuitBreaker):  # type: ignore[misc]  # aiobreaker ships no types
    """aiobreaker that never reads the wall clock, where it mixes local time and UTC; `Circuit` keeps the time."""

    opens_at = None

    def open(self) -> None:
        self.state = self._state_storage.state = CircuitBreakerState.OPEN
