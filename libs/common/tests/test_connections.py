"""Clients that are slow, large or many, at real sockets; time passes when a test says so."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from comanda.common.connections import Watch
from comanda.common.protocol import JoiningProtocol

LINE = b"GET / HTTP/1.1\r\nHost: localhost\r\n"
GET = LINE + b"\r\n"
LIMIT, TIMEOUT, UNREAD = 2048, 10, 60
HEADERS = ((b"x-content-type-options", b"nosniff"),)


class Place:
    """A server, and the connections to it."""

    def __init__(self) -> None:
        self.state = ServerState()
        self.requests = 0
        self.writers: list[asyncio.StreamWriter] = []
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.answer = b"nada"
        self.address: tuple[str, int] = ("", 0)
        self.watch = Watch(
            "servicio",
            header_timeout_seconds=TIMEOUT,
            unread_seconds=UNREAD,
            max_header_bytes=LIMIT,
            max_connections=3,
            headers=HEADERS,
        )

    async def application(self, scope: Any, receive: Any, send: Any) -> None:
        self.requests += 1
        if scope["path"] == "/cuerpo":
            while (await receive()).get("more_body"):
                pass
        await self.go_on.wait()
        length = str(len(self.answer)).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]})
        await send({"type": "http.response.body", "body": self.answer})

    async def connect(self) -> "Client":
        known = set(self.state.connections)
        client = Client(*await self.open())
        await until(lambda: bool(set(self.state.connections) - known))
        [client.protocol] = set(self.state.connections) - known
        return client

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection(*self.address)
        self.writers.append(writer)
        return reader, writer

    async def close(self) -> None:
        for writer in self.writers:
            writer.transport.abort()
        await until(lambda: not self.state.connections)


class Client:
    protocol: Any

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        """The server has read it when this returns."""
        seen = asyncio.Event()
        original = self.protocol.data_received

        def data_received(data: bytes) -> None:
            nonlocal missing
            original(data)
            missing -= len(data)
            if missing <= 0:
                seen.set()

        missing = len(data)
        self.protocol.data_received = data_received
        self.writer.write(data)
        await asyncio.wait_for(seen.wait(), 5)
        self.protocol.data_received = original

    def looked_at(self, seconds: float) -> None:
        """As if the server looked at the connection at that time."""
        self.protocol.look(1000 + seconds)

    async def answer(self) -> bytes:
        return await asyncio.wait_for(self.reader.readuntil(b"nada"), 5)

    async def refusal(self) -> tuple[int, str]:
        """Status and slug of the last answer before the server closed."""
        head, body = (await asyncio.wait_for(self.reader.read(), 5)).split(b"\r\n\r\n", 1)
        lines = head.split(b"\r\n")
        for line in (b"connection: close", b"content-type: application/problem+json", b": ".join(HEADERS[0])):
            assert line in lines
        assert any(line.startswith(b"x-request-id: ") for line in lines)
        document = json.loads(body)
        assert lines[0].startswith(f"HTTP/1.1 {document['status']} ".encode())
        return document["status"], document["type"].rsplit("/", 1)[1]

    async def closed_in_silence(self) -> bool:
        return await asyncio.wait_for(self.reader.read(), 5) == b""

    @property
    def open(self) -> bool:
        return not self.protocol.transport.is_closing()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110  # nobody tells when the server is so far
            await asyncio.sleep(0.001)


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    place = Place()
    config = uvicorn.Config(place.application, interface="asgi3", log_config=None)
    config.load()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: JoiningProtocol(config, place.state, {}, loop, watch=place.watch), "127.0.0.1", 0
    )
    place.address = server.sockets[0].getsockname()
    yield place
    server.close()
    await place.close()


class TestSlowHead:
    async def test_byte_by_byte(self, place: Place) -> None:
        client = await place.connect()
        for second, byte in enumerate(LINE[:TIMEOUT]):
            await client.send(bytes([byte]))
            client.looked_at(second)
            assert client.open
        client.looked_at(TIMEOUT)
        assert await client.refusal() == (408, "cabecera-demasiado-lenta")
        assert place.requests == 0

    async def test_after_a_request_too(self, place: Place) -> None:
        client = await place.connect()
        await client.send(GET)
        await client.answer()
        await client.send(LINE)
        client.looked_at(0)
        client.looked_at(TIMEOUT - 0.1)
        assert client.open
        client.looked_at(TIMEOUT)
        assert await client.refusal() == (408, "cabecera-demasiado-lenta")

    async def test_nothing_at_all(self, place: Place) -> None:
        client = await place.connect()
        client.looked_at(0)
        client.looked_at(TIMEOUT)
        assert await client.closed_in_silence()

    async def test_each_head_has_its_own_time(self, place: Place) -> None:
        client = await place.connect()
        for number in range(4):
            await client.send(LINE)
            client.looked_at(number * (TIMEOUT - 1))
            await client.send(b"\r\n")
            await client.answer()
        assert client.open

    async def test_rest_of_a_body_that_nobody_waits_for(self, place: Place) -> None:
        client = await place.connect()
        await client.send(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nx")
        await client.answer()
        for second in range(TIMEOUT):
            await client.send(b"x")
            client.looked_at(second)
            assert client.open
        client.looked_at(TIMEOUT)
        assert await client.closed_in_silence()


class TestNotTheClientsTurn:
    async def test_idle_after_an_answer(self, place: Place) -> None:
        client = await place.connect()
        await client.send(GET)
        await client.answer()
        for second in (0, TIMEOUT, 100 * TIMEOUT):
            client.looked_at(second)
        assert client.open

    async def test_while_it_is_answered(self, place: Place) -> None:
        place.go_on.clear()
        client = await place.connect()
        await client.send(GET + LINE)
        for second in (0, TIMEOUT, 100 * TIMEOUT):
            client.looked_at(second)
        place.go_on.set()
        assert (await client.answer()).startswith(b"HTTP/1.1 200 ")

    async def test_while_a_body_is_awaited(self, place: Place) -> None:
        client = await place.connect()  # its time is the edge's
        await client.send(b"POST /cuerpo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\nx")
        for second in (0, TIMEOUT, 100 * TIMEOUT):
            client.looked_at(second)
        await client.send(b"x")
        assert (await client.answer()).startswith(b"HTTP/1.1 200 ")


class TestAnswerThatNobodyReads:
    async def test_ends(self, place: Place) -> None:
        place.answer = b"x" * 50_000_000  # more than the kernel takes
        client = await place.connect()
        client.writer.write(GET)
        await until(lambda: client.protocol.cycle is not None and client.protocol.cycle.response_complete)
        await asyncio.sleep(0)
        size = client.protocol.transport.get_write_buffer_size
        assert size() > 0
        client.looked_at(0)
        client.looked_at(UNREAD - 0.1)
        assert client.open
        client.looked_at(UNREAD)
        await until(lambda: client.protocol not in place.state.connections)


class TestSize:
    async def test_up_to_the_limit(self, place: Place) -> None:
        client = await place.connect()
        head = LINE + b"X-Largo: "
        await client.send(head + b"x" * (LIMIT - len(GET) - 100) + b"\r\n\r\n")
        assert (await client.answer()).startswith(b"HTTP/1.1 200 ")

    async def test_larger(self, place: Place) -> None:
        client = await place.connect()
        await client.send(LINE + b"X-Largo: " + b"x" * LIMIT + b"\r\n\r\n")
        assert await client.refusal() == (431, "cabecera-demasiado-grande")
        assert place.requests == 0

    async def test_larger_in_pieces(self, place: Place) -> None:
        client = await place.connect()
        await client.send(LINE + b"X-Largo: ")
        for _ in range(2):
            await client.send(b"x" * (LIMIT // 2))
        await client.send(b"\r\n\r\n")
        assert await client.refusal() == (431, "cabecera-demasiado-grande")
        assert place.requests == 0

    async def test_a_field_without_end(self, place: Place) -> None:
        client = await place.connect()
        await client.send(LINE + b"X-Largo: ")
        await client.send(b"x" * LIMIT)
        assert client.open
        await client.send(b"x")
        assert await client.refusal() == (431, "cabecera-demasiado-grande")

    async def test_a_large_body_is_none_of_it(self, place: Place) -> None:
        client = await place.connect()
        head = b"POST /cuerpo HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % (2 * LIMIT)
        await client.send(head + b"x" * 2 * LIMIT)
        assert (await client.answer()).startswith(b"HTTP/1.1 200 ")

    async def test_too_many_fields(self, place: Place) -> None:
        client = await place.connect()
        await client.send(LINE + b"a: b\r\n" * (Watch.MAX_FIELDS - 1) + b"\r\n")  # and Host
        await client.answer()
        await client.send(LINE + b"a: b\r\n" * Watch.MAX_FIELDS + b"\r\n")
        assert await client.refusal() == (431, "cabecera-demasiado-grande")

    async def test_url(self, place: Place) -> None:
        place.watch.max_header_bytes = 2 * Watch.MAX_URL_BYTES
        longest = b"/?" + b"x" * (Watch.MAX_URL_BYTES - 2)
        client = await place.connect()
        await client.send(b"GET " + longest + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await client.answer()
        await client.send(b"GET " + longest + b"x HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert await client.refusal() == (414, "url-demasiado-larga")

    async def test_no_http(self, place: Place) -> None:
        client = await place.connect()
        await client.send(b"\x16\x03\x01\r\n\r\n")
        assert await client.refusal() == (400, "peticion-mal-formada")


class TestTooMany:
    async def test_are_refused_until_one_leaves(self, place: Place) -> None:
        clients = [await place.connect() for _ in range(3)]
        reader, _ = await place.open()
        answer = await asyncio.wait_for(reader.read(), 5)
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"retry-after: 1\r\n" in answer
        assert b"servicio-saturado" in answer
        await clients[0].send(GET)
        await clients[0].answer()
        clients[1].writer.close()
        await until(lambda: len(place.state.connections) == 2)
        last = await place.connect()
        await last.send(GET)
        assert (await last.answer()).startswith(b"HTTP/1.1 200 ")


class Connection:
    def __init__(self) -> None:
        self.looks: list[float] = []

    def look(self, now: float) -> None:
        self.looks.append(now)


class Loop:
    """As much of one as a watch needs."""

    def __init__(self) -> None:
        self.now = 0.0
        self.later: list[Any] = []

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, action: Callable[..., None], *arguments: Any) -> object:
        assert delay == 1
        self.later.append((action, arguments))
        return object()

    def run(self, seconds: float) -> None:
        self.now += seconds
        [(action, arguments)], self.later = self.later, []
        action(*arguments)


class TestWatch:
    def test_looks_at_all_as_long_as_there_are_any(self) -> None:
        watch, loop, connections = Watch(), Loop(), [Connection(), Connection()]
        for _ in connections:
            watch.over(connections, loop)  # type: ignore[arg-type]
        loop.run(1)
        loop.run(1)
        first = connections.pop()
        connections.clear()
        loop.run(1)
        assert (first.looks, loop.later) == ([1, 2], [])
        watch.over(connections, loop)  # type: ignore[arg-type]
        assert len(loop.later) == 1

    def test_not_right_after_the_process_stood_still(self) -> None:
        watch, loop, connections = Watch(), Loop(), [Connection()]
        watch.over(connections, loop)  # type: ignore[arg-type]
        for seconds in (1, 30, 1):
            loop.run(seconds)
        assert connections[0].looks == [1, 32]
