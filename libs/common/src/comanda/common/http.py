"""HTTP client for one neighbour: deadline, retry and breaker, token, request id, answers as values or problems."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from json import dumps, loads
from typing import Any

import aiohttp
import httpx2
import structlog
from fastapi import HTTPException
from yarl import URL

from comanda.common import tracing
from comanda.common.crashpoints import crash_point
from comanda.common.deadlines import TIMEOUT_HEADER, left_seconds, to_header
from comanda.common.problems import RespuestaInvalida, ServicioNoDisponible
from comanda.common.queues import Queue
from comanda.common.resilience import Circuit, CircuitOpen, GivenUp, PoolExhausted, TimeUp
from comanda.common.telemetry import REQUEST_ID_HEADER, current_request_id
from comanda.common.transport import AiohttpTransport, ReplyTooLarge, Transport

_log = structlog.get_logger()


@dataclass(frozen=True)
class Answer:
    """What a neighbour answered."""

    servicio: str
    status: int
    headers: Mapping[str, str]
    content: bytes

    def json(self) -> Any:
        """The parsed body.

        Raises:
            RespuestaInvalida: it is not JSON.
        """
        try:
            return loads(self.content)
        except (ValueError, RecursionError):
            raise RespuestaInvalida(self.servicio) from None

    @property
    def problem(self) -> dict[str, Any]:
        """The problem document (RFC 9457) of a refusal; empty if the body is no JSON object."""
        try:
            body = self.json()
        except RespuestaInvalida:
            return {}
        return body if isinstance(body, dict) else {}

    @property
    def slug(self) -> str:
        """Which problem it is: the last segment of its `type`, or empty."""
        return str(self.problem.get("type", "")).rpartition("/")[2]

    @property
    def retry_after_seconds(self) -> int:
        """The whole seconds of `Retry-After`, 1 if there are none."""
        value = self.headers.get("retry-after", "")
        return int(value) if value.isascii() and value.isdecimal() and len(value) < 7 else 1


@dataclass(frozen=True)
class Part(Answer):
    """One of the answers that a shared call brings (`calls.py`)."""

    body: Any = None

    def json(self) -> Any:
        return self.body


class NeighbourAnswer(HTTPException):
    """The neighbour answered with an error status. An `HTTPException`, so the breaker excludes it as a failure."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status, answer.slug or None)
        self.answer = answer
        self.status = answer.status
        self.problem = answer.problem
        self.slug = answer.slug


def unexpected(answer: Answer, **about: str) -> ServicioNoDisponible | RespuestaInvalida:
    """What an answer that nobody expected means for who asked; logged, with what else is known about the request."""
    _log.warning("respuesta inesperada", servicio=answer.servicio, status=answer.status, slug=answer.slug, **about)
    if answer.status in (429, 503):
        return ServicioNoDisponible(answer.servicio, answer.retry_after_seconds)
    return RespuestaInvalida(answer.servicio)


class Neighbour:
    """Calls one neighbour through its circuit.

    Args:
        name: the neighbour, as clients and logs see it.
        base_url: where it listens.
        circuit: its breaker, shared by every client of that neighbour in the process.
        timeout_seconds: limit of one whole try, and of the wait for one of our connections. A try is given no more than
            is left to the request that it is made for, and tells the neighbour how long it waits.
        authorization: the bearer token, asked for at each send.
        max_connections: sends at the same time.
        transport: the network; the default is aiohttp's.
    """

    def __init__(
        self,
        name: str,
        base_url: str,
        *,
        circuit: Circuit,
        timeout_seconds: float,
        authorization: Callable[[], str],
        max_connections: int = 100,
        transport: Transport | None = None,
    ) -> None:
        self.name = name
        self.circuit = circuit
        self._timeout_seconds = timeout_seconds
        self._authorization = authorization
        self._connections = asyncio.Semaphore(max_connections)
        self._in_use = 0
        self.pool = Queue(f"conexiones-{name}", lambda: self._in_use, max_connections)
        self._base_url = str(URL(base_url)).rstrip("/")
        self._transport = tracing.sent(transport or AiohttpTransport())

    async def request(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        params: Any = None,
        headers: Mapping[str, str] | None = None,
        expected: Collection[int] = (200,),
        weight: int = 1,
    ) -> Answer:
        """Sends a request, again if the network fails, and returns the answer if its status is `expected`.

        Args:
            headers: beside those that every request carries.
            weight: how many requests this one stands for, see `Circuit.call`.

        Raises:
            ServicioNoDisponible: the neighbour cannot be reached, its circuit is open, it says 429 or 503, none of our
                connections became free in time, or whoever asked stops waiting.
            RespuestaInvalida: any other status.
        """
        content = None if json is None else dumps(json, separators=(",", ":"), allow_nan=False).encode()
        attempt = partial(self._attempt, method, path, content, params, headers or {})
        try:
            answer = await self.circuit.call(attempt, slot=self._slot, weight=weight)
        except NeighbourAnswer as refusal:
            answer = refusal.answer
        except CircuitOpen as error:
            raise ServicioNoDisponible(self.name, error.retry_after_seconds) from error
        except (httpx2.RequestError, GivenUp) as error:
            raise ServicioNoDisponible(self.name, self.circuit.retry_after_seconds) from error
        if answer.status in expected:
            return answer
        raise unexpected(answer)

    async def aclose(self) -> None:
        """Closes the connections. Calls still running fail."""
        await self._transport.aclose()

    @asynccontextmanager
    async def _slot(self) -> AsyncIterator[None]:
        limit = min(self._timeout_seconds, left_seconds())
        try:
            async with asyncio.timeout(limit if self._connections.locked() else None):
                await self._connections.acquire()
        except TimeoutError:
            raise (PoolExhausted if limit == self._timeout_seconds else TimeUp) from None
        self._in_use += 1
        try:
            yield
        finally:
            self._in_use -= 1
            self._connections.release()

    async def _attempt(
        self, method: str, path: str, content: bytes | None, params: Any, headers: Mapping[str, str]
    ) -> Answer:
        """One send and its whole answer; whatever the network does ends as a `RequestError`."""
        limit = min(self._timeout_seconds, left_seconds())
        if limit <= 0:
            raise TimeUp
        url = URL(self._base_url + path).with_query(params)
        headers = {**self._headers(content), TIMEOUT_HEADER: to_header(limit), **headers}
        try:
            crash_point("before-call")
            async with asyncio.timeout(limit):
                reply = await self._transport.send(method, url, headers, content)
            crash_point("after-call")
        except TimeoutError as error:
            if limit < self._timeout_seconds:
                raise TimeUp from error
            raise httpx2.ReadTimeout(f"{self.name}: sin respuesta a tiempo") from error
        except (aiohttp.ClientError, OSError) as error:
            raise httpx2.NetworkError(f"{self.name}: {error}") from error
        except ReplyTooLarge:
            raise RespuestaInvalida(self.name) from None
        answer = Answer(self.name, *reply)
        if answer.status >= 400:
            raise NeighbourAnswer(answer)
        return answer

    def _headers(self, content: bytes | None) -> dict[str, str]:
        headers = {
            "Accept-Encoding": "identity",
            "User-Agent": "comanda",
            "Authorization": f"Bearer {self._authorization()}",
        }
        if content is not None:
            headers["Content-Type"] = "application/json"
        request_id = current_request_id()
        if request_id is not None:
            headers[REQUEST_ID_HEADER] = request_id
        return headers
