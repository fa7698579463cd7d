"""Calls to a neighbour, against real sockets: what reaches the wire is counted there."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from json import dumps, loads
from typing import Any
from uuid import UUID, uuid4

import aiohttp
import httpx2
import pytest
import structlog
from fastapi import HTTPException
from httpx_aiohttp.httpx2 import AiohttpTransport

from comanda.common.http import MAX_ANSWER_BYTES, Neighbour, NeighbourAnswer
from comanda.common.problems import RespuestaInvalida, ServicioNoDisponible
from comanda.common.resilience import Circuit, PoolExhausted

TIMEOUT_SECONDS = 5.0
SHORT_TIMEOUT_SECONDS = 0.03  # where the neighbour is silent and the test waits it out


class FakeClock:
    def __init__(self) -> None:
        self.seconds = 5000.0

    def now(self) -> datetime:
        return datetime(2025, 3, 1, 12, tzinfo=UTC) + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        await asyncio.sleep(0)

    def new_id(self) -> UUID:
        return uuid4()


@dataclass(frozen=True)
class Received:
    method: str
    target: str
    headers: dict[str, str]
    body: bytes


Wire = Callable[[asyncio.StreamWriter], Awaitable[None]]


class Server:
    """A socket that counts connections and requests and treats each request as `behaviour` says."""

    def __init__(self) -> None:
        self.connections = 0
        self.requests: list[Received] = []
        self.behaviour: Wire = answering(200, {"ok": True})
        self._tasks: set[asyncio.Task[None]] = set()
        self._arrival = asyncio.Event()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def received(self, count: int) -> None:
        """Waits until so many requests have arrived."""
        while len(self.requests) < count:
            self._arrival.clear()
            await self._arrival.wait()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks.add(asyncio.create_task(self._serve(reader, writer)))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while not writer.is_closing():
                self.requests.append(await receive(reader))
                self._arrival.set()
                await self.behaviour(writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


async def receive(reader: asyncio.StreamReader) -> Received:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    first, *lines = head.strip().split("\r\n")
    method, target, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return Received(method, target, headers, await reader.readexactly(int(headers.get("content-length", 0))))


def answering(status: int, body: Any = None, **headers: str) -> Wire:
    content = body if isinstance(body, bytes) else dumps(body).encode()
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(content)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write("\r\n".join([*lines, "", ""]).encode() + content)
        await writer.drain()

    return answer


def problem(status: int, slug: str, **headers: str) -> Wire:
    return answering(status, {"type": f"https://comanda.dev/problemas/{slug}", "status": status}, **headers)


async def silence(writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def half_a_body_then_silence(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345")
    await asyncio.Event().wait()


async def half_a_body_then_close(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345")
    writer.close()


async def close(writer: asyncio.StreamWriter) -> None:
    writer.close()


async def reset(writer: asyncio.StreamWriter) -> None:
    connection: socket.socket = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.close()


async def no_http(writer: asyncio.StreamWriter) -> None:
    writer.write(b"220 mail.example ESMTP\r\n\r\n")
    writer.close()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def circuit(clock: FakeClock) -> Circuit:
    return Circuit("inventario", fail_max=5, timeout_seconds=60, retry_attempts=3, retry_wait_seconds=2, clock=clock)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    server = Server()
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def neighbour(server: Server, circuit: Circuit) -> AsyncIterator[Neighbour]:
    neighbour = client(server.url, circuit)
    yield neighbour
    await neighbour.aclose()


def client(url: str, circuit: Circuit, **changes: Any) -> Neighbour:
    options = {"timeout_seconds": TIMEOUT_SECONDS, "authorization": lambda: "token-1"} | changes
    return Neighbour("inventario", url, circuit=circuit, **options)


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

    async def test_cookies_are_not_kept(self, server: Server, neighbour: Neighbour) -> None:
        server.behaviour = answering(200, {}, Set_Cookie="a=b")
        await neighbour.request("GET", "/")
        await neighbour.request("GET", "/")
        assert "cookie" not in server.requests[1].headers


class TestAnswers:
    async def test_expected(self, server: Server, neighbour: Neighbour) -> None:
        server.behaviour = answering(201, {"id": 7}, ETag='"1"')
        answer = await neighbour.request("POST", "/", expected=(200, 201))
        assert (answer.status, answer.json(), answer.headers["etag"]) == (201, {"id": 7}, '"1"')

    async def test_expected_refusal(self, server: Server, neighbour: Neighbour) -> None:
        server.behaviour = problem(409, "existencias-insuficientes")
        answer = await neighbour.request("PUT", "/", expected=(200, 409))
        assert (answer.status, answer.slug) == (409, "existencias-insuficientes")
        assert answer.problem["status"] == 409

    @pytest.mark.parametrize("body", [b"<html>", b"", b"[1]", b"\xff", b"[" * 100_000, {"type": None}, {}])
    async def test_expected_refusal_without_a_problem(self, server: Server, neighbour: Neighbour, body: Any) -> None:
        server.behaviour = answering(404, body)
        answer = await neighbour.request("GET", "/", expected=(404,))
        assert answer.slug in ("", "None")

    @pytest.mark.parametrize("body", [b"<html>", b"", b"\xff", b'{"a":', b"[" * 100_000])
    async def test_malformed_json(self, server: Server, neighbour: Neighbour, body: bytes) -> None:
        server.behaviour = answering(200, body)
        answer = await neighbour.request("GET", "/")
        with pytest.raises(RespuestaInvalida):
            answer.json()

    @pytest.mark.parametrize("status", [202, 204, 302, 307, 400, 401, 403, 404, 409, 422, 500, 502])
    async def test_unexpected_status(self, server: Server, neighbour: Neighbour, status: int) -> None:
        server.behaviour = answering(status, b"", Location="/otra")
        with pytest.raises(RespuestaInvalida) as raised:
            await neighbour.request("GET", "/")
        assert raised.value.extras == {"servicio": "inventario"}
        assert len(server.requests) == 1

    @pytest.mark.parametrize("status", [429, 503])
    @pytest.mark.parametrize(
        ("said", "passed_on"), [("17", "17"), ("soon", "1"), ("-3", "1"), ("²", "1"), ("9" * 5000, "1"), ("", "1")]
    )
    async def test_neighbour_is_overloaded(
        self, server: Server, neighbour: Neighbour, status: int, said: str, passed_on: str
    ) -> None:
        server.behaviour = problem(status, "servicio-saturado", Retry_After=said)
        with pytest.raises(ServicioNoDisponible) as raised:
            await neighbour.request("GET", "/")
        assert raised.value.headers == {"Retry-After": passed_on}
        assert raised.value.extras == {"servicio": "inventario"}
        assert len(server.requests) == 1

    async def test_too_large(self, server: Server, circuit: Circuit) -> None:
        neighbour = client(server.url, circuit)
        server.behaviour = answering(200, bytes(MAX_ANSWER_BYTES + 1))
        with pytest.raises(RespuestaInvalida):
            await neighbour.request("GET", "/")
        await neighbour.aclose()
        assert circuit.snapshot().fallos == 0

    async def test_as_the_breaker_sees_them(self, server: Server, neighbour: Neighbour) -> None:
        server.behaviour = problem(404, "no-encontrado")
        with pytest.raises(NeighbourAnswer) as raised:
            await neighbour._attempt("GET", "/", None, None)
        assert isinstance(raised.value, HTTPException)
        assert (raised.value.status, raised.value.status_code, raised.value.slug) == (404, 404, "no-encontrado")
        assert raised.value.problem["status"] == 404


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
        transport = AiohttpTransport(client=aiohttp.ClientSession)
        async with httpx2.AsyncClient(base_url=server.url, transport=transport) as bare:
            await bare.get("/")
            server.behaviour = close
            with pytest.raises(httpx2.RequestError):
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


class FakeNetwork(httpx2.AsyncBaseTransport):
    def __init__(self, outcome: Exception | httpx2.Response) -> None:
        self.outcome = outcome
        self.closed = False

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
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
        network = FakeNetwork(httpx2.Response(200, json=[1]))
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
