"""What carries a request to a neighbour and brings back its answer: aiohttp, without what it would do by itself."""

from collections.abc import Mapping
from functools import cache
from ssl import SSLContext
from typing import NamedTuple, Protocol

import aiohttp
import httpx2
from yarl import URL

KEEPALIVE_SECONDS = 30
"""Idle connections are given up by us long before the servers do (75 s), so that a request rarely meets a dead one."""

MAX_ANSWER_BYTES = 16 * 1024 * 1024


class Reply(NamedTuple):
    status: int
    headers: Mapping[str, str]
    """Whatever the case of their names."""
    content: bytes


class ReplyTooLarge(Exception):
    """The answer has more than `MAX_ANSWER_BYTES`. Its connection is closed, the rest unread."""


class Transport(Protocol):
    """Sends a request exactly once, for as long as it is awaited, and returns the whole answer, be it a redirect.

    Keeps no cookies and asks no proxy.
    """

    async def send(self, method: str, url: URL, headers: Mapping[str, str], content: bytes | None) -> Reply:
        """Raises `aiohttp.ClientError`, `OSError`, `httpx2.RequestError`: the network failed; `ReplyTooLarge`."""
        ...

    async def aclose(self) -> None:
        """Closes the connections. What is still being sent fails."""
        ...


class AiohttpTransport:
    """The real network."""

    def __init__(self) -> None:
        self._tls = _tls()
        self._opened: aiohttp.ClientSession | None = None

    async def send(self, method: str, url: URL, headers: Mapping[str, str], content: bytes | None) -> Reply:
        sending = self._session().request(method, url, headers=headers, data=content, allow_redirects=False)
        async with sending as response:
            body = bytearray()
            async for chunk in response.content.iter_any():
                body += chunk
                if len(body) > MAX_ANSWER_BYTES:
                    raise ReplyTooLarge
        return Reply(response.status, response.headers, bytes(body))

    async def aclose(self) -> None:
        if self._opened is not None:
            await self._opened.close()

    def _session(self) -> aiohttp.ClientSession:
        if self._opened is None:  # at the first request, inside the loop that runs then
            self._opened = aiohttp.ClientSession(
                # The semaphore of Neighbour is the bound: a queue in here would count as the neighbour's slowness.
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEPALIVE_SECONDS, ssl=self._tls),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(),  # none: Neighbour bounds each try as a whole
                trust_env=False,
            )
            # aiohttp sends an idempotent request a second time by itself when a reused connection turns out dead.
            self._opened._retry_connection = False
        return self._opened


@cache
def _tls() -> SSLContext:
    return httpx2.create_ssl_context(trust_env=False)
