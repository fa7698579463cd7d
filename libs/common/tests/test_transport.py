"""What becomes of connections on which not all went well; `test_http_*.py` shows the rest through `Neighbour`."""

import asyncio
import gzip
from collections.abc import AsyncIterator

import aiohttp
import pytest
from neighbour_server import (
    SHORT_TIMEOUT_SECONDS,
    Server,
    Wire,
    answering,
    half_a_body_then_silence,
    silence,
)
from yarl import URL

from comanda.common.transport import MAX_ANSWER_BYTES, AiohttpTransport, Reply, ReplyTooLarge

LARGE = bytes(1024 * 1024)
"""More than any call of ours carries."""


@pytest.fixture
async def transport() -> AsyncIterator[AiohttpTransport]:
    transport = AiohttpTransport()
    yield transport
    await transport.aclose()


async def chunk_of_no_length(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n12345\r\n")
    await asyncio.Event().wait()


class TestConnections:
    async def put(self, transport: AiohttpTransport, server: Server, content: bytes | None = None) -> Reply:
        return await transport.send("PUT", URL(server.url), {}, content)

    async def test_good_one_is_used_again(self, server: Server, transport: AiohttpTransport) -> None:
        for content in (None, b"{}", LARGE):
            assert (await self.put(transport, server, content)).content == b'{"ok": true}'
        assert server.connections == 1

    @pytest.mark.parametrize("content", [None, b"{}", LARGE])
    @pytest.mark.parametrize("behaviour", [silence, half_a_body_then_silence])
    async def test_given_up(
        self, server: Server, transport: AiohttpTransport, behaviour: Wire, content: bytes | None
    ) -> None:
        server.behaviour = behaviour
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(SHORT_TIMEOUT_SECONDS):
                await self.put(transport, server, content)
        server.behaviour = answering(201)
        assert (await self.put(transport, server)).status == 201
        assert server.connections == 2

    async def test_answer_too_large(self, server: Server, transport: AiohttpTransport) -> None:
        server.behaviour = answering(200, bytes(MAX_ANSWER_BYTES + 1))
        with pytest.raises(ReplyTooLarge):
            await self.put(transport, server)
        server.behaviour = answering(200, bytes(MAX_ANSWER_BYTES))
        assert len((await self.put(transport, server)).content) == MAX_ANSWER_BYTES

    async def test_broken_answer(self, server: Server, transport: AiohttpTransport) -> None:
        server.behaviour = chunk_of_no_length
        with pytest.raises(aiohttp.ClientError):
            await self.put(transport, server)

    async def test_compressed_all_the_same(self, server: Server, transport: AiohttpTransport) -> None:
        server.behaviour = answering(200, gzip.compress(b"{}"), Content_Encoding="gzip")
        assert (await self.put(transport, server)).content == b"{}"
        server.behaviour = answering(200, gzip.compress(bytes(MAX_ANSWER_BYTES + 1)), Content_Encoding="gzip")
        with pytest.raises(ReplyTooLarge):
            await self.put(transport, server)
