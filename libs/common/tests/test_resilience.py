"""The breaker's promises. `guard` runs a scenario on `Circuit` and on aiobreaker alone, which breaks most of them."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, Protocol
from uuid import UUID, uuid4

import httpx2
import pytest
import structlog
from aiobreaker import CircuitBreaker, CircuitBreakerError
from fastapi import HTTPException
from prometheus_client import REGISTRY

from comanda.common.problems import NoEncontrado
from comanda.common.resilience import Circuit, CircuitOpen, PoolExhausted
from comanda.common.settings import ServiceSettings

START = datetime(2025, 3, 1, 12, tzinfo=UTC)
LOCAL_OFFSET = timedelta(hours=-3)  # Buenos Aires


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


class GuardedByCircuit:
    sound = True

    def __init__(self, clock: FakeClock) -> None:
        self.circuit = make_circuit(clock, retry_attempts=0)

    async def call(self, attempt: Callable[[], Awaitable[Any]]) -> Any:
        return await self.circuit.call(attempt)

    def is_open(self) -> bool:
        return self.circuit.state == "ABIERTO"

    def is_closed(self) -> bool:
        return self.circuit.state == "CERRADO"


class GuardedByAiobreakerAlone:
    sound = False

    def __init__(self) -> None:
        self.breaker = CircuitBreaker(fail_max=5, timeout_duration=timedelta(seconds=60), exclude=[HTTPException])

    async def call(self, attempt: Callable[[], Awaitable[Any]]) -> Any:
        return await self.breaker.call_async(attempt)

    def is_open(self) -> bool:
        return self.breaker.current_state.name == "OPEN"

    def is_closed(self) -> bool:
        return self.breaker.current_state.name == "CLOSED"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def circuit(clock: FakeClock) -> Circuit:
    return make_circuit(clock)


@pytest.fixture(params=["circuit", "aiobreaker"])
def guard(request: pytest.FixtureRequest, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> Guard:
    if request.param == "circuit":
        return GuardedByCircuit(clock)
    naive = SimpleNamespace(
        utcnow=lambda: clock.wall.replace(tzinfo=None), now=lambda: (clock.wall + LOCAL_OFFSET).replace(tzinfo=None)
    )
    monkeypatch.setattr("aiobreaker.state.datetime", naive)
    monkeypatch.setattr("aiobreaker.circuitbreaker.datetime", naive)
    return GuardedByAiobreakerAlone()


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


def metric(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0


class TestWhatAiobreakerGetsWrong:
    async def test_twenty_calls_at_half_open(self, guard: Guard, clock: FakeClock) -> None:
        await fail(guard)
        clock.advance(60)
        assert await tries_that_pass(guard, 20) == (1 if guard.sound else 20)

    async def test_retry_after_in_buenos_aires(self, guard: Guard, clock: FakeClock) -> None:
        await fail(guard)
        clock.advance(20)
        with pytest.raises((CircuitOpen, CircuitBreakerError)) as refused:
            await guard.call(Neighbour("hecho"))
        if isinstance(refused.value, CircuitOpen):
            assert refused.value.retry_after_seconds == 40
        else:
            assert refused.value.reopen_time - (clock.wall + LOCAL_OFFSET).replace(tzinfo=None) > timedelta(hours=3)

    async def test_clock_set_back(self, guard: Guard, clock: FakeClock) -> None:
        await fail(guard)
        clock.wall -= timedelta(hours=1)
        clock.advance(60)
        assert (await tries_that_pass(guard, 1) == 1) is guard.sound

    async def test_clock_set_forward(self, guard: Guard, clock: FakeClock) -> None:
        await fail(guard)
        clock.wall += timedelta(hours=1)
        assert (await tries_that_pass(guard, 1) == 0) is guard.sound

    async def test_late_failure_prolongs_the_open_period(self, guard: Guard, clock: FakeClock) -> None:
        slow = Held(guard)
        await asyncio.sleep(0)
        await fail(guard)
        clock.advance(30)
        await slow.end(away())
        clock.advance(30)
        assert (await tries_that_pass(guard, 1) == 1) is guard.sound

    async def test_late_failures_undo_the_verdict_of_the_probe(self, guard: Guard, clock: FakeClock) -> None:
        slow = [Held(guard) for _ in range(5)]
        await asyncio.sleep(0)
        await fail(guard)
        clock.advance(60)
        assert await guard.call(Neighbour("hecho")) == "hecho"
        for call in slow:
            await call.end(away())
        assert guard.is_closed() is guard.sound

    async def test_late_failure_while_the_probe_runs(self, guard: Guard, clock: FakeClock) -> None:
        slow = Held(guard)
        await asyncio.sleep(0)
        await fail(guard)
        clock.advance(60)
        probe = Held(guard)
        await asyncio.sleep(0)
        await slow.end(away())
        assert guard.is_open() is not guard.sound
        await probe.end()
        assert guard.is_closed()

    async def test_late_success_closes_what_the_probe_opened(self, guard: Guard, clock: FakeClock) -> None:
        await fail(guard)
        clock.advance(60)
        first, second = Held(guard), Held(guard)
        await asyncio.sleep(0)
        await first.end(away())
        await second.end()
        assert guard.is_open() is guard.sound

    async def test_late_success_resets_the_count(self, guard: Guard) -> None:
        slow = Held(guard)
        await asyncio.sleep(0)
        await fail(guard)
        await slow.end()
        fallos = guard.circuit.snapshot().fallos if isinstance(guard, GuardedByCircuit) else guard.breaker.fail_counter
        assert guard.is_open()
        assert (fallos == 5) is guard.sound

    async def test_cancelled_probe_is_followed_by_one_probe(self, guard: Guard, clock: FakeClock) -> None:
        await fail(guard)
        clock.advance(60)
        probe = Held(guard)
        await asyncio.sleep(0)
        probe.task.cancel()
        await asyncio.wait([probe.task])
        assert await tries_that_pass(guard, 20) == (1 if guard.sound else 20)
        assert guard.is_closed()

    async def test_full_pool_opens_a_half_open_circuit_again(self, guard: Guard, clock: FakeClock) -> None:
        await fail(guard)
        clock.advance(60)
        with pytest.raises((PoolExhausted, CircuitBreakerError)):
            await guard.call(Neighbour(PoolExhausted()))
        assert await tries_that_pass(guard, 1) == (1 if guard.sound else 0)

    async def test_error_of_our_own_opens_the_circuit(self, guard: Guard) -> None:
        for _ in range(5):
            with suppress(ZeroDivisionError, CircuitBreakerError):
                await guard.call(Neighbour(ZeroDivisionError()))
        assert guard.is_closed() is guard.sound


class TestWhatAiobreakerGetsRight:
    """Kept under test, because a part of the promise rests on it."""

    async def test_excluded_exception_resets_the_count(self, guard: Guard) -> None:
        await fail(guard, 4)
        with pytest.raises(HTTPException):
            await guard.call(Neighbour(HTTPException(500)))
        await fail(guard, 4)
        assert guard.is_closed()

    @pytest.mark.parametrize("answer", [HTTPException(404), HTTPException(500), NoEncontrado()])
    async def test_excluded_exception_at_half_open_closes(
        self, guard: Guard, clock: FakeClock, answer: Exception
    ) -> None:
        await fail(guard)
        clock.advance(60)
        with pytest.raises(HTTPException):
            await guard.call(Neighbour(answer))
        assert guard.is_closed()

    async def test_failed_probe_opens_for_another_full_period(self, guard: Guard, clock: FakeClock) -> None:
        await fail(guard)
        clock.advance(60)
        await fail(guard, 1)
        clock.advance(59)
        assert await tries_that_pass(guard, 5) == 0
        clock.advance(1)
        assert await tries_that_pass(guard, 1) == 1
        assert guard.is_closed()


class TestOpening:
    @pytest.mark.parametrize(
        "error",
        [httpx2.ConnectError("off"), httpx2.ReadTimeout("slow"), httpx2.ReadError("reset"), httpx2.PoolTimeout("slow")],
    )
    async def test_five_network_failures(self, circuit: Circuit, error: Exception) -> None:
        for fallos in range(5):
            assert (circuit.state, circuit.snapshot().fallos) == ("CERRADO", fallos)
            with pytest.raises(type(error)):
                await circuit.call(Neighbour(error))
        assert circuit.state == "ABIERTO"

    @pytest.mark.parametrize("status", [400, 401, 404, 409, 422, 429, 500, 503])
    async def test_error_answers_never_count(self, circuit: Circuit, status: int) -> None:
        for _ in range(20):
            with pytest.raises(HTTPException):
                await circuit.call(Neighbour(HTTPException(status)))
        assert circuit.snapshot().fallos == 0
        assert circuit.state == "CERRADO"

    async def test_success_in_between(self, circuit: Circuit) -> None:
        await fail(circuit, 4)
        await circuit.call(Neighbour("hecho"))
        await fail(circuit, 4)
        assert circuit.state == "CERRADO"
        await fail(circuit, 1)
        assert circuit.state == "ABIERTO"

    async def test_two_hundred_calls_while_open(self, circuit: Circuit) -> None:
        await fail(circuit)
        assert await tries_that_pass(circuit, 200) == 0

    async def test_many_calls_in_flight(self, circuit: Circuit, clock: FakeClock) -> None:
        calls = [Held(circuit) for _ in range(50)]
        await asyncio.sleep(0)
        for call in calls:
            await call.end(away())
        assert circuit.snapshot().fallos == 5
        assert circuit.snapshot().abre_hasta == START + timedelta(seconds=clock.seconds - 5000 + 60)

    async def test_open_until_the_very_second(self, circuit: Circuit, clock: FakeClock) -> None:
        await fail(circuit)
        clock.advance(59.5)
        assert await tries_that_pass(circuit, 1) == 0
        clock.advance(0.5)
        assert circuit.state == "ABIERTO"
        assert await tries_that_pass(circuit, 1) == 1


class TestRetrying:
    async def test_exhausted_retries_are_one_failure(self, circuit: Circuit, clock: FakeClock) -> None:
        last = httpx2.ReadTimeout("the last")
        neighbour = Neighbour(away(), away(), away(), last)
        with pytest.raises(httpx2.ReadTimeout) as raised:
            await circuit.call(neighbour)
        assert raised.value is last
        assert neighbour.tries == 4
        assert clock.sleeps == [2, 2, 2]
        assert circuit.snapshot().fallos == 1

    async def test_last_retry_succeeds(self, circuit: Circuit) -> None:
        neighbour = Neighbour(away(), away(), away(), "hecho")
        assert await circuit.call(neighbour) == "hecho"
        assert circuit.snapshot().fallos == 0

    @pytest.mark.parametrize(
        "error", [HTTPException(500), PoolExhausted(), ZeroDivisionError(), TimeoutError(), asyncio.CancelledError()]
    )
    async def test_only_request_errors(self, circuit: Circuit, error: BaseException) -> None:
        neighbour = Neighbour(error)
        with pytest.raises(type(error)):
            await circuit.call(neighbour)
        assert neighbour.tries == 1

    async def test_none_configured(self, clock: FakeClock) -> None:
        neighbour = Neighbour(away())
        with pytest.raises(httpx2.ConnectError):
            await make_circuit(clock, retry_attempts=0).call(neighbour)
        assert neighbour.tries == 1

    async def test_circuit_opens_during_the_wait(self, circuit: Circuit, clock: FakeClock) -> None:
        others = [Held(circuit) for _ in range(5)]
        await asyncio.sleep(0)
        instant_sleep = clock.sleep

        async def sleep_while_the_others_fail(seconds: float) -> None:
            clock.sleep = instant_sleep  # type: ignore[method-assign]
            for other in others:
                await other.end(away())
            await instant_sleep(seconds)

        circuit._clock = SimpleNamespace(now=clock.now, monotonic=clock.monotonic, sleep=sleep_while_the_others_fail)  # type: ignore[assignment]
        neighbour = Neighbour(away())
        with pytest.raises(CircuitOpen):
            await circuit.call(neighbour)
        assert neighbour.tries == 1

    async def test_circuit_opens_during_the_try(self, circuit: Circuit, clock: FakeClock) -> None:
        slow = Held(circuit)
        await asyncio.sleep(0)
        await fail(circuit)
        waited = len(clock.sleeps)
        await slow.end(away())
        assert isinstance(slow.task.exception(), httpx2.ConnectError)
        assert len(clock.sleeps) == waited

    async def test_circuit_opens_while_waiting_for_a_slot(self, circuit: Circuit) -> None:
        free = asyncio.Event()

        @asynccontextmanager
        async def slot():  # type: ignore[no-untyped-def]
            await free.wait()
            yield

        neighbour = Neighbour("hecho")
        waiting = asyncio.create_task(circuit.call(neighbour, slot=slot))
        await asyncio.sleep(0)
        await fail(circuit)
        free.set()
        with pytest.raises(CircuitOpen):
            await waiting
        assert neighbour.tries == 0

    async def test_circuit_open_and_closed_again_meanwhile(self, circuit: Circuit, clock: FakeClock) -> None:
        slow = Held(circuit)
        await asyncio.sleep(0)
        await fail(circuit)
        clock.advance(60)
        await circuit.call(Neighbour("hecho"))
        await slow.end()
        assert slow.task.result() == "hecho"


class TestProbe:
    @pytest.fixture
    async def due(self, circuit: Circuit, clock: FakeClock) -> Circuit:
        await fail(circuit)
        clock.advance(60)
        return circuit

    async def test_success(self, due: Circuit) -> None:
        assert await due.call(Neighbour("hecho")) == "hecho"
        assert due.snapshot().fallos == 0
        assert await tries_that_pass(due, 20) == 20

    async def test_the_others_are_refused_at_once(self, due: Circuit) -> None:
        probe = Held(due)
        await asyncio.sleep(0)
        assert due.state == "SEMIABIERTO"
        with pytest.raises(CircuitOpen) as refused:
            await due.call(Neighbour("hecho"))
        assert refused.value.retry_after_seconds == 2
        await probe.end()
        assert due.state == "CERRADO"

    @pytest.mark.parametrize("end", [None, away(), PoolExhausted()])
    async def test_an_older_call_ends_meanwhile(
        self, circuit: Circuit, clock: FakeClock, end: Exception | None
    ) -> None:
        older = Held(circuit)
        await asyncio.sleep(0)
        await fail(circuit)
        clock.advance(60)
        probe = Held(circuit)
        await asyncio.sleep(0)
        await older.end(end)
        assert circuit.state == "SEMIABIERTO"
        assert await tries_that_pass(circuit, 20) == 0
        await probe.end()
        assert circuit.state == "CERRADO"

    async def test_failure_after_its_retries(self, due: Circuit) -> None:
        neighbour = Neighbour(away())
        with pytest.raises(httpx2.ConnectError):
            await due.call(neighbour)
        assert neighbour.tries == 4
        assert due.state == "ABIERTO"

    @pytest.mark.parametrize("error", [PoolExhausted(), ZeroDivisionError(), asyncio.CancelledError()])
    async def test_no_verdict(self, due: Circuit, error: BaseException) -> None:
        with pytest.raises(type(error)):
            await due.call(Neighbour(error))
        assert due.state == "SEMIABIERTO"
        assert await tries_that_pass(due, 20) == 1
        assert due.state == "CERRADO"

    async def test_client_gone_during_the_wait_between_tries(self, due: Circuit, clock: FakeClock) -> None:
        async def wait_for_ever(seconds: float) -> None:
            await asyncio.Event().wait()

        clock.sleep = wait_for_ever  # type: ignore[method-assign]
        probe = asyncio.create_task(due.call(Neighbour(away())))
        await asyncio.sleep(0)
        probe.cancel()
        await asyncio.wait([probe])
        assert await tries_that_pass(due, 20) == 1


class TestFullPool:
    async def test_counts_neither_way(self, circuit: Circuit) -> None:
        await fail(circuit, 3)
        with pytest.raises(PoolExhausted):
            await circuit.call(Neighbour(PoolExhausted()))
        assert circuit.snapshot().fallos == 3


class TestSnapshot:
    async def test_each_state(self, circuit: Circuit, clock: FakeClock) -> None:
        closed = circuit.snapshot()
        assert (closed.nombre, closed.estado, closed.fallos, closed.abre_hasta) == ("inventario", "CERRADO", 0, None)
        await fail(circuit)
        clock.advance(20)
        opened = circuit.snapshot()
        assert (opened.estado, opened.fallos) == ("ABIERTO", 5)
        assert opened.abre_hasta == clock.wall + timedelta(seconds=40)
        clock.advance(50)
        assert circuit.snapshot().estado == "ABIERTO"
        assert circuit.snapshot().abre_hasta == clock.wall
        probe = Held(circuit)
        await asyncio.sleep(0)
        assert (circuit.snapshot().estado, circuit.snapshot().abre_hasta) == ("SEMIABIERTO", None)
        await probe.end()
        assert circuit.snapshot() == closed

    async def test_retry_after(self, circuit: Circuit, clock: FakeClock) -> None:
        assert circuit.retry_after_seconds == 2
        await fail(circuit)
        clock.advance(12.5)
        assert circuit.retry_after_seconds == 47.5


class TestObservability:
    async def test_metrics(self, clock: FakeClock) -> None:
        labels = {"circuito": "vecino-medido"}
        circuit = make_circuit(clock, labels["circuito"])
        assert metric("comanda_circuito_estado", **labels) == 0
        await fail(circuit)
        assert metric("comanda_circuito_estado", **labels) == 2
        assert metric("comanda_circuito_reintentos_total", **labels) == 15
        assert await tries_that_pass(circuit, 7) == 0
        assert metric("comanda_circuito_rechazos_total", **labels) == 7
        clock.advance(60)
        probe = Held(circuit)
        await asyncio.sleep(0)
        assert metric("comanda_circuito_estado", **labels) == 1
        await probe.end()
        assert metric("comanda_circuito_estado", **labels) == 0
        for entered in ("ABIERTO", "SEMIABIERTO", "CERRADO"):
            assert metric("comanda_circuito_transiciones_total", **labels, a=entered) == 1

    async def test_log(self, circuit: Circuit, clock: FakeClock) -> None:
        with structlog.testing.capture_logs() as logs:
            await fail(circuit)
            clock.advance(60)
            await circuit.call(Neighbour("hecho"))
        assert [(event["circuito"], event["estado"], event["log_level"]) for event in logs] == [
            ("inventario", "ABIERTO", "warning"),
            ("inventario", "SEMIABIERTO", "warning"),
            ("inventario", "CERRADO", "info"),
        ]


class TestFromSettings:
    async def test_every_number_is_taken(self, clock: FakeClock) -> None:
        settings = ServiceSettings(
            port=0,
            database_url="sqlite://",
            breaker_fail_max=2,
            breaker_timeout_seconds=7,
            retry_attempts=1,
            retry_wait_seconds=0.5,
        )
        circuit = Circuit.from_settings("productos", settings, clock)
        await fail(circuit, 2)
        assert clock.sleeps == [0.5, 0.5]
        assert circuit.snapshot().nombre == "productos"
        assert circuit.retry_after_seconds == 7
