import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from comanda.common.testing import Databases, FakeClock, Issuer, Network, running
from comanda.common.tokens import ServiceSigner, SigningKey
from comanda.inventario.app import create_app
from comanda.inventario.settings import Settings


@pytest.fixture
def network() -> Network:
    """The network of inventario; `productos` knows every product until a test says otherwise."""
    network = Network()
    network.answers["productos"] = httpx2.Response(200, json={})
    return network


@pytest.fixture
def pedidos_key() -> SigningKey:
    return SigningKey.generate()


@pytest.fixture
async def settings(databases: Databases, issuer: Issuer, pedidos_key: SigningKey, tmp_path: Path) -> Settings:
    return Settings(
        database_url=await databases.new("comanda.inventario"),
        auth_jwks=json.dumps(issuer.jwks),
        pedidos_jwks=json.dumps({"keys": [pedidos_key.public_jwk()]}),
        productos_url="http://productos",
        signing_key=str(tmp_path / "inventario.pem"),
        sweep_seconds=60,
    )


@pytest.fixture
def app(settings: Settings, clock: FakeClock, network: Network) -> FastAPI:
    return create_app(settings, clock=clock, transport=network)


@pytest.fixture
async def client(app: FastAPI, issuer: Issuer) -> AsyncIterator[httpx2.AsyncClient]:
    """Calls inventario as an administrator unless a test says otherwise."""
    async with running(app) as client:
        client.headers.update(
            issuer.headers("inventario:leer", "inventario:escribir", "reservas:leer", "operaciones:leer")
        )
        yield client


Reservas = Callable[..., Awaitable[httpx2.Response]]


@pytest.fixture
def reservas(client: httpx2.AsyncClient, clock: FakeClock, pedidos_key: SigningKey) -> Reservas:
    """Calls `/reservas` as pedidos does: `await reservas("PUT", id, lineas={producto: cantidad})`."""
    signer = ServiceSigner("pedidos", pedidos_key, clock)

    async def call(method: str, path: Any, lineas: dict[str, int] | None = None) -> httpx2.Response:
        body = None
        if lineas is not None:
            body = {"lineas": [{"producto_id": str(p), "cantidad": c} for p, c in lineas.items()]}
        headers = {"Authorization": f"Bearer {signer.token('inventario')}"}
        return await client.request(method, f"/reservas/{path}", json=body, headers=headers)

    return call
