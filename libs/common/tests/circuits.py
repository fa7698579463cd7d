"""What the tests of the breaker share: a clock, neighbours that fail as told, calls that hang."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from uuid import UUID, uuid4

import httpx2
from aiobreaker import CircuitBreakerError

from comanda.common.resilience import Circuit

START = datetime(2025, 3, 1, 12, tzinfo=UTC)


class FakeClock:
    def __init__(self) -> None:
        self.wall = START
        self.seconds = 5000.0
        self.sleeps: list[float] = []

    def now(self) -> datetime:
        return self.wall

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.advance(seconds)
        await asyncio.sleep(0)

    def new_id(self) -> UUID:
        return uuid4()

    def advance(self, seconds: float) -> None:
        self.seconds += seconds
        self.wall += timedelta(seconds=seconds)


class Guard(Protocol):
    sound: bool

    async def call(self, attempt: Callable[[], Awaitable[Any]]) -> Any: ...
    def is_open(self) -> bool: ...
    def is_closed(self) -> bool: ...


def make_circuit(clock: FakeClock, name: str = "inventario", **changes: Any) -> Circuit:
    config = {"fail_max": 5, "timeout_seconds": 60, "retry_attempts": 3, "retry_wait_seconds": 2} | changes
    return Circuit(name, clock=clock, **config)


class Neighbour:
    """Counts the tries that reach it, and answers as told."""

    def __init__(self, *outcomes: BaseException | str) -> None:
        self.outcomes = list(outcomes)
        self.tries = 0

    async def __call__(self) -> str:
        self.tries += 1
        outcome = self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome


class Held:
    """A call that hangs until told how to end."""

    def __init__(self, guard: Guard | Circuit) -> None:
        self.verdict: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.task = asyncio.create_task(guard.call(self._attempt))

    async def _attempt(self) -> str:
        return await self.verdict

    async def end(self, error: BaseException | None = None) -> None:
        if error is None:
            self.verdict.set_result("hecho")
        else:
            self.verdict.set_exception(error)
        await asyncio.wait([self.task])
        self.task.exception()


def away() -> httpx2.RequestError:
    return httpx2.ConnectError("away")


async def fail(guard: Guard | Circuit, times: int = 5) -> None:
    for _ in range(times):
        with suppress(httpx2.RequestError, CircuitBreakerError):
            await guard.call(Neighbour(away()))


async def tries_that_pass(guard: Guard | Circuit, calls: int) -> int:
    """How many of that many simultaneous calls reach the neighbour."""
    reached = 0

    async def attempt() -> None:
        nonlocal reached
        reached += 1
        await asyncio.sleep(0)

    await asyncio.gather(*(guard.call(attempt) for _ in range(calls)), return_exceptions=True)
    return reached
