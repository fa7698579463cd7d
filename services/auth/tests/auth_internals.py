"""What lies behind the routes of auth, for the tests of its use cases."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import sqlalchemy as sa

from comanda.auth.service import Auth
from comanda.common.database import Database

EMAIL, PASSWORD = "ana@ejemplo.es", "caballo correcto"


def use_cases(api: Any) -> Auth:
    auth: Auth = api.app.state.service
    return auth


def database(api: Any) -> Database:
    found: Database = api.app.state.wiring.database
    return found


async def count(api: Any, table: sa.Table) -> int:
    async with database(api).read() as connection:
        return int((await connection.execute(sa.select(sa.func.count()).select_from(table))).scalar_one())


async def until(ask: Callable[[], Awaitable[Any]], expected: Any) -> None:
    """Asks until a background task has brought about what is expected."""
    async with asyncio.timeout(10):
        while await ask() != expected:  # noqa: ASYNC110  # what is asked for is not ours to signal
            await asyncio.sleep(0)


async def entrar(client: httpx2.AsyncClient, email: str, password: str) -> dict[str, str]:
    form = {"grant_type": "password", "username": email, "password": password}
    return {"Authorization": f"Bearer {(await client.post('/auth/token', data=form)).json()['access_token']}"}
