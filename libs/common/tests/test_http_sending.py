"""Calls to a neighbour, against real sockets: what reaches the wire, and how often, is counted there."""

import asyncio
from collections.abc import Iterator
from json import loads

import aiohttp
import httpx2
import pytest
import structlog
from neighbour_server import (
    SHORT_TIMEOUT_SECONDS,
    TIMEOUT_SECONDS,
    FakeClock,
    Server,
    answering,
    client,
    close,
    silence,
)

from comanda.common.http import Neighbour
from comanda.common.problems import ServicioNoDisponible
from comanda.common.resilience import Circuit, PoolExhausted
from comanda.common.transport import Reply


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


class TestSending:
    async def test_what_reaches_the_wire(self, server: Server, neighbour: Neighbour) -> None:
        with structlog.contextvars.bound_contextvars(request_id="r-123"):
            await neighbour.request("PUT", "/reservas/7", json={"nota": "café", "precio": "12.30"}, params={"n": 2})
        received = server.requests[0]
        assert (received.method, received.target) == ("PUT", "/reservas/7?n=2")
        assert loads(received.body.decode("utf-8")) == {"nota": "café", "precio": "12.30"}
        assert received.headers["content-type"] == "application/json"
        assert received.headers["authorization"] == "Bearer token-1"
        assert received.headers["x-request-id"] == "r-123"

    async def test_without_body_or_request_id(self, server: Server, neighbour: Neighbour) -> None:
        await neighbour.request("GET", "/productos")
        assert server.requests[0].body == b""
        assert server.requests[0].headers.keys().isdisjoint({"content-type", "x-request-id", "cookie"})

    async def test_token_is_asked_for_at_each_send(self, server: Server, circuit: Circuit) -> None:
        tokens = iter("abcd")
        neighbour = client(server.url, circuit, authorization=lambda: next(tokens))
        server.behaviour = close
        with pytest.raises(ServicioNoDisponible):
            await neighbour.request("POST", "/")
        await neighbour.aclose()
        assert [r.headers["authorization"] for r in server.requests] == [f"Bearer {t}" for t in "abcd"]

    async def test_connection_is_kept(self, server: Server, neighbour: Neighbour) -> None:
        for status in (200, 404, 200):
            server.behaviour = answering(status, {})
            await neighbour.request("GET", "/", expected=(200, 404))
        assert server.connections == 1

    async def test_proxies_of_the_environment_are_ignored(
        self, neighbour: Neighbour, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
        monkeypatch.setenv("NO_PROXY", "")
        assert (await neighbour.request("GET", "/")).status == 200

    async def test_a_redirect_is_not_followed(self, server: Server, neighbour: Neighbour) -> None:
        server.behaviour = answering(307, {}, Location="/otro")
        assert (await neighbour.request("GET", "/", expected=(307,))).status == 307
        assert [received.target for received in server.requests] == ["/"]

    async def test_cookies_are_not_kept(self, server: Server, neighbour: Neighbour) -> None:
        server.behaviour = answering(200, {}, Set_Cookie="a=b")
        await neighbour.request("GET", "/")
        await neighbour.request("GET", "/")
        assert "cookie" not in server.requests[1].headers


class TestHiddenResend:
    """A kept-alive connection dies under the next request: aiohttp would send an idempotent one again by itself."""

    @pytest.mark.parametrize("method", ["GET", "PUT"])
    async def test_neighbour(self, server: Server, clock: FakeClock, method: str) -> None:
        circuit = Circuit(
            "inventario", fail_max=5, timeout_seconds=60, retry_attempts=0, retry_wait_seconds=2, clock=clock
        )
        neighbour = client(server.url, circuit)
        await neighbour.request("GET", "/")
        server.behaviour = close
        with pytest.raises(ServicioNoDisponible):
            await neighbour.request(method, "/", json={})
        await neighbour.aclose()
        assert len(server.requests) == 1 + 1

    async def test_at_most_four_sends(self, server: Server, neighbour: Neighbour) -> None:
        await neighbour.request("GET", "/")
        server.behaviour = close
        with pytest.raises(ServicioNoDisponible):
            await neighbour.request("GET", "/")
        assert len(server.requests) == 1 + 4

    async def test_aiohttp_alone(self, server: Server) -> None:
        async with aiohttp.ClientSession(server.url) as bare:
            await (await bare.get("/")).read()
            server.behaviour = close
            with pytest.raises(aiohttp.ClientError):
                await bare.get("/")
        assert len(server.requests) == 1 + 2


class TestFullPool:
    async def test_waits_no_longer_than_a_try(self, server: Server, circuit: Circuit) -> None:
        neighbour = client(server.url, circuit, max_connections=2)
        server.behaviour = silence
        running = [asyncio.create_task(neighbour.request("GET", "/")) for _ in range(2)]
        await server.received(2)
        neighbour._timeout_seconds = SHORT_TIMEOUT_SECONDS
        with pytest.raises(ServicioNoDisponible) as raised:
            await neighbour.request("GET", "/")
        assert isinstance(raised.value.__cause__, PoolExhausted)
        assert (len(server.requests), circuit.snapshot().fallos) == (2, 0)
        for call in running:
            call.cancel()
        await asyncio.wait(running)
        neighbour._timeout_seconds = TIMEOUT_SECONDS
        server.behaviour = answering(200, {})
        assert (await neighbour.request("GET", "/")).status == 200
        await neighbour.aclose()

    async def test_bounds_the_connections(self, server: Server, circuit: Circuit) -> None:
        neighbour = client(server.url, circuit, max_connections=3)
        await asyncio.gather(*(neighbour.request("GET", "/") for _ in range(50)))
        await neighbour.aclose()
        assert (server.connections, len(server.requests)) == (3, 50)

    async def test_place_is_free_during_the_wait_between_tries(
        self, server: Server, circuit: Circuit, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        neighbour = client(server.url, circuit, max_connections=1)
        waiting, go_on = asyncio.Event(), asyncio.Event()

        async def sleep(seconds: float) -> None:
            waiting.set()
            await go_on.wait()

        monkeypatch.setattr(clock, "sleep", sleep)
        server.behaviour = close
        first = asyncio.create_task(neighbour.request("GET", "/primera"))
        await waiting.wait()
        server.behaviour = answering(200, {})
        await neighbour.request("GET", "/segunda")
        go_on.set()
        assert (await first).status == 200
        await neighbour.aclose()
        assert [r.target for r in server.requests] == ["/primera", "/segunda", "/primera"]


class FakeNetwork:
    def __init__(self, outcome: Exception | Reply) -> None:
        self.outcome = outcome
        self.closed = False

    async def send(self, *request: object) -> Reply:
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome

    async def aclose(self) -> None:
        self.closed = True


class TestTransport:
    @pytest.mark.parametrize(
        "error",
        [
            aiohttp.ClientError("x"),
            aiohttp.ServerDisconnectedError(),
            aiohttp.ClientPayloadError("x"),
            OSError("x"),
            ConnectionResetError("x"),
            TimeoutError("x"),
            httpx2.RemoteProtocolError("x"),
        ],
    )
    async def test_every_network_error_is_a_failure(self, circuit: Circuit, error: Exception) -> None:
        with pytest.raises(ServicioNoDisponible) as raised:
            await client("http://falso", circuit, transport=FakeNetwork(error)).request("GET", "/")
        assert isinstance(raised.value.__cause__, httpx2.RequestError)
        assert circuit.snapshot().fallos == 1

    async def test_error_of_our_own_is_none(self, circuit: Circuit) -> None:
        with pytest.raises(ZeroDivisionError):
            await client("http://falso", circuit, transport=FakeNetwork(ZeroDivisionError())).request("GET", "/")
        assert circuit.snapshot().fallos == 0

    async def test_can_be_replaced(self, circuit: Circuit) -> None:
        network = FakeNetwork(Reply(200, {}, b"[1]"))
        neighbour = client("http://falso", circuit, transport=network)
        assert (await neighbour.request("GET", "/")).json() == [1]
        await neighbour.aclose()
        assert network.closed


def test_can_be_built_outside_a_loop(circuit: Circuit) -> None:
    client("http://falso", circuit)


@pytest.fixture(autouse=True)
def no_request_id() -> Iterator[None]:
    structlog.contextvars.clear_contextvars()
    yield
    structlog.contextvars.clear_contextvars()
