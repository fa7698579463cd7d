"""Logs (structlog), metrics (Prometheus) and request ids."""

import json
import logging
import re
import sys
from collections.abc import MutableMapping
from contextlib import suppress
from typing import Any, TextIO, cast

import structlog
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.responses import Response

from comanda.common import tracing
from comanda.common.clock import Clock
from comanda.common.settings import ServiceSettings

REQUEST_ID_HEADER = "X-Request-Id"
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")

REQUESTS = Histogram(
    "comanda_http_request_seconds",
    "Time from the arrival of a request to the end of its answer, seconds.",
    ["servicio", "metodo", "ruta", "estado"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
REFUSED = Counter("comanda_http_refused_total", "Requests refused because too many were in hand.", ["servicio"])
WAITS = Histogram(
    "comanda_base_de_datos_espera_seconds",
    "Wait for a connection, or for the turn to write (SQLite), seconds.",
    ["de"],
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)
CONNECTION_WAIT, WRITE_WAIT = WAITS.labels("conexion"), WAITS.labels("escritura")
ROUNDS = Gauge("comanda_bucle_completado_en", "When a background loop last got through, seconds since 1970.", ["bucle"])


def request_id(header: str | None, clock: Clock) -> str:
    """The id that the client sent, if it is 1–128 of `[A-Za-z0-9._-]`, else a new one."""
    if header and _REQUEST_ID.fullmatch(header):
        return header
    return str(clock.new_id())


def current_request_id() -> str | None:
    """That of the request which is served in this context; None in a background loop."""
    identifier: str | None = structlog.contextvars.get_contextvars().get("request_id")
    return identifier


def metrics_response(now: CollectorRegistry) -> Response:
    """Everything measured in this process, and what is so now, in Prometheus' text format."""
    return Response(generate_latest() + generate_latest(now), media_type=CONTENT_TYPE_LATEST)


class Forgiving:
    """A stream that loses what cannot be written: a full disk must not turn answers into errors."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError:
            return 0

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()


_JSON = json.JSONEncoder(default=repr)


def _harmless(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Escapes what a terminal would obey, should somebody have sent us text that holds it (CWE-150)."""
    for name, value in event.items():
        if isinstance(value, str) and not value.isprintable():
            event[name] = repr(value)[1:-1]
    return event


def configure_logging(settings: ServiceSettings, service: str) -> None:
    """JSON lines on standard output, or readable ones on a terminal; every line carries the service and request id."""
    as_text = settings.log_format == "text" or (settings.log_format == "auto" and sys.stdout.isatty())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        lambda _logger, _method, event: {"servicio": service, **event},
        *tracing.log_processors(),
    ]
    # Plain: what rich makes of a traceback takes seconds and shows the values of variables, secrets among them.
    console = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    output = cast(TextIO, Forgiving(sys.stdout))
    renderer: Any = console if as_text else lambda _logger, _method, event: _JSON.encode(event)
    prepare: Any = _harmless if as_text else structlog.processors.format_exc_info
    level = getattr(logging, settings.log_level.upper())
    structlog.configure(
        processors=[*shared, prepare, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(output),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(output)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                prepare,
                renderer,
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
