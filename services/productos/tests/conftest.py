import json
from collections.abc import AsyncIterator

import httpx2
import pytest

from comanda.productos.app import create_app
from comanda.productos.settings import Settings
from comanda.testing import Databases, FakeClock, Issuer, running


@pytest.fixture
async def client(databases: Databases, clock: FakeClock, issuer: Issuer) -> AsyncIterator[httpx2.AsyncClient]:
    """productos on a fresh database; calls as an administrator unless a test says otherwise."""
    settings = Settings(
        database_url=await databases.new("comanda.productos"), auth_jwks=json.dumps(issuer.jwks), log_level="error"
    )
    async with running(create_app(settings, clock=clock)) as client:
        client.headers.update(issuer.headers("productos:leer", "productos:escribir", "operaciones:leer"))
        yield client
