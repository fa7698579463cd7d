"""When a circuit opens, who probes it, and what it tells about itself."""

import asyncio
from datetime import timedelta

import httpx2
import pytest
import structlog
from circuits import START, FakeClock, Held, Neighbour, away, fail, make_circuit, tries_that_pass
from fastapi import HTTPException
from prometheus_client import REGISTRY

from comanda.common.resilience import Circuit, CircuitOpen, PoolExhausted
from comanda.common.settings import ServiceSettings


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def metric(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0


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
        assert not circuit.is_well
        await circuit.call(Neighbour("hecho"))
        assert circuit.is_well
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
