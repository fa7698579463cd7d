"""HTTP on a connection: uvicorn's, with the bounds it lacks, and the writes of an answer joined.

It also tells when a request is all there, and refuses before anything is begun what there is no room for: a service
that is asked for several times what it can do would else spend itself on refusals.
"""

import asyncio
from collections.abc import Collection
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from comanda.common import admission
from comanda.common.clock import SystemClock
from comanda.common.connections import (
    CabeceraDemasiadoGrande,
    CabeceraDemasiadoLenta,
    PeticionMalFormada,
    UrlDemasiadoLarga,
    Watch,
    Watched,
)
from comanda.common.problems import Problem, ServicioSaturado
from comanda.common.response_headers import complete
from comanda.common.streams import STOP, STOPPING
from comanda.common.telemetry import REFUSED, REQUEST_ID_HEADER, request_id

WHOLE = "comanda.whole"
"""In the scope of a request that has arrived to its end, so that nobody has to wait for its body."""


_REQUEST_ID = REQUEST_ID_HEADER.lower().encode()


class JoiningProtocol(HttpToolsProtocol):
    """uvicorn writes the head of an answer apart from its body: two system calls, and two packets for the client.

    Nor does it bound what comes before an application is called: the size of a head, the time it takes, how many
    connections there are.
    """

    def __init__(self, *args: Any, watch: Watch | None = None, **options: Any) -> None:
        super().__init__(*args, **options)
        self._watch = watch or Watch()
        self._large = False
        self._partial: object = None
        """The scope whose head was not all there after the last data."""
        self._partial_bytes = 0
        self._owed: tuple[int, object] | None = None
        self._owed_since = 0.0
        self._refusal: Problem | None = None
        self._shed: bytes | None = None
        """What a request that is still arriving will be answered, without anybody having seen it."""
        self._telling: tuple[asyncio.TimerHandle, bytes] | None = None
        """The same, of one that has arrived and is told late."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(cast(asyncio.Transport, Joining(transport, self.loop)))
        self._watch.over(cast(Collection[Watched], self.connections), self.loop)
        if len(self.connections) > self._watch.max_connections:
            REFUSED.labels(self._watch.service).inc()
            self._refuse(ServicioSaturado())

    def data_received(self, data: bytes) -> None:
        self._large = len(data) > self._watch.max_header_bytes
        super().data_received(data)
        scope = self.scope
        if scope is not None and "path" not in scope and not self.transport.is_closing():
            # A field is ours only when it is whole, so what came of it so far has to be counted here.
            self._partial_bytes = self._partial_bytes + len(data) if self._partial is scope else 0
            self._partial = scope
            if self._partial_bytes > self._watch.max_header_bytes:
                self._refuse(CabeceraDemasiadoGrande())

    def on_headers_complete(self) -> None:
        watch = self._watch
        if len(self.url) > watch.MAX_URL_BYTES:
            self._refusal = UrlDemasiadoLarga(f"El límite es de {watch.MAX_URL_BYTES} bytes.")
        elif len(self.headers) > watch.MAX_FIELDS:
            self._refusal = CabeceraDemasiadoGrande(f"El límite es de {watch.MAX_FIELDS} campos.")
        elif (self._large or self._partial is self.scope) and self._head_bytes() > watch.max_header_bytes:
            self._refusal = CabeceraDemasiadoGrande(f"El límite es de {watch.max_header_bytes} bytes.")
        if self._refusal:
            raise self._refusal  # the parser stops, and uvicorn has it answered below
        self._tell_now()  # the client sends one request behind the other: so it is answered
        self._shed = self._no_room()
        if self._shed is None:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if self._shed is None:
            super().on_body(body)

    def on_message_complete(self) -> None:
        self.scope[WHOLE] = True  # type: ignore[literal-required]  # a key of our own
        if self._shed is None:
            super().on_message_complete()
            return
        answer, self._shed = self._shed, None
        if self._admission is not None and self._admission.begin_wait():
            self._telling = self.loop.call_later(admission.REFUSAL_SECONDS, self._tell_now), answer
        else:
            self._tell(answer)

    def connection_lost(self, exc: Exception | None) -> None:
        self._tell_now()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """The server stops: a stream ends by itself, unless its client takes nothing."""
        self._tell_now()
        super().shutdown()
        if self.cycle is None or self.cycle.response_complete:
            return
        scope = cast(dict[str, Any], self.cycle.scope)
        scope[STOPPING] = True
        if STOP in scope:
            scope[STOP]()
            if self.flow.write_paused:
                self.transport.abort()

    def send_400_response(self, msg: str) -> None:
        self._refuse(self._refusal or PeticionMalFormada())

    def look(self, now: float) -> None:
        """Ends the connection if what it waits for from the client is the same as before, for too long."""
        owed = self._owes()
        if owed is None or self._owed is None or owed[0] != self._owed[0] or owed[1] is not self._owed[1]:
            self._owed, self._owed_since = owed, now
        elif owed[0]:
            if now - self._owed_since >= self._watch.unread_seconds:
                self.transport.abort()
        elif now - self._owed_since >= self._watch.header_timeout_seconds:
            if self.scope is None or WHOLE in self.scope or "path" in self.scope:
                self.transport.close()
            else:
                self._refuse(CabeceraDemasiadoLenta())

    def _owes(self) -> tuple[int, object] | None:
        """What the client has not taken, and the request that it has not sent; None: it is not its turn."""
        unread = self.transport.get_write_buffer_size()
        answered = self.cycle is None or self.cycle.response_complete
        idle = self.scope is not None and WHOLE in self.scope  # the time of these is uvicorn's
        return (unread, self.scope) if unread or (answered and not idle) else None

    @property
    def _admission(self) -> admission.Admission | None:
        return self.app_state.get(admission.ADMISSION)

    def _no_room(self) -> bytes | None:
        """The answer to a request whose class is full. None: there is room, or somebody has to look closer."""
        ours = self._admission
        if ours is None or not ours.is_full:
            return None
        method = self.parser.get_method().decode("ascii")
        path, _, query = self.url.partition(b"?")
        busy = self.cycle is not None and not self.cycle.response_complete
        if busy or method not in ("GET", "POST") or b"%" in path or self.expect_100_continue:
            return None
        clase = ours.class_of(method, path.decode("ascii"), query)
        if clase is None or ours.has_room(clase) or not self.parser.should_keep_alive():
            return None
        fields = dict(self.headers)
        # A page of another origin has to be told that it may read the answer.
        if b"origin" in fields or self.parser.get_http_version() != "1.1":
            return None
        ours.refused(clase, admission.FULL)
        self.scope["path"] = ""  # its head is all there
        identifier = request_id(fields.get(_REQUEST_ID, b"").decode("latin-1"), SystemClock())
        return self._written(ServicioSaturado(), path.decode("ascii"), identifier)

    def _tell_now(self) -> None:
        if self._telling is not None:
            (timer, answer), self._telling = self._telling, None
            timer.cancel()
            if self._admission is not None:
                self._admission.end_wait()
            self._tell(answer)

    def _tell(self, answer: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(answer)
            self._unset_keepalive_if_required()
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def _head_bytes(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def _refuse(self, problem: Problem) -> None:
        """Answers in place of the application, and closes."""
        self.transport.write(self._written(problem, "/", str(SystemClock().new_id()), (b"connection", b"close")))
        self.transport.close()

    def _written(self, problem: Problem, path: str, identifier: str, *more: tuple[bytes, bytes]) -> bytes:
        """A whole answer."""
        response = problem.response(path)
        headers = [
            *self.server_state.default_headers,
            *complete(response.raw_headers, self._watch.headers),
            (_REQUEST_ID, identifier.encode()),
            *more,
        ]
        fields = b"".join(b"%b: %b\r\n" % header for header in headers)
        return STATUS_LINE[response.status_code] + fields + b"\r\n" + bytes(response.body)


class Joining:
    """A transport that joins two writes: the first waits for the second, but not beyond this turn of the event loop."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._held = b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._held:
            joined, self._held = self._held + data, b""
            self._transport.write(joined)
        elif data:
            self._held = bytes(data)
            self._loop.call_soon(self._flush)

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._held and not self._transport.is_closing():
            self._transport.write(self._held)
        self._held = b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
