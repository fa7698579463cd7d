"""productos, inventario and pedidos as one system in this process, and what a test needs to disturb it."""

import asyncio
import json
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
from contract.network import Red
from fastapi import FastAPI

import comanda.inventario.app
import comanda.pedidos.app
import comanda.productos.app
from comanda.common.tokens import SigningKey
from comanda.inventario.settings import Settings as InventarioSettings
from comanda.pedidos.recovery import Recovery
from comanda.pedidos.settings import Settings as PedidosSettings
from comanda.productos.settings import Settings as ProductosSettings
from comanda.testing import Databases, FakeClock, Issuer, running

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
    "auditoria:leer",
)

LEASE_SECONDS = 90
"""What one request may take, with the settings below: 4 tries of 20 s, and 10 s for the database."""


class StillClock(FakeClock):
    """Background loops look around once and sleep for ever: a test calls `recuperar` and `barrer` itself."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__(seed)
        self.dormidos = asyncio.Semaphore(0)

    async def sleep(self, seconds: float) -> None:
        if seconds < 1:
            await asyncio.sleep(0)
            return
        self.dormidos.release()
        await asyncio.Event().wait()


@dataclass
class System:
    """The running services, a client for each, and their network.

    `clock` is that of all but inventario, which has its own; `advance` moves both.
    """

    clock: FakeClock
    inventario_clock: FakeClock
    issuer: Issuer
    red: Red
    start_pedidos: Callable[..., Any]
    apps: dict[str, FastAPI] = field(default_factory=dict)
    clients: dict[str, httpx2.AsyncClient] = field(default_factory=dict)

    @property
    def productos(self) -> httpx2.AsyncClient:
        return self.clients["productos"]

    @property
    def inventario(self) -> httpx2.AsyncClient:
        return self.clients["inventario"]

    @property
    def pedidos(self) -> httpx2.AsyncClient:
        return self.clients["pedidos"]

    @property
    def admin(self) -> dict[str, str]:
        return self.issuer.headers(*ADMIN, subject="admin-1")

    @property
    def auditor(self) -> dict[str, str]:
        """For inventario, whose clock may be another."""
        return Issuer.headers(_with_clock(self.issuer, self.inventario_clock), *ADMIN, subject="admin-1")

    def cliente(self, subject: str = "cliente-1") -> dict[str, str]:
        return self.issuer.headers(*CLIENTE, subject=subject)

    def advance(self, seconds: float) -> None:
        for clock in {id(clock): clock for clock in (self.clock, self.inventario_clock)}.values():
            clock.advance(seconds)

    async def producto(self, stock: int | None = 10, precio: Any = "2.50", **datos: Any) -> str:
        """The id of a new product with that stock (None: no row in inventario)."""
        body = {"sku": f"SKU-{uuid4().hex[:12]}", "nombre": "Café", "precio": precio} | datos
        created = await self.productos.post("/productos", json=body, headers=self.admin)
        assert created.status_code == 201, created.text
        producto_id = str(created.json()["id"])
        if stock is not None:
            body = {"producto_id": producto_id, "cantidad": stock}
            counted = await self.inventario.post("/inventario", json=body, headers=self.auditor)
            assert counted.status_code == 201, counted.text
        return producto_id

    async def pedir(
        self, *lineas: tuple[str, int], key: str | None = None, cliente: str = "cliente-1", **extra: Any
    ) -> httpx2.Response:
        """The answer to an order of those products and amounts."""
        body = {"lineas": [{"producto_id": p, "cantidad": c} for p, c in lineas]} | extra
        headers = self.cliente(cliente) | ({"Idempotency-Key": key} if key else {})
        return await self.pedidos.post("/pedidos", json=body, headers=headers)

    async def pedir_ok(self, *lineas: tuple[str, int], **options: Any) -> str:
        """The id of a new order whose stock is held."""
        response = await self.pedir(*lineas, **options)
        assert response.status_code == 201, response.text
        return str(response.json()["id"])

    async def completar(self, pedido_id: str) -> httpx2.Response:
        return await self.pedidos.post(f"/pedidos/{pedido_id}/completar", headers=self.admin)

    async def cancelar(self, pedido_id: str, **body: Any) -> httpx2.Response:
        return await self.pedidos.post(f"/pedidos/{pedido_id}/cancelar", json=body or None, headers=self.cliente())

    async def existencias(self, producto_id: str) -> tuple[int, int]:
        """(fisico, reservado)"""
        body = (await self.inventario.get(f"/inventario/{producto_id}", headers=self.auditor)).json()
        return body["fisico"], body["reservado"]

    async def pedido(self, pedido_id: str) -> dict[str, Any]:
        response = await self.pedidos.get(f"/pedidos/{pedido_id}", headers=self.admin)
        assert response.status_code == 200, response.text
        body: dict[str, Any] = response.json()
        return body

    async def estado(self, pedido_id: str) -> tuple[str, str | None]:
        """(estado, motivo)"""
        pedido = await self.pedido(pedido_id)
        return pedido["estado"], pedido["motivo"]

    async def fases(self, pedido_id: str) -> list[str]:
        response = await self.pedidos.get(f"/pedidos/{pedido_id}/historial", headers=self.admin)
        return [transicion["a"] for transicion in response.json()]

    async def todos(self) -> list[dict[str, Any]]:
        return await all_of(self.pedidos, "/pedidos", self.admin)

    async def reserva(self, pedido_id: str) -> str | None:
        """The state of an order's reservation, None when inventario does not know it."""
        response = await self.inventario.get(f"/reservas/{pedido_id}", headers=self.auditor)
        return str(response.json()["estado"]) if response.status_code == 200 else None

    async def circuito(self, nombre: str) -> str:
        response = await self.pedidos.get("/circuitos", headers=self.admin)
        return str({circuito["nombre"]: circuito["estado"] for circuito in response.json()}[nombre])

    @property
    def recovery(self) -> Recovery:
        run: Any = self.apps["pedidos"].state.wiring.loops[0]
        recovery: Recovery = run.__self__
        return recovery

    async def recuperar(self) -> int:
        """One look of pedidos' recovery at what is due."""
        return await self.recovery.tick()

    async def barrer(self) -> None:
        """One look of inventario's sweeper at what is over, and at what can be forgotten."""
        service = self.apps["inventario"].state.service
        await service.expirar_vencidas()
        await service.olvidar_cerradas()

    async def replica(self) -> "System":
        """The same system as a second replica of pedidos serves it."""
        app, client = await self.start_pedidos()
        return replace(self, apps=self.apps | {"pedidos": app}, clients=self.clients | {"pedidos": client})

    async def reiniciar_pedidos(self, **settings: Any) -> None:
        """A new process of pedidos on the same database. The old one is dead to the world: it answers nobody."""
        self.apps["pedidos"], self.clients["pedidos"] = await self.start_pedidos(**settings)

    async def eventualmente(self, pedido_id: str, estado: str, *, seconds: int, step: int = 5) -> None:
        """Lets that much time pass in steps, until the order is in that state by itself."""
        for _ in range(0, seconds, step):
            if (await self.pedido(pedido_id))["estado"] == estado:
                return
            self.advance(step)
            await asyncio.sleep(0)  # a request over SQLite never waits, and the background loops would never run
        assert (await self.pedido(pedido_id))["estado"] == estado


def _with_clock(issuer: Issuer, clock: FakeClock) -> Issuer:
    other = Issuer(clock)
    other.key = issuer.key
    return other


async def all_of(client: httpx2.AsyncClient, path: str, headers: Mapping[str, str]) -> list[dict[str, Any]]:
    """All elements of a list, page by page."""
    elements: list[dict[str, Any]] = []
    url = f"{path}?limite=200"
    while url:
        page = await client.get(url, headers=dict(headers))
        assert page.status_code == 200, page.text
        elements += page.json()["elementos"]
        url = page.links.get("next", {}).get("url", "")
    return elements


async def start(
    stack: AsyncExitStack,
    databases: Databases,
    folder: Path,
    clock: FakeClock,
    inventario_clock: FakeClock,
    issuer: Issuer,
    auth: FastAPI | None = None,
    **pedidos_settings: Any,
) -> System:
    """The three services on fresh databases; they end with the stack.

    Args:
        auth: whom they ask for ended sessions, if anybody.
    """
    red = Red()
    keys = {name: SigningKey.load_or_create(folder / f"{name}.pem") for name in ("pedidos", "inventario", "operador")}
    jwks = {name: json.dumps({"keys": [key.public_jwk()]}) for name, key in keys.items()}
    shared: dict[str, Any] = {
        "auth_jwks": json.dumps(issuer.jwks),
        "operador_jwks": jwks["operador"],
        "retry_wait_seconds": 0,
        "http_timeout_seconds": 20,
        "log_level": "error",
    }
    if auth is not None:
        red.apps["auth"] = auth
        shared["auth_url"] = "http://auth"
    productos = ProductosSettings(
        database_url=await databases.new("comanda.productos"),
        pedidos_jwks=jwks["pedidos"],
        inventario_jwks=jwks["inventario"],
        signing_key=str(folder / "productos.pem"),
        **shared,
    )
    inventario = InventarioSettings(
        database_url=await databases.new("comanda.inventario"),
        productos_url="http://productos",
        pedidos_jwks=jwks["pedidos"],
        signing_key=str(folder / "inventario.pem"),
        **shared,
    )

    pedidos_url = await databases.new("comanda.pedidos")

    async def start_pedidos(**settings: Any) -> tuple[FastAPI, httpx2.AsyncClient]:
        values = {
            "database_url": pedidos_url,
            "productos_url": "http://productos",
            "inventario_url": "http://inventario",
            "signing_key": str(folder / "pedidos.pem"),
        }
        own = PedidosSettings(**shared | values | pedidos_settings | settings)
        app = comanda.pedidos.app.create_app(own, clock=clock, transport=red)
        return app, await _run(stack, app, clock)

    system = System(clock, inventario_clock, issuer, red, start_pedidos)
    system.apps["productos"] = comanda.productos.app.create_app(productos, clock=clock, transport=red)
    system.apps["inventario"] = comanda.inventario.app.create_app(inventario, clock=inventario_clock, transport=red)
    system.clients["productos"] = await _run(stack, system.apps["productos"], clock)
    system.clients["inventario"] = await _run(stack, system.apps["inventario"], inventario_clock)
    red.apps.update(system.apps)
    await system.reiniciar_pedidos()
    return system


async def _run(stack: AsyncExitStack, app: FastAPI, clock: FakeClock) -> httpx2.AsyncClient:
    """Starts a service; returns when its background loops have looked around."""
    client = await stack.enter_async_context(running(app))
    if isinstance(clock, StillClock):
        for _ in app.state.wiring.background:
            await clock.dormidos.acquire()
    return client
