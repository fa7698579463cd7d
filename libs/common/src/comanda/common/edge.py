"""The outermost layer of every service: request id, bounds, access log, metrics, and an answer whatever happens."""

import asyncio
from collections.abc import Mapping
from functools import cache
from math import inf
from typing import TYPE_CHECKING

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from comanda.common import deadlines
from comanda.common.admission import LATE, Admission, Clase
from comanda.common.audit import REQUEST
from comanda.common.cors import across_origins
from comanda.common.database import DatabaseUnavailable
from comanda.common.direct import DirectRoutes
from comanda.common.hosts import AllowedHosts
from comanda.common.operations import DATABASE, OPERATION, UNGUARDED
from comanda.common.problems import (
    CuerpoDemasiadoGrande,
    ErrorInterno,
    PlazoDelCuerpoAgotado,
    Problem,
    ServicioNoDisponible,
    ServicioSaturado,
)
from comanda.common.protocol import WHOLE
from comanda.common.response_headers import NO_STORE, complete, security_headers
from comanda.common.security import CALLER, source
from comanda.common.streams import HEAD, EventStream
from comanda.common.telemetry import REFUSED, REQUEST_ID_HEADER, REQUESTS, request_id
from comanda.common.window import Window

if TYPE_CHECKING:
    from comanda.common.app import Wiring

log = structlog.get_logger()

REFUSALS = frozenset((401, 403))
"""What somebody tried who may not: their lines in the log say who and from where (ASVS 5.0, V16.3.2)."""
Headers = Mapping[bytes, bytes]
_REQUEST_ID = REQUEST_ID_HEADER.lower().encode()
_TIMEOUT = deadlines.TIMEOUT_HEADER.lower().encode()
_HEADERS, _STATUS, _STARTED, _CLASE = "comanda.headers", "comanda.status", "comanda.started", "comanda.clase"
_READING = "comanda.reading"
_durations = cache(REQUESTS.labels)


class ClientGone(Exception):
    """The client closed the connection before its body was complete; there is nobody to answer."""


class Edge:
    """ASGI middleware; see the module."""

    def __init__(
        self, app: ASGIApp, wiring: "Wiring", window: Window, admission: Admission, ready: asyncio.Event
    ) -> None:
        self._app = app
        self._admission = admission
        self._wiring = wiring
        self._settings = wiring.settings
        self._window = window
        self._ready = ready
        self._direct = DirectRoutes(wiring.routers)
        self._hosts = AllowedHosts.from_settings(wiring.settings)
        self._for_anyone = security_headers(wiring.settings)
        self._for_callers = (*self._for_anyone, NO_STORE)
        self._answer = across_origins(self._answer_or_refuse, wiring.settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = self._wiring.clock.monotonic()
        headers: Headers = dict(reversed(scope["headers"]))  # of two the first
        identifier = request_id(headers.get(_REQUEST_ID, b"").decode("latin-1"), self._wiring.clock)
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=identifier)
        ours = self._for_callers if b"authorization" in headers else self._for_anyone

        is_head = scope["method"] == "HEAD"
        if is_head:  # the same as GET, without content (RFC 9110 §9.3.2); the server keeps its own scope
            scope = {**scope, "method": "GET", HEAD: True}
        scope[_HEADERS], scope[_STATUS], scope[_STARTED] = headers, 0, started
        served = REQUEST.set(scope)

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                scope[_STATUS] = message["status"]
                self._end_read(scope)  # a client that takes it slowly keeps no other waiting
                message["headers"] = [*complete(message["headers"], ours), (_REQUEST_ID, identifier.encode())]
            elif is_head:
                message = {**message, "body": b""}
            await send(message)

        self._window.in_hand += 1
        try:
            await self._answer(scope, receive, send_with_id)
        except ClientGone:
            scope[_STATUS] = 499
        finally:
            REQUEST.reset(served)
            if _STARTED in scope:
                self._let_go(scope, scope[_STATUS])

    async def _answer_or_refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._serve(scope, scope[_HEADERS], receive, send)
        except Problem as problem:
            await problem.response(scope["path"])(scope, receive, send)
        except DatabaseUnavailable as fault:
            log.warning("database_unavailable", reason=str(fault))
            await ServicioNoDisponible(DATABASE).response(scope["path"])(scope, receive, send)
        except ClientGone:
            raise
        except Exception:
            log.exception("request_failed", path=_path(scope))
            if scope[_STATUS]:
                raise
            await ErrorInterno().response(scope["path"])(scope, receive, send)

    async def _serve(self, scope: Scope, headers: Headers, receive: Receive, send: Send) -> None:
        if scope["path"] not in UNGUARDED:  # they are probed by address
            self._hosts.check(headers.get(b"host"))
            if self._window.in_hand > self._settings.max_concurrency:
                REFUSED.labels(self._wiring.name).inc()
                raise ServicioSaturado
            if not self._ready.is_set():
                raise ServicioNoDisponible(DATABASE)
            await self._admit(scope, headers)
        if b"transfer-encoding" in headers or headers.get(b"content-length", b"0") != b"0":
            body = await self._whole_body(scope, headers, receive)
        else:
            body = b""
        await self._begin(scope)
        response = await self._direct.answer(scope, receive, body)
        if response:
            if isinstance(response, EventStream):  # from here on it is no work in hand
                self._let_go(scope, response.status_code)
                deadlines.DEADLINE.set(inf)
            await response(scope, receive, send)
        else:
            await self._app(scope, _replay(body, receive), send)

    async def _admit(self, scope: Scope, headers: Headers) -> None:
        clase = self._admission.class_of(scope["method"], scope["path"], scope["query_string"])
        if clase is not None:
            await self._admission.enter(clase)
            scope[_CLASE] = clase
        deadlines.begin(headers.get(_TIMEOUT), self._settings.request_timeout_seconds)

    async def _begin(self, scope: Scope) -> None:
        """Waits for the turn of the request, which is here as a whole. Raises `PlazoAgotado`."""
        clase: Clase | None = scope.get(_CLASE)
        if clase == "lectura":
            await self._admission.begin_read()
            scope[_READING] = True
        if clase is not None and deadlines.left_seconds() <= 0:
            self._admission.refused(clase, LATE)
            raise deadlines.PlazoAgotado

    def _end_read(self, scope: Scope) -> None:
        if scope.pop(_READING, False):
            self._admission.end_read()

    async def _whole_body(self, scope: Scope, headers: Headers, receive: Receive) -> bytes:
        """Receives the body, within its bounds, before anything else happens."""
        limit = self._settings.max_body_bytes
        length = headers.get(b"content-length", b"0")
        if length.isdigit() and int(length) > limit:
            raise CuerpoDemasiadoGrande(f"El límite es de {limit} bytes.")
        if WHOLE in scope:  # a timer costs more than to read it
            return await _read(receive, limit)
        try:
            async with asyncio.timeout(self._settings.body_timeout_seconds):
                return await _read(receive, limit)
        except TimeoutError:
            raise PlazoDelCuerpoAgotado from None

    def _let_go(self, scope: Scope, status: int) -> None:
        self._window.in_hand -= 1
        if _CLASE in scope:
            self._admission.leave(scope.pop(_CLASE))
            self._end_read(scope)
        self._record(scope, status, scope.pop(_STARTED))

    def _record(self, scope: Scope, status: int, started: float) -> None:
        now = self._wiring.clock.monotonic()
        seconds, route = now - started, getattr(scope.get("route"), "path", "-")
        _durations(self._wiring.name, scope["method"], route, str(status)).observe(seconds)
        if scope["path"] not in UNGUARDED:
            if route != OPERATION:
                self._window.record(scope["method"], route, status, seconds, now)
            who = _who(scope) if status in REFUSALS else {}
            ms = round(seconds * 1000, 2)
            log.info("request", method=scope["method"], path=_path(scope), status=status, ms=ms, **who)


def _replay(body: bytes, receive: Receive) -> Receive:
    """Gives a body that was received before, and then what comes after it."""
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


async def _read(receive: Receive, limit: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise CuerpoDemasiadoGrande(f"El límite es de {limit} bytes.")
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks)


def _who(scope: Scope) -> dict[str, str]:
    """The caller by its token, empty if none was good, and the address that it came from."""
    caller = scope.get(CALLER)
    return {"autor": caller.subject if caller else "", "origen": source(scope)}


def _path(scope: Scope) -> str:
    """The path as it was sent: percent-encoded, so that nobody can write lines of their own into a log."""
    raw: bytes = scope.get("raw_path") or b""
    return raw.decode("ascii", "replace")[:500]
