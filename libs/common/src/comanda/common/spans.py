"""The spans of OpenTelemetry; imported only where traces are on (`tracing.py`).

Names and attributes are those of the stable semantic conventions for HTTP (1.23 and later); what they do not know is
called `comanda.…`. Personal data stays out: no address of a client, no query, no text of an exception.
"""

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import Any
from uuid import UUID, uuid4

from opentelemetry.context import Context, attach, detach
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import (
    Link,
    Span,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from yarl import URL

from comanda.common.operations import UNGUARDED
from comanda.common.transport import Reply, Transport

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "CONNECT", "TRACE"})
CLOSE_SECONDS = 3.0
"""How long the end of a service waits for what is still to be exported."""

LOW = 2**64 - 1
_W3C = TraceContextTextMapPropagator()
_CONTEXT_HEADERS = {b"traceparent": "traceparent", b"tracestate": "tracestate"}


class Spans:
    """See `tracing.Tracing`. The SDK reads the standard's variables: sampler, limits, exporter.

    Args:
        service: `service.name`, unless the environment names it.
    """

    def __init__(self, service: str) -> None:
        resource = _resource(service)
        self._exporter = OTLPSpanExporter()
        self._exporting = BatchSpanProcessor(self._exporter)
        provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        provider.add_span_processor(self._exporting)
        self._tracer = provider.get_tracer("comanda")
        # Whether a thing's own trace is kept was decided with the request that made it.
        self._ids = _GivenIds()
        things = TracerProvider(resource=resource, sampler=ALWAYS_ON, id_generator=self._ids, shutdown_on_exit=False)
        things.add_span_processor(self._exporting)
        self._things = things.get_tracer("comanda")

    def app(self, app: ASGIApp) -> ASGIApp:
        async def traced(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http" or scope["path"] in UNGUARDED:
                await app(scope, receive, send)
            else:
                await self._serve(app, scope, receive, send)

        return traced

    def transport(self, transport: Transport) -> Transport:
        return _TracedTransport(self, transport)

    def here(self) -> Span:
        return get_current_span()

    @contextmanager
    def group(self, name: str, callers: Sequence[Span]) -> Iterator[None]:
        """A child of the first caller that is sampled; the other callers' spans and this one link to each other."""
        sampled = [span for span in callers if span.is_recording()]
        parent, others = (sampled or callers)[0], sampled[1:]
        span = self._tracer.start_span(
            f"lote {name}",
            context=set_span_in_context(parent, Context()),
            links=[Link(other.get_span_context()) for other in others],
            attributes={"comanda.lote": name, "comanda.lote.peticiones": len(callers)},
        )
        for other in others:
            other.add_link(span.get_span_context(), {"comanda.lote": name})
        with _current(span):
            yield

    @contextmanager
    def step(self, name: str, kind: str, ids: Iterable[UUID], **attributes: str) -> Iterator[None]:
        links = [Link(trace_of(identifier)) for identifier in ids]
        about = {f"comanda.{key}": value for key, value in attributes.items()}
        if len(links) == 1:
            about[f"comanda.{kind}.id"] = str(UUID(int=links[0].context.trace_id))
        with _current(self._tracer.start_span(" ".join((name, *attributes.values())), links=links, attributes=about)):
            yield

    def began(self, kind: str, identifier: UUID) -> None:
        maker = get_current_span()
        if maker.is_recording():
            maker.set_attribute(f"comanda.{kind}.id", str(identifier))
            self._ids.given = identifier
            attributes = {f"comanda.{kind}.id": str(identifier)}
            links = [Link(maker.get_span_context())]
            self._things.start_span(kind, context=Context(), links=links, attributes=attributes).end()

    def identify(self, event: dict[str, Any]) -> None:
        context = get_current_span().get_span_context()
        if context.is_valid:
            event["trace_id"] = f"{context.trace_id:032x}"
            event["span_id"] = f"{context.span_id:016x}"

    def close(self) -> None:
        closing = threading.Thread(target=self._exporting.shutdown, daemon=True)
        closing.start()
        closing.join(CLOSE_SECONDS)
        if closing.is_alive():
            self._exporter.shutdown()  # type: ignore[no-untyped-call]  # tries no more

    async def _serve(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        method = _method(scope["method"])
        span = self._tracer.start_span(
            method,
            context=_W3C.extract(_carrier(scope["headers"]), Context()),
            kind=SpanKind.SERVER,
            attributes=_of_request(scope),
        )

        async def noticing(message: Message) -> None:
            if message["type"] == "http.response.start":
                _answered(span, message["status"], error_from=500)
            await send(message)

        with _current(span):
            try:
                await app(scope, receive, noticing)
            finally:
                route = getattr(scope.get("route"), "path", None)
                if route is not None:
                    span.update_name(f"{method} {route}")
                    span.set_attribute("http.route", route)

    async def send(
        self, transport: Transport, method: str, url: URL, headers: Mapping[str, str], content: bytes | None
    ) -> Reply:
        """One send: one span."""
        span = self._tracer.start_span(
            method,
            kind=SpanKind.CLIENT,
            attributes={
                "http.request.method": method,
                "url.full": str(url)[:1000],
                "server.address": url.host or "",
                "server.port": url.port or 0,
            },
        )
        with _current(span):
            carried = dict(headers)
            _W3C.inject(carried)
            reply = await transport.send(method, url, carried, content)
            _answered(span, reply.status, error_from=400)
            return reply


class _TracedTransport:
    def __init__(self, spans: Spans, transport: Transport) -> None:
        self._spans = spans
        self._transport = transport

    async def send(self, method: str, url: URL, headers: Mapping[str, str], content: bytes | None) -> Reply:
        return await self._spans.send(self._transport, method, url, headers, content)

    async def aclose(self) -> None:
        await self._transport.aclose()


class _GivenIds(RandomIdGenerator):
    """The ids of the next span that begins, for a thing whose trace must be found by its id alone."""

    given = UUID(int=0)

    def generate_trace_id(self) -> int:
        return self.given.int

    def generate_span_id(self) -> int:
        return self.given.int & LOW


def trace_of(identifier: UUID) -> SpanContext:
    """The first span of a thing's own trace: the id of the trace is the thing's, that of the span its lower half.

    A UUID of RFC 9562 has its variant in there, so neither is ever zero, which W3C Trace Context forbids.
    """
    return SpanContext(identifier.int, identifier.int & LOW, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))


@contextmanager
def _current(span: Span) -> Iterator[None]:
    """What runs inside is done for that span; its failure is the span's."""
    token = attach(set_span_in_context(span))
    try:
        yield
    except BaseException as error:  # a cancellation, too: a try that took too long ends so
        _failed(span, type(error).__qualname__)
        raise
    finally:
        detach(token)
        span.end()


def _answered(span: Span, status: int, *, error_from: int) -> None:
    span.set_attribute("http.response.status_code", status)
    if status >= error_from:
        _failed(span, str(status))


def _failed(span: Span, what: str) -> None:
    span.set_attribute("error.type", what)
    span.set_status(StatusCode.ERROR)


def _method(method: str) -> str:
    """The name of a span: never what a client made up."""
    return method if method in METHODS else "HTTP"


def _of_request(scope: Scope) -> dict[str, Any]:
    attributes = {
        "http.request.method": scope["method"] if scope["method"] in METHODS else "_OTHER",
        "url.path": scope["path"][:1000],
        "url.scheme": scope["scheme"],
        "network.protocol.version": scope["http_version"],
    }
    host, port = scope.get("server") or (None, None)
    known = {"server.address": host, "server.port": port}  # on a socket of Unix it has no port
    return attributes | {name: value for name, value in known.items() if value}


def _carrier(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    return {_CONTEXT_HEADERS[name]: value.decode("latin-1") for name, value in headers if name in _CONTEXT_HEADERS}


def _resource(service: str) -> Resource:
    """What the environment says of the process wins over what we know of it."""
    ours = {"service.name": service, "service.namespace": "comanda", "service.instance.id": str(uuid4())}
    try:
        ours["service.version"] = version(f"comanda-{service}")
    except PackageNotFoundError:
        ours["service.version"] = version("comanda-common")
    return Resource.create({**ours, **OTELResourceDetector().detect().attributes})
