import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import pytest
from fastapi import FastAPI

from comanda.common.database import Database
from comanda.common.tokens import ServiceSigner, SigningKey
from comanda.inventario.app import create_app
from comanda.inventario.service import Inventario
from comanda.inventario.settings import Settings
from comanda.testing import Databases, FakeClock, Issuer, Network, running

ADMIN = (
    "productos:leer",
    "productos:escribir",
    "inventario:leer",
    "inventario:escribir",
    "reservas:leer",
    "operaciones:leer",
)


class StillClock(FakeClock):
    """Background loops sleep for ever: the sweeper runs once at the start, then only when a test calls it."""

    async def sleep(self, seconds: float) -> None:
        if seconds >= 1:
            await asyncio.Event().wait()
        await super().sleep(seconds)


@pytest.fixture
def clock() -> FakeClock:
    return StillClock()


class Vecinos(Network):
    """The neighbours of inventario; productos knows every product until a test says otherwise."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[httpx2.Request] = []
        self.answer(200)

    def answer(self, status: int, **headers: str) -> None:
        self.answers["productos"] = httpx2.Response(status, headers=headers, json={"activo": False})

    def cut(self) -> None:
        """productos is down from now on."""
        self.answers.clear()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.sent.append(request)
        return await super().handle_async_request(request)


@pytest.fixture
def vecinos() -> Vecinos:
    return Vecinos()


@pytest.fixture(scope="session")
def service_keys() -> dict[str, SigningKey]:
    return {name: SigningKey.generate() for name in ("pedidos", "operador", "productos")}


MakeSettings = Callable[..., Settings]


@pytest.fixture
async def make_settings(
    databases: Databases, issuer: Issuer, service_keys: dict[str, SigningKey], tmp_path: Path
) -> MakeSettings:
    """Settings on a fresh database, the same for all calls; a test names what it varies."""
    url = await databases.new("comanda.inventario")

    def make(**changes: Any) -> Settings:
        values = {
            "database_url": url,
            "auth_jwks": json.dumps(issuer.jwks),
            "pedidos_jwks": json.dumps({"keys": [service_keys["pedidos"].public_jwk()]}),
            "operador_jwks": json.dumps({"keys": [service_keys["operador"].public_jwk()]}),
            "productos_url": "http://productos",
            "signing_key": str(tmp_path / "inventario.pem"),
            "retry_wait_seconds": 0,
            "log_level": "error",
        }
        return Settings(**values | changes)

    return make


@dataclass
class Tienda:
    """inventario as its callers use it: `http` calls as an administrator, the methods on reservations as pedidos."""

    http: httpx2.AsyncClient
    app: FastAPI
    clock: FakeClock
    issuer: Issuer
    keys: dict[str, SigningKey]

    @property
    def servicio(self) -> Inventario:
        found: Inventario = self.app.state.service
        return found

    @property
    def database(self) -> Database:
        found: Database = self.app.state.wiring.database
        return found

    def usuario(self, *scopes: str, subject: str = "cliente-1") -> dict[str, str]:
        return self.issuer.headers(*scopes, subject=subject)

    def vecino(self, name: str) -> dict[str, str]:
        signer = ServiceSigner(name, self.keys[name], self.clock)
        return {"Authorization": f"Bearer {signer.token('inventario')}"}

    async def alta(self, cantidad: int = 10, producto: str | None = None) -> str:
        """A product of which there is that much."""
        producto = producto or str(self.clock.new_id())
        response = await self.http.post("/inventario", json={"producto_id": producto, "cantidad": cantidad})
        assert response.status_code == 201, response.text
        return producto

    async def existencias(self, producto: str) -> tuple[int, int]:
        """How much there is, and how much of it is held."""
        response = await self.http.get(f"/inventario/{producto}")
        assert response.status_code == 200, response.text
        documento = response.json()
        assert documento["disponible"] == documento["fisico"] - documento["reservado"]
        return documento["fisico"], documento["reservado"]

    async def mover(
        self, producto: str, tipo: str, cantidad: int, headers: dict[str, str] | None = None, **campos: Any
    ) -> httpx2.Response:
        cuerpo = {"tipo": tipo, "cantidad": cantidad, **campos}
        return await self.http.post(f"/inventario/{producto}/movimientos", json=cuerpo, headers=headers)

    async def libro(self, producto: str) -> list[tuple[str, int]]:
        """The ledger of a product: type and signed change of each line."""
        lineas = await self.todas(f"/inventario/{producto}/movimientos")
        return [(linea["tipo"], linea["cantidad"]) for linea in lineas]

    async def todas(self, path: str, **params: Any) -> list[dict[str, Any]]:
        """Every element of a list, page by page."""
        found: list[dict[str, Any]] = []
        while True:
            response = await self.http.get(path, params=params)
            assert response.status_code == 200, response.text
            found += response.json()["elementos"]
            params["cursor"] = response.json()["siguiente"]
            if params["cursor"] is None:
                return found

    async def reservar(self, pedido: UUID | str, lineas: dict[str, int]) -> httpx2.Response:
        cuerpo = {"lineas": [{"producto_id": str(p), "cantidad": c} for p, c in lineas.items()]}
        return await self.http.put(f"/reservas/{pedido}", json=cuerpo, headers=self.vecino("pedidos"))

    async def confirmar(self, pedido: UUID | str) -> httpx2.Response:
        return await self.http.post(f"/reservas/{pedido}/confirmar", headers=self.vecino("pedidos"))

    async def liberar(self, pedido: UUID | str) -> httpx2.Response:
        return await self.http.post(f"/reservas/{pedido}/liberar", headers=self.vecino("pedidos"))

    async def reserva(self, pedido: UUID | str) -> dict[str, Any]:
        response = await self.http.get(f"/reservas/{pedido}")
        assert response.status_code == 200, response.text
        documento: dict[str, Any] = response.json()
        return documento

    async def cuadra(self) -> None:
        """The books agree: invariants 1 to 3 of the design, as `comanda verify` would check them."""
        held: dict[str, int] = {}
        for reserva in await self.todas("/reservas", estado="ACTIVA"):
            for linea in reserva["lineas"]:
                held[linea["producto_id"]] = held.get(linea["producto_id"], 0) + linea["cantidad"]
        for fila in await self.todas("/inventario"):
            assert 0 <= fila["reservado"] <= fila["fisico"], fila
            assert fila["reservado"] == held.pop(fila["producto_id"], 0), fila
            assert fila["fisico"] == sum(cantidad for _, cantidad in await self.libro(fila["producto_id"])), fila
        assert held == {}


Abrir = Callable[..., AbstractAsyncContextManager[Tienda]]


@pytest.fixture
def abrir(
    make_settings: MakeSettings,
    clock: FakeClock,
    issuer: Issuer,
    vecinos: Vecinos,
    service_keys: dict[str, SigningKey],
) -> Abrir:
    """Starts inventario on the test's database; each call is one more replica."""

    @asynccontextmanager
    async def start(**changes: Any) -> AsyncIterator[Tienda]:
        async def as_admin(request: httpx2.Request) -> None:
            request.headers.setdefault("Authorization", f"Bearer {issuer.token(*ADMIN, subject='admin-1')}")

        app = create_app(make_settings(**changes), clock=clock, transport=vecinos)
        async with running(app) as client:
            client.event_hooks = {"request": [as_admin]}
            yield Tienda(client, app, clock, issuer, service_keys)

    return start


@pytest.fixture
async def tienda(abrir: Abrir) -> AsyncIterator[Tienda]:
    async with abrir() as tienda:
        yield tienda


@pytest.fixture
async def replicas(databases: Databases, abrir: Abrir, tienda: Tienda) -> AsyncIterator[list[Tienda]]:
    """Who serves one database: two processes on PostgreSQL, the only one that may on SQLite."""
    if databases.dialect == "sqlite":
        yield [tienda]
        return
    async with abrir() as other:
        yield [tienda, other]
