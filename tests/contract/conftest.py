"""productos, inventario and pedidos as one system in this process: real code, real databases, a network in memory."""

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from fastapi import FastAPI

import comanda.inventario.app
import comanda.pedidos.app
import comanda.productos.app
from comanda.common.testing import Databases, FakeClock, Issuer, Network, running
from comanda.common.tokens import SigningKey
from comanda.inventario.settings import Settings as InventarioSettings
from comanda.pedidos.settings import Settings as PedidosSettings
from comanda.productos.settings import Settings as ProductosSettings

CLIENTE = ("productos:leer", "inventario:leer", "pedidos:crear", "pedidos:propios")
ADMIN = (
    *CLIENTE,
    "productos:escribir",
    "inventario:escribir",
    "reservas:leer",
    "pedidos:leer",
    "pedidos:gestionar",
    "usuarios:gestionar",
    "operaciones:leer",
)


@dataclass
class System:
    """The running services, a client for each, and what a test needs to disturb them."""

    clock: FakeClock
    issuer: Issuer
    network: Network
    productos: httpx2.AsyncClient
    inventario: httpx2.AsyncClient
    pedidos: httpx2.AsyncClient
    apps: dict[str, FastAPI]

    @property
    def admin(self) -> dict[str, str]:
        return self.issuer.headers(*ADMIN, subject="admin-1")

    def cliente(self, subject: str = "cliente-1") -> dict[str, str]:
        return self.issuer.headers(*CLIENTE, subject=subject)

    async def producto(self, stock: int | None = 10, precio: Any = "2.50", **datos: Any) -> str:
        """The id of a new product with that stock (None: no row in inventario)."""
        body = {"sku": f"SKU-{uuid4().hex[:12]}", "nombre": "Café", "precio": precio} | datos
        created = await self.productos.post("/productos", json=body, headers=self.admin)
        assert created.status_code == 201, created.text
        producto_id = str(created.json()["id"])
        if stock is not None:
            body = {"producto_id": producto_id, "cantidad": stock}
            counted = await self.inventario.post("/inventario", json=body, headers=self.admin)
            assert counted.status_code == 201, counted.text
        return producto_id

    async def pedir(
        self, *lineas: tuple[str, int], key: str | None = None, cliente: str = "cliente-1", **extra: Any
    ) -> httpx2.Response:
        """The answer to an order of those products and amounts."""
        body = {"lineas": [{"producto_id": p, "cantidad": c} for p, c in lineas]} | extra
        headers = self.cliente(cliente) | ({"Idempotency-Key": key} if key else {})
        return await self.pedidos.post("/pedidos", json=body, headers=headers)

    async def existencias(self, producto_id: str) -> tuple[int, int]:
        """(fisico, reservado)"""
        body = (await self.inventario.get(f"/inventario/{producto_id}", headers=self.admin)).json()
        return body["fisico"], body["reservado"]

    async def pedido(self, pedido_id: str) -> dict[str, Any]:
        body: dict[str, Any] = (await self.pedidos.get(f"/pedidos/{pedido_id}", headers=self.admin)).json()
        return body


@pytest.fixture
async def system(databases: Databases, clock: FakeClock, issuer: Issuer, tmp_path: Path) -> AsyncIterator[System]:
    network = Network()
    keys = {name: SigningKey.load_or_create(tmp_path / f"{name}.pem") for name in ("pedidos", "inventario")}
    jwks = {name: json.dumps({"keys": [key.public_jwk()]}) for name, key in keys.items()}
    shared: dict[str, Any] = {"auth_jwks": json.dumps(issuer.jwks), "retry_wait_seconds": 0}
    apps = {
        "productos": comanda.productos.app.create_app(
            ProductosSettings(
                database_url=await databases.new("comanda.productos"),
                pedidos_jwks=jwks["pedidos"],
                inventario_jwks=jwks["inventario"],
                **shared,
            ),
            clock=clock,
        ),
        "inventario": comanda.inventario.app.create_app(
            InventarioSettings(
                database_url=await databases.new("comanda.inventario"),
                productos_url="http://productos",
                pedidos_jwks=jwks["pedidos"],
                signing_key=str(tmp_path / "inventario.pem"),
                **shared,
            ),
            clock=clock,
            transport=network,
        ),
        "pedidos": comanda.pedidos.app.create_app(
            PedidosSettings(
                database_url=await databases.new("comanda.pedidos"),
                productos_url="http://productos",
                inventario_url="http://inventario",
                signing_key=str(tmp_path / "pedidos.pem"),
                **shared,
            ),
            clock=clock,
            transport=network,
        ),
    }
    async with AsyncExitStack() as stack:
        clients = {name: await stack.enter_async_context(running(app)) for name, app in apps.items()}
        network.apps.update(apps)
        yield System(clock, issuer, network, apps=apps, **clients)
