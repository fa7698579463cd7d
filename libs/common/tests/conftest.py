"""A service of nothing but what a test gives it, on a schema of one table."""

import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx2
import pytest
import structlog
from circuits import make_circuit
from fastapi import APIRouter, FastAPI
from neighbour_server import Server, client
from token_forging import AUDIENCE, AUTH, SERVICE_KEY, USER_KEY, jwks

from comanda.common import trust
from comanda.common.app import Wiring, create_app
from comanda.common.clock import Clock
from comanda.common.database import Database
from comanda.common.http import Neighbour
from comanda.common.requests import router
from comanda.common.resilience import Circuit
from comanda.common.settings import ServiceSettings
from comanda.common.tokens import StaticKeys, Verifier, service_issuer, user_issuer
from comanda.testing import Databases, FakeClock, Issuer

FILES = {
    "__init__.py": "",
    "tables.py": """
import sqlalchemy as sa

metadata = sa.MetaData()
cosas = sa.Table("cosas", metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("nombre", sa.Text))
""",
    "migrations/__init__.py": "",
    "migrations/env.py": """
from comanda.common.migrations import run
from cosas.tables import metadata

run(metadata)
""",
    "migrations/versions/0001.py": """
import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade():
    op.create_table("cosas", sa.Column("id", sa.Integer, primary_key=True), sa.Column("nombre", sa.Text))
    op.execute("INSERT INTO cosas(id, nombre) VALUES (1, 'made once')")
""",
}

Serve = Callable[[FastAPI], Awaitable[httpx2.AsyncClient]]
Wire = Callable[..., Awaitable[Wiring]]


@pytest.fixture(scope="session")
def package_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder on the path, with the package `cosas` and its migrations."""
    folder = tmp_path_factory.mktemp("package")
    for name, text in FILES.items():
        path = folder / "cosas" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    sys.path.insert(0, str(folder))
    yield folder
    sys.path.remove(str(folder))


@pytest.fixture
def logs() -> Iterator[list[Any]]:
    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as entries:
        yield entries


@pytest.fixture
def routes() -> APIRouter:
    """Where a test adds the routes of its service."""
    return router()


@pytest.fixture
def wire(
    sqlite_databases: Databases, clock: FakeClock, issuer: Issuer, routes: APIRouter, package_folder: Path
) -> Wire:
    """Makes the wiring of a service on SQLite; settings by their names, the rest of `Wiring` by its own."""

    async def make(**changes: Any) -> Wiring:
        url = changes.pop("database_url", None) or await sqlite_databases.new()
        parts = {name: changes.pop(name) for name in list(changes) if name in Wiring.__dataclass_fields__}
        settings = ServiceSettings(port=0, database_url=url, auth_jwks=json.dumps(issuer.jwks), **changes)
        used_clock = parts.get("clock", clock)
        defaults: dict[str, Any] = {
            "name": "servicio",
            "description": "A service.",
            "settings": settings,
            "clock": used_clock,
            "database": Database(url, clock=used_clock, pool_size=settings.database_pool),
            "migrations": "cosas",
            "verifier": trust.verifier(settings, "servicio", used_clock, {}),
            "routers": [routes],
            "use_cases": None,
        }
        return Wiring(**defaults | parts)

    return make


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Runs an application until the test ends, ready or not, and gives a client that reaches it without a socket."""
    async with AsyncExitStack() as stack:

        async def start(app: FastAPI) -> httpx2.AsyncClient:
            await stack.enter_async_context(app.router.lifespan_context(app))
            transport = httpx2.ASGITransport(app=app)
            return await stack.enter_async_context(httpx2.AsyncClient(transport=transport, base_url="http://localhost"))

        yield start


@pytest.fixture
def start(wire: Wire, serve: Serve) -> Callable[..., Awaitable[httpx2.AsyncClient]]:
    """A ready service; arguments as for `wire`."""

    async def ready(**changes: Any) -> httpx2.AsyncClient:
        app = create_app(await wire(**changes))
        client = await serve(app)
        await app.state.ready.wait()
        return client

    return ready


@pytest.fixture
def circuit(clock: Clock) -> Circuit:
    return make_circuit(clock)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    server = Server()
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def neighbour(server: Server, circuit: Circuit) -> AsyncIterator[Neighbour]:
    neighbour = client(server.url, circuit)
    yield neighbour
    await neighbour.aclose()


@pytest.fixture
def verifier(clock: Clock) -> Verifier:
    users = user_issuer(AUTH, StaticKeys(jwks(USER_KEY)), AUDIENCE)
    pedidos = service_issuer("pedidos", StaticKeys(jwks(SERVICE_KEY)), "inventario", ["reservas:escribir"])
    return Verifier([users, pedidos], clock)
