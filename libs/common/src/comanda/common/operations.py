"""The routes that operators use: health, metrics, circuits, documentation."""

import re
from base64 import b64encode
from hashlib import sha256
from importlib.resources import files
from typing import Annotated, Literal

from fastapi import APIRouter, FastAPI, Request
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel
from starlette.responses import Response

from comanda.common.operation import Circuito, More, Operacion, Operation, circuito
from comanda.common.problems import ServicioNoDisponible, describe
from comanda.common.requests import document, router
from comanda.common.security import allow
from comanda.common.telemetry import metrics_response
from comanda.common.tokens import Principal

OPERATIONS_SCOPE = "operaciones:leer"
OPERATION = "/operacion"
DATABASE = "base-de-datos"
UNGUARDED = frozenset({"/livez", "/readyz", "/metrics"})
"""Paths that answer however busy or unready the service is, and by whatever name it is called."""

NO_FEATURES = "camera=(), geolocation=(), microphone=(), payment=(), usb=()"


class Estado(BaseModel):
    estado: Literal["vivo", "listo"]


def operations_router(operation: Operation, more: More | None) -> APIRouter:
    """Args: operation: what `GET /operacion` tells, more: and what this service adds to it."""
    routes = router(tags=["operaciones"])

    @routes.get("/livez", summary="Is the process alive?")
    async def livez() -> Estado:
        return Estado(estado="vivo")

    @routes.get("/readyz", summary="Can it serve?", responses=describe(ServicioNoDisponible))
    async def readyz(request: Request) -> Estado:
        if not request.app.state.ready.is_set():
            raise ServicioNoDisponible(DATABASE)
        await request.app.state.wiring.database.ping()
        return Estado(estado="listo")

    @routes.get("/metrics", summary="Prometheus metrics", response_class=Response)
    async def metrics(request: Request) -> Response:
        return metrics_response(await operation.measure(ready=request.app.state.ready.is_set()))

    @routes.get("/circuitos", summary="The circuit breakers of this process")
    async def circuitos(request: Request, _: Annotated[Principal, allow(OPERATIONS_SCOPE)]) -> list[Circuito]:
        circuits = request.app.state.wiring.circuits
        return [circuito(circuit) for circuit in circuits]

    @routes.get(
        OPERATION,
        response_model=more.model if more else Operacion,
        summary="This process now: rates, times, circuits, queues",
    )
    async def operacion(_: Annotated[Principal, allow(OPERATIONS_SCOPE)]) -> Response:
        return document(await operation.describe(), {})

    return routes


def serve_docs(app: FastAPI) -> None:
    """`/docs`: Swagger UI, with its assets from an installed package, so that it works offline."""
    assets = str(files("fastapi_swagger") / "resources")
    app.mount("/docs/assets", StaticFiles(directory=assets), name="docs-assets")

    page = get_swagger_ui_html(
        openapi_url="/openapi.json",
        title=app.title,
        swagger_js_url="/docs/assets/swagger-ui-bundle.js",
        swagger_css_url="/docs/assets/swagger-ui.css",
        swagger_favicon_url="/docs/assets/favicon-32x32.png",
    ).body
    headers = {"Content-Security-Policy": _docs_policy(bytes(page).decode()), "Permissions-Policy": NO_FEATURES}

    async def docs(_: Request) -> HTMLResponse:
        return HTMLResponse(page, headers=headers)

    app.add_route("/docs", docs, include_in_schema=False)


def _docs_policy(page: str) -> str:
    """The page may load what we serve, and run the one script that stands in it, known by its hash (CSP 3 §2.3.1)."""
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    hashes = [f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'" for script in scripts]
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src 'self' {' '.join(hashes)}",
            "style-src 'self' 'unsafe-inline'",  # Swagger UI makes styles as it goes
            "img-src 'self' data:",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        ]
    )
