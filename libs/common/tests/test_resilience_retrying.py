"""What a circuit tries again, how often and when."""

import asyncio
from contextlib import asynccontextmanager

import httpx2
import pytest
from circuits import FakeClock, Held, Neighbour, away, fail, make_circuit
from fastapi import HTTPException

from comanda.common.resilience import Circuit, CircuitOpen, PoolExhausted


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


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

        clock.sleep = sleep_while_the_others_fail  # type: ignore[method-assign]
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
