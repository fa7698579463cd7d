"""Traces: off unless the environment asks for them, and then nothing of OpenTelemetry's SDK is imported or called.

The variables are the standard's own («OpenTelemetry Environment Variable Specification» and «OTLP Exporter
Configuration»). An address in `OTEL_EXPORTER_OTLP_ENDPOINT`, or `OTEL_TRACES_EXPORTER=otlp`, turns them on;
`OTEL_SDK_DISABLED=true` or `OTEL_TRACES_EXPORTER=none` keeps them off. What is done then stands in `spans.py`.
"""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Protocol
from uuid import UUID

from comanda.common.settings import InvalidSettings

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from comanda.common.transport import Transport

PROTOCOL = "http/protobuf"
NEEDED = ("opentelemetry.sdk.trace", "opentelemetry.exporter.otlp.proto.http")


class Tracing(Protocol):
    """What is done while traces are on."""

    def app(self, app: "ASGIApp") -> "ASGIApp":
        """The same application, with a span for each request."""
        ...

    def transport(self, transport: "Transport") -> "Transport":
        """The same network, with a span for each send, which carries its context (W3C Trace Context)."""
        ...

    def here(self) -> Any:
        """Whatever the caller is doing now, to be given to `group` later."""
        ...

    def group(self, name: str, callers: Sequence[Any]) -> AbstractContextManager[object]:
        """A span of what is done once for several, each `here` when it asked for it."""
        ...

    def step(self, name: str, kind: str, ids: Iterable[UUID], **attributes: str) -> AbstractContextManager[object]:
        """See `step`."""
        ...

    def began(self, kind: str, identifier: UUID) -> None:
        """See `began`."""
        ...

    def identify(self, event: dict[str, Any]) -> None:
        """Adds `trace_id` and `span_id` to a line of the log."""
        ...

    def close(self) -> None:
        """Exports what is left, and lets go of what cannot be exported soon."""
        ...


active: Tracing | None = None
"""Set once, before a service is built."""

_NOTHING: AbstractContextManager[object] = nullcontext()


def step(name: str, kind: str, ids: Iterable[UUID], **attributes: str) -> AbstractContextManager[object]:
    """A span around what is done for those things of a kind, linked to the trace that each has by its id.

    It is a child of the request that is served, or else the root of a trace of its own.
    """
    return _NOTHING if active is None else active.step(name, kind, ids, **attributes)


def began(kind: str, identifier: UUID) -> None:
    """Begins the trace that a thing has by its id, linked to the request that made it; later steps link to it."""
    if active is not None:
        active.began(kind, identifier)


def served(app: "ASGIApp") -> "ASGIApp":
    return app if active is None else active.app(app)


def sent(transport: "Transport") -> "Transport":
    return transport if active is None else active.transport(transport)


def log_processors() -> list[Callable[[Any, str, Any], Any]]:
    """What structlog does with each line besides."""
    tracing = active
    if tracing is None:
        return []

    def identify(_logger: Any, _method: str, event: dict[str, Any]) -> dict[str, Any]:
        tracing.identify(event)
        return event

    return [identify]


async def aclose() -> None:
    if active is not None:
        active.close()


def start(service: str) -> None:
    """Turns traces on, if the environment asks for them.

    Raises:
        InvalidSettings: see `wanted`.
    """
    global active  # noqa: PLW0603  # the one switch of the process
    if active is None and wanted():
        from comanda.common.spans import Spans

        active = Spans(service)


def wanted(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether the environment asks for traces.

    Raises:
        InvalidSettings: it asks for what cannot be done.
    """
    exporter = environment.get("OTEL_TRACES_EXPORTER", "").strip()
    endpoint = _otlp(environment, "ENDPOINT")
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true" or not (endpoint or exporter):
        return False
    if exporter == "none":
        return False
    if exporter not in ("", "otlp"):
        raise InvalidSettings(f"OTEL_TRACES_EXPORTER: «{exporter}» no se conoce; use otlp o none")
    protocol = _otlp(environment, "PROTOCOL")
    if protocol not in ("", PROTOCOL):
        raise InvalidSettings(f"OTEL_EXPORTER_OTLP_PROTOCOL: «{protocol}» no se conoce; use {PROTOCOL}")
    if not all(map(_is_installed, NEEDED)):
        raise InvalidSettings(
            "OTEL_EXPORTER_OTLP_ENDPOINT: para las trazas instale el servicio con su extra «tracing» "
            "(comanda-pedidos[tracing]), o ponga OTEL_SDK_DISABLED=true"
        )
    return True


def _otlp(environment: Mapping[str, str], option: str) -> str:
    """That of traces alone wins over that of all signals."""
    names = (f"OTEL_EXPORTER_OTLP_TRACES_{option}", f"OTEL_EXPORTER_OTLP_{option}")
    return next((value for name in names if (value := environment.get(name, "").strip())), "")


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # one of the packages around it
        return False
