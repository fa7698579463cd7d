"""What of an answer reaches the socket, and in how many writes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, cast

import pytest
import uvicorn
from uvicorn.server import ServerState

from comanda.common.protocol import WHOLE, Joining, JoiningProtocol

GET, HEAD = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"
Connect = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


class Wire:
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.closed = False

    def write(self, data: bytes) -> None:
        assert not self.closed
        self.written.append(data)

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def get_extra_info(self, name: str) -> str:
        return name


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
async def joining(wire: Wire) -> Joining:
    return Joining(cast(asyncio.Transport, wire), asyncio.get_running_loop())


class TestJoining:
    async def test_two_writes_are_one(self, wire: Wire, joining: Joining) -> None:
        joining.write(b"head")
        joining.write(b"body")
        assert wire.written == [b"headbody"]
        await asyncio.sleep(0)
        assert wire.written == [b"headbody"]

    async def test_nothing_follows_in_this_turn(self, wire: Wire, joining: Joining) -> None:
        joining.write(b"head")
        await asyncio.sleep(0)
        assert wire.written == [b"head"]

    async def test_an_empty_one_ends_the_wait(self, wire: Wire, joining: Joining) -> None:
        joining.write(b"head")
        joining.write(b"")
        assert wire.written == [b"head"]

    async def test_parts_of_something_larger(self, wire: Wire, joining: Joining) -> None:
        for part in (b"head", memoryview(b"part"), memoryview(b"part"), memoryview(b"end")):
            joining.write(part)
        assert wire.written == [b"headpart", b"partend"]

    async def test_closed_after_a_write(self, wire: Wire, joining: Joining) -> None:
        joining.write(b"head")
        joining.close()
        assert (wire.written, wire.closed) == ([b"head"], True)
        await asyncio.sleep(0)

    async def test_the_client_has_gone(self, wire: Wire, joining: Joining) -> None:
        joining.write(b"head")
        wire.closed = True
        await asyncio.sleep(0)
        assert wire.written == []
        assert joining.is_closing()

    async def test_is_the_transport_otherwise(self, joining: Joining) -> None:
        assert joining.get_extra_info("peername") == "peername"


@pytest.fixture
def whole() -> list[bool]:
    """Of each request, whether it was all there when the application was called."""
    return []


@pytest.fixture
async def connect(whole: list[bool]) -> AsyncIterator[Connect]:
    """Connects to a server that answers with what it was sent."""

    async def echo(scope: Any, receive: Any, send: Any) -> None:
        whole.append(WHOLE in scope)
        body = (await receive())["body"]
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
        await send({"type": "http.response.body", "body": body or b"nada"})

    config = uvicorn.Config(echo, log_config=None)
    config.load()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: JoiningProtocol(config, ServerState(), {}, loop), "127.0.0.1", 0)

    async with server:
        yield lambda: asyncio.open_connection(*server.sockets[0].getsockname())


class TestJoiningProtocol:
    async def test_one_answer_after_the_other(self, connect: Connect, whole: list[bool]) -> None:
        reader, writer = await connect()
        for request, end in ((GET, b"\r\n\r\nnada"), (HEAD, b"\r\n\r\n"), (GET, b"\r\n\r\nnada")):
            writer.write(request)
            answer = await asyncio.wait_for(reader.read(1024), 5)
            assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
            assert answer.endswith(end)
        assert whole == [True, True, True]
        writer.close()

    async def test_a_client_that_waits_for_leave_to_send(self, connect: Connect, whole: list[bool]) -> None:
        reader, writer = await connect()
        writer.write(POST)
        assert await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5) == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"algo")
        answer = await asyncio.wait_for(reader.read(1024), 5)
        assert answer.endswith(b"\r\n\r\nalgo")
        assert whole == [False]
        writer.close()
