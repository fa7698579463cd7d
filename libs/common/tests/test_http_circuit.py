"""Which failures on the wire open the circuit, and what reaches the wire while it is open."""

import asyncio

import httpx2
import pytest
from fastapi import HTTPException
from neighbour_server import (
    SHORT_TIMEOUT_SECONDS,
    FakeClock,
    Server,
    Wire,
    answering,
    client,
    close,
    half_a_body_then_close,
    half_a_body_then_silence,
    no_http,
    reset,
    silence,
)

from comanda.common.http import Neighbour
from comanda.common.problems import ServicioNoDisponible
from comanda.common.resilience import Circuit


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


class TestWhatOpensTheCircuit:
    """The table of the architecture document."""

    @pytest.mark.parametrize("behaviour", [silence, half_a_body_then_silence])
    async def test_timeout(self, server: Server, circuit: Circuit, behaviour: Wire) -> None:
        neighbour = client(server.url, circuit, timeout_seconds=SHORT_TIMEOUT_SECONDS)
        server.behaviour = behaviour
        for fallos in range(1, 6):
            with pytest.raises(ServicioNoDisponible) as raised:
                await neighbour.request("GET", "/")
            assert isinstance(raised.value.__cause__, httpx2.ReadTimeout)
            assert circuit.snapshot().fallos == fallos
            assert len(server.requests) <= 4 * fallos
        await neighbour.aclose()
        assert circuit.state == "ABIERTO"

    @pytest.mark.parametrize("behaviour", [half_a_body_then_close, close, reset, no_http])
    async def test_network(self, server: Server, neighbour: Neighbour, circuit: Circuit, behaviour: Wire) -> None:
        server.behaviour = behaviour
        for fallos in range(1, 6):
            with pytest.raises(ServicioNoDisponible) as raised:
                await neighbour.request("GET", "/")
            assert circuit.snapshot().fallos == fallos
            assert len(server.requests) == 4 * fallos
            assert raised.value.headers == {"Retry-After": "60" if fallos == 5 else "2"}
        assert circuit.state == "ABIERTO"

    async def test_service_off(self, server: Server, neighbour: Neighbour, circuit: Circuit) -> None:
        await server.stop()
        for _ in range(5):
            with pytest.raises(ServicioNoDisponible):
                await neighbour.request("GET", "/")
        assert circuit.state == "ABIERTO"

    @pytest.mark.parametrize("status", [400, 401, 404, 409, 429, 500, 503])
    async def test_error_answers_do_not(
        self, server: Server, neighbour: Neighbour, circuit: Circuit, status: int
    ) -> None:
        server.behaviour = answering(status, {})
        for _ in range(6):
            with pytest.raises(HTTPException):
                await neighbour.request("GET", "/")
        assert (circuit.state, circuit.snapshot().fallos) == ("CERRADO", 0)
        assert len(server.requests) == 6


class TestOpenCircuit:
    @pytest.fixture
    async def opened(self, server: Server, neighbour: Neighbour, circuit: Circuit) -> Neighbour:
        server.behaviour = close
        for _ in range(5):
            with pytest.raises(ServicioNoDisponible):
                await neighbour.request("GET", "/")
        server.behaviour = answering(200, {})
        return neighbour

    async def test_nobody_connects(self, server: Server, opened: Neighbour, clock: FakeClock) -> None:
        connections = server.connections
        clock.seconds += 17.5
        results = await asyncio.gather(*(opened.request("GET", "/") for _ in range(200)), return_exceptions=True)
        assert {type(r) for r in results} == {ServicioNoDisponible}
        assert {r.headers["Retry-After"] for r in results if isinstance(r, ServicioNoDisponible)} == {"43"}
        assert server.connections == connections

    @pytest.mark.parametrize("status", [200, 404, 500])
    async def test_one_probe_closes(
        self, server: Server, opened: Neighbour, clock: FakeClock, circuit: Circuit, status: int
    ) -> None:
        server.behaviour = answering(status, {})
        before = len(server.requests)
        clock.seconds += 60
        results = await asyncio.gather(
            *(opened.request("GET", "/", expected=(status,)) for _ in range(20)), return_exceptions=True
        )
        assert len(server.requests) == before + 1
        assert [type(r) for r in results].count(ServicioNoDisponible) == 19
        assert circuit.state == "CERRADO"

    async def test_client_of_the_probe_leaves(
        self, server: Server, opened: Neighbour, clock: FakeClock, circuit: Circuit
    ) -> None:
        server.behaviour = silence
        before = len(server.requests)
        clock.seconds += 60
        probe = asyncio.create_task(opened.request("GET", "/"))
        await server.received(before + 1)
        probe.cancel()
        await asyncio.wait([probe])
        server.behaviour = answering(200, {})
        assert (await opened.request("GET", "/")).status == 200
        assert circuit.state == "CERRADO"
