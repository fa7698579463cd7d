"""`create_app`: what every service has in common — errors, request id, health, metrics, docs, limits."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import structlog
from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.telemetry import TelemetryConfig
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import ASGIApp

from comanda.common import migrations, openapi, tracing
from comanda.common.admission import ADMISSION, Admission, Classify, ordinary
from comanda.common.audit import Audit, audit_router
from comanda.common.clock import Clock
from comanda.common.database import Database, DatabaseUnavailable
from comanda.common.edge import Edge
from comanda.common.operation import More, Operation
from comanda.common.operations import operations_router, serve_docs
from comanda.common.problems import MetodoNoPermitido, NoEncontrado, PeticionIlegible, Problem
from comanda.common.queues import Queue
from comanda.common.requests import validation_problem
from comanda.common.resilience import Circuit
from comanda.common.settings import ServiceSettings
from comanda.common.tokens import Verifier
from comanda.common.window import Window

RETRY_SECONDS = 1.0
"""Pause before the database is tried again at start, and before a failed background loop starts again."""

NO_OPENTELEMETRY: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}
"""Or FastAPI looks into the environment for it with each request."""

log = structlog.get_logger()
Action = Callable[[], Awaitable[None]]


@dataclass(frozen=True, kw_only=True)
class Wiring:
    """Everything `create_app` needs to know of a service.

    Args:
        name: the service's word on the wire, for example `pedidos`; also the audience of tokens meant for it.
        queues, more: what `GET /operacion` shows besides requests, circuits and the database's connections.
        use_cases: the object that routes reach as `request.app.state.service`.
        migrations: the package whose `migrations/` describe the schema.
        on_ready: runs once after the schema is there, before the first request.
        classify: which class of requests one belongs to, for when not all can be served.
        loops: background work, started when the service is ready and cancelled when it stops.
        on_close: runs at the end, in this order.
    """

    name: str
    description: str
    settings: ServiceSettings
    clock: Clock
    database: Database
    migrations: str
    verifier: Verifier
    routers: Sequence[APIRouter]
    use_cases: Any
    audit: Audit | None = None
    circuits: Sequence[Circuit] = ()
    queues: Sequence[Queue] = ()
    more: More | None = None
    classify: Classify = ordinary
    on_ready: Action | None = None
    loops: Sequence[Action] = ()
    on_close: Sequence[Action] = ()

    @property
    def background(self) -> list[Action]:
        """All that runs for ever beside the requests."""
        kept = [self.audit.keep_swept] if self.audit else []
        return [*self.loops, *self.verifier.loops, *kept]


class NotReady(Exception):
    """The database answers but must not be served from yet; the message says why."""


class _Service(FastAPI):
    """FastAPI, of which nothing stands before the edge: errors, bodies and metrics are the edge's."""

    def build_middleware_stack(self) -> ASGIApp:
        layer: Any = super().build_middleware_stack()
        while not isinstance(layer, Edge):
            layer = layer.app
        return tracing.served(layer)


def create_app(wiring: Wiring) -> FastAPI:
    """The ASGI application of a service."""
    admission = Admission(wiring.name, wiring.settings, wiring.classify)
    app = _Service(
        title=f"Comanda · {wiring.name}",
        description=wiring.description,
        version="1",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_lifespan(wiring, admission),
        telemetry=NO_OPENTELEMETRY,
    )
    app.state.wiring = wiring
    app.state.service = wiring.use_cases
    app.state.ready = asyncio.Event()
    window = Window(wiring.clock)
    app.include_router(operations_router(Operation(wiring, window), wiring.more))
    if wiring.audit:
        app.include_router(audit_router(wiring.audit, wiring.name))  # before a route that takes `auditoria` for an id
    for router in wiring.routers:
        app.include_router(router)
    serve_docs(app)
    openapi.install(app)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_middleware(Edge, wiring=wiring, window=window, admission=admission, ready=app.state.ready)
    return app


def _lifespan(wiring: Wiring, admission: Admission) -> Callable[[FastAPI], Any]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        life = asyncio.create_task(_live(wiring, app.state.ready))
        try:
            yield {ADMISSION: admission}
        finally:
            life.cancel()
            with suppress(asyncio.CancelledError):
                await life
            async with AsyncExitStack() as closing:  # all are called, even when one fails
                ends = (tracing.aclose, wiring.database.aclose, wiring.verifier.aclose, *reversed(wiring.on_close))
                for close in ends:
                    closing.push_async_callback(close)

    return lifespan


async def _live(wiring: Wiring, ready: asyncio.Event) -> None:
    """Waits for the database, brings it up to date, then keeps the background loops going."""
    while not ready.is_set():
        try:
            await _prepare(wiring)
            ready.set()
        except (NotReady, DatabaseUnavailable) as fault:
            log.warning("not_ready", reason=str(fault))
            await wiring.clock.sleep(RETRY_SECONDS)
        except Exception:
            log.exception("not_ready")
            await wiring.clock.sleep(RETRY_SECONDS)
    log.info("ready", database=wiring.database.dialect)
    async with asyncio.TaskGroup() as group:
        for loop in wiring.background:
            group.create_task(_keep_going(loop, wiring.clock))


async def _prepare(wiring: Wiring) -> None:
    if wiring.settings.migrate_on_start:
        await migrations.migrate(wiring.database, wiring.migrations)
    elif not await migrations.is_migrated(wiring.database, wiring.migrations):
        raise NotReady("waiting for the schema to be migrated (comanda migrate)")
    for fault in await wiring.database.durability_faults():
        if wiring.settings.production:
            raise NotReady(fault)
        log.warning("database_not_durable", reason=fault)
    if wiring.on_ready:
        await wiring.on_ready()


async def _keep_going(loop: Action, clock: Clock) -> None:
    """A background loop outlives its own errors: each is logged, and it starts again after a pause."""
    while True:
        try:
            await loop()
        except DatabaseUnavailable as fault:
            log.warning("loop_without_database", loop=loop.__qualname__, reason=str(fault))
        except Exception:
            log.exception("loop_failed", loop=loop.__qualname__)
        await clock.sleep(RETRY_SECONDS)


async def _on_http_exception(request: Request, error: Exception) -> Response:
    if isinstance(error, Problem):
        return error.response(request.scope["path"])
    status = getattr(error, "status_code", 500)
    if status == 405:
        allow = (getattr(error, "headers", None) or {}).get("Allow", "")
        return MetodoNoPermitido(headers={"Allow": _allowed(request, allow)}).response(request.scope["path"])
    if status == 404:
        return NoEncontrado("No existe esta ruta.").response(request.scope["path"])
    if status == 400:
        return PeticionIlegible().response(request.scope["path"])  # Starlette could not parse a form
    raise error  # nobody else raises HTTPException here: a bug, answered with a 500 and logged


def _allowed(request: Request, first: str) -> str:
    """Every method of the path; Starlette's own list stops at the first route that has it."""
    routes = [route for router in request.app.state.wiring.routers for route in router.routes]
    matching = [route for route in routes if route.matches(request.scope)[0] is not Match.NONE]
    return ", ".join(sorted({first}.union(*(getattr(route, "methods", ()) for route in matching))))


async def _on_validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101  # what the handler is registered for
    return validation_problem(error).response(request.scope["path"])
