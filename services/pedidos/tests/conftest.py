"""Fixtures for pedidos: its use cases with straw neighbours, and its HTTP interface with neighbours over HTTP."""

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from pedidos_world import TTL_SECONDS, Fabrica, FakeInventario, FakeProductos, Mundo, StillClock

from comanda.common.database import Database
from comanda.pedidos.app import create_app
from comanda.pedidos.settings import Settings
from comanda.testing import Databases, FakeClock, Issuer, Network, running

ADMIN = ("pedidos:leer", "pedidos:gestionar", "operaciones:leer")


@pytest.fixture
def clock() -> FakeClock:
    return StillClock()


@pytest.fixture
async def database_url(databases: Databases) -> str:
    return await databases.new("comanda.pedidos")


@pytest.fixture
async def replica(database_url: str, clock: FakeClock) -> AsyncIterator[Fabrica]:
    """Makes replicas of pedidos on one database, with one inventario and one productos.

    On SQLite, where only one process may serve, they share its engine.
    """
    inventario, productos = FakeInventario(clock), FakeProductos()
    opened: list[Database] = []
    async with AsyncExitStack() as stack:

        def make(**options: Any) -> Mundo:
            if not opened or opened[0].dialect == "postgresql":
                opened.append(Database(database_url, clock=clock))
                stack.push_async_callback(opened[-1].aclose)
            return Mundo(opened[-1], clock, inventario, productos, **options)

        yield make


@pytest.fixture
def mundo(replica: Fabrica) -> Mundo:
    return replica()


class Vecinos(Network):
    """The neighbours over HTTP: productos sells what is in `catalogo`, inventario grants everything.

    `peticiones` are the requests that reached them.
    """

    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self._clock = clock
        self.catalogo: dict[str, dict[str, Any]] = {}
        self.peticiones: list[httpx2.Request] = []
        self.caidos: set[str] = set()

    def producto(self, precio: str = "2.50", **datos: Any) -> str:
        producto_id = str(self._clock.new_id())
        ficha = {"id": producto_id, "sku": "CAF-1", "nombre": "Café", "precio": precio, "moneda": "EUR", "activo": True}
        self.catalogo[producto_id] = ficha | datos
        return producto_id

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        await request.aread()
        self.peticiones.append(request)
        host = request.url.host
        if host in self.caidos or host in self.answers:
            return await super().handle_async_request(request)
        if host == "productos":
            ids = request.url.params["ids"].split(",")
            return httpx2.Response(200, json={"elementos": [self.catalogo[i] for i in ids if i in self.catalogo]})
        expira_en: datetime = self._clock.now() + timedelta(seconds=TTL_SECONDS)
        if request.method == "PUT":
            return httpx2.Response(201, json={"expira_en": expira_en.isoformat()})
        _, _, pedido_id, verb = request.url.path.split("/")
        estado = {"confirmar": "CONFIRMADA", "liberar": "LIBERADA"}[verb]
        return httpx2.Response(200, json={"pedido_id": pedido_id, "estado": estado})


@pytest.fixture
def vecinos(clock: FakeClock) -> Vecinos:
    return Vecinos(clock)


@pytest.fixture
def ajustes() -> dict[str, Any]:
    """Settings that a test (or its class) gives pedidos."""
    return {}


@pytest.fixture
async def client(
    database_url: str, clock: FakeClock, issuer: Issuer, vecinos: Vecinos, tmp_path: Path, ajustes: dict[str, Any]
) -> AsyncIterator[httpx2.AsyncClient]:
    """Calls pedidos as the client `ana` unless a test says otherwise."""
    values: dict[str, Any] = {
        "database_url": database_url,
        "auth_jwks": json.dumps(issuer.jwks),
        "productos_url": "http://productos",
        "inventario_url": "http://inventario",
        "signing_key": str(tmp_path / "pedidos.pem"),
        "retry_wait_seconds": 0,
        "log_level": "error",
    }
    async with running(create_app(Settings(**values | ajustes), clock=clock, transport=vecinos)) as client:
        client.headers.update(issuer.headers("pedidos:crear", "pedidos:propios", subject="ana"))
        yield client


@pytest.fixture
def admin(issuer: Issuer) -> dict[str, str]:
    return issuer.headers(*ADMIN, subject="jefa")


@pytest.fixture
def luis(issuer: Issuer) -> dict[str, str]:
    return issuer.headers("pedidos:crear", "pedidos:propios", subject="luis")
