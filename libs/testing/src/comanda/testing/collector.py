"""A collector of traces on a loopback port: takes what an exporter sends by OTLP over HTTP, and shows it."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span as Exported

from comanda.common import tracing

PATIENCE_SECONDS = 30.0
"""How long a test waits for spans that must come."""


@dataclass(frozen=True)
class Spanned:
    """A span as it was exported; ids are in hexadecimal, `parent` is empty for the root of a trace."""

    service: str
    name: str
    kind: str
    trace: str
    id: str
    parent: str
    attributes: Mapping[str, Any]
    links: Sequence[tuple[str, str]]
    failed: bool

    @classmethod
    def of(cls, service: str, span: Exported) -> "Spanned":
        return cls(
            service=service,
            name=span.name,
            kind=Exported.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
            trace=span.trace_id.hex(),
            id=span.span_id.hex(),
            parent=span.parent_span_id.hex(),
            attributes={one.key: getattr(one.value, one.value.WhichOneof("value") or "") for one in span.attributes},
            links=[(link.trace_id.hex(), link.span_id.hex()) for link in span.links],
            failed=span.status.code == span.status.STATUS_CODE_ERROR,
        )


class Collector:
    """Use it as a context manager; `endpoint` is for `OTEL_EXPORTER_OTLP_ENDPOINT`."""

    def __init__(self) -> None:
        self._spans: list[Spanned] = []
        self._came = threading.Condition()
        self._server = self._listen(0)
        self.port = self._server.server_address[1]

    def __enter__(self) -> "Collector":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def spans(self) -> list[Spanned]:
        with self._came:
            return list(self._spans)

    def wait_for(self, enough: Callable[[list[Spanned]], bool]) -> list[Spanned]:
        """All spans that have come, once they are enough."""
        with self._came:
            assert self._came.wait_for(lambda: enough(self._spans), PATIENCE_SECONDS), self._spans
            return list(self._spans)

    def stop(self) -> None:
        """Closes the port: who sends now is refused."""
        self._server.shutdown()
        self._server.server_close()

    def start_again(self) -> None:
        """On the same port."""
        self._server = self._listen(self.port)

    def _listen(self, port: int) -> ThreadingHTTPServer:
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                collector._take(self.path, self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return server

    def _take(self, path: str, body: bytes) -> None:
        assert path == "/v1/traces", path
        with self._came:
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                names = {one.key: one.value.string_value for one in resource.resource.attributes}
                for scope in resource.scope_spans:
                    self._spans += [Spanned.of(names["service.name"], span) for span in scope.spans]
            self._came.notify_all()


@contextmanager
def recording(service: str) -> Iterator[Callable[[], list[Spanned]]]:
    """Traces are on in this process; what it gives ends the traces and returns all spans."""
    with Collector() as collector, pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint)
        patch.setattr(tracing, "active", None)
        tracing.start(service)
        spans = tracing.active

        def exported() -> list[Spanned]:
            assert spans is not None
            spans.close()
            return collector.spans

        try:
            yield exported
        finally:
            exported()
