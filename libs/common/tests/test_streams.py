"""Answers without an end, at the edge and at real sockets."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx2
import pytest
import uvicorn
from fastapi import APIRouter, Response
from uvicorn.server import ServerState

from comanda.common.connections import Watch
from comanda.common.direct import direct
from comanda.common.protocol import JoiningProtocol
from comanda.common.streams import STOPPING, EventStream
from comanda.testing import FakeClock

Start = Callable[..., Awaitable[httpx2.AsyncClient]]
GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Endless:
    """A stream that says something when told to, and ends when it is stopped."""

    def __init__(self, block: bytes = b"data: x\n\n") -> None:
        self.block = block
        self.stopped = asyncio.Event()
        self.closed = asyncio.Event()
        self.go_on = asyncio.Event()

    async def blocks(self) -> AsyncIterator[bytes]:
        yield self.block
        while not self.stopped.is_set():
            await self.go_on.wait()
            await asyncio.sleep(0)
            yield self.block

    def stop(self) -> None:
        self.stopped.set()
        self.go_on.set()

    def response(self) -> EventStream:
        return EventStream(self.blocks(), stop=self.stop, on_close=self.closed.set)


class TestAtTheEdge:
    async def test_its_time_is_that_until_it_began(
        self, start: Start, routes: APIRouter, logs: list[Any], clock: FakeClock
    ) -> None:
        endless = Endless()

        @routes.get("/eventos")
        @direct
        async def eventos() -> Response:
            clock.advance(2)
            return endless.response()

        client = await start()
        asked = asyncio.create_task(client.get("/eventos"))
        while not logs:  # noqa: ASYNC110  # nobody tells when it has begun
            await asyncio.sleep(0)
        clock.advance(1000)
        endless.stop()
        assert (await asked).status_code == 200
        assert [(entry["path"], entry["ms"]) for entry in logs if entry["event"] == "request"] == [("/eventos", 2000)]
        assert endless.closed.is_set()


class Served:
    """A server whose every answer is that stream, and the connection of one client."""

    def __init__(self, endless: Endless) -> None:
        self.endless = endless
        self.state = ServerState()
        self.called = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def application(self, scope: Any, receive: Any, send: Any) -> None:
        self.called.set()
        await self.may_answer.wait()
        await self.endless.response()(scope, receive, send)

    @property
    def protocol(self) -> Any:
        [protocol] = self.state.connections
        return protocol


@pytest.fixture
async def served(request: pytest.FixtureRequest) -> AsyncIterator[Served]:
    served = Served(Endless(getattr(request, "param", b"data: x\n\n")))
    config = uvicorn.Config(served.application, interface="asgi3", log_config=None)
    config.load()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: JoiningProtocol(config, served.state, {}, loop, watch=Watch("servicio")), "127.0.0.1", 0
    )
    served.address = server.sockets[0].getsockname()  # type: ignore[attr-defined]
    yield served
    server.close()
    served.endless.stop()
    async with asyncio.timeout(5):
        while served.state.tasks:  # noqa: ASYNC110
            await asyncio.sleep(0.001)


async def connect(served: Served) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection(*served.address)  # type: ignore[attr-defined]
    writer.write(GET)
    await asyncio.wait_for(served.called.wait(), 5)
    return reader, writer


class TestAtASocket:
    async def test_ends_whole_when_the_server_stops(self, served: Served) -> None:
        reader, writer = await connect(served)
        await asyncio.wait_for(reader.readuntil(b"data: x\n\n"), 5)
        served.protocol.shutdown()
        assert (await asyncio.wait_for(reader.read(), 5)).endswith(b"0\r\n\r\n")
        await asyncio.wait_for(served.endless.closed.wait(), 5)
        writer.close()

    async def test_ends_when_the_server_stopped_before_it_began(self, served: Served) -> None:
        served.may_answer.clear()
        reader, writer = await connect(served)
        served.protocol.shutdown()
        assert served.protocol.cycle.scope[STOPPING]
        served.may_answer.set()
        assert (await asyncio.wait_for(reader.read(), 5)).endswith(b"0\r\n\r\n")
        writer.close()

    async def test_ends_when_the_client_leaves(self, served: Served) -> None:
        reader, writer = await connect(served)
        await asyncio.wait_for(reader.readuntil(b"data: x\n\n"), 5)
        assert not served.endless.closed.is_set()
        writer.transport.abort()
        await asyncio.wait_for(served.endless.closed.wait(), 5)

    @pytest.mark.parametrize("served", [b"x" * 1_000_000], indirect=True)
    async def test_does_not_wait_for_a_client_that_takes_nothing(self, served: Served) -> None:
        _, writer = await connect(served)
        served.endless.go_on.set()
        async with asyncio.timeout(5):
            while not served.protocol.flow.write_paused:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
        served.protocol.shutdown()
        await asyncio.wait_for(served.endless.closed.wait(), 5)
        writer.transport.abort()
