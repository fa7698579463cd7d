"""`python -m comanda.<service> --migrate`: the job of a deployment, with nothing of the other services."""

import asyncio
import os
import socket
import sys

import pytest

from comanda.common import migrations
from comanda.common.clock import SystemClock
from comanda.common.database import Database
from comanda.testing import Databases

pytestmark = pytest.mark.proc


async def migrate(url: str) -> tuple[int | None, str, str]:
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("PRODUCTOS_", "COMANDA_"))}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "comanda.productos",
        "--migrate",
        env=variables | {"PRODUCTOS_DATABASE_URL": url},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode, output.decode(), errors.decode()


async def is_migrated(url: str) -> bool:
    database = Database(url, clock=SystemClock())
    try:
        return await migrations.is_migrated(database, "comanda.productos")
    finally:
        await database.aclose()


class TestMigrate:
    async def test_brings_the_schema_up_to_date_and_ends(self, databases: Databases) -> None:
        url = await databases.new()
        assert not await is_migrated(url)
        assert await migrate(url) == (0, "comanda.productos: up to date\n", "")
        assert await is_migrated(url)

    async def test_two_at_once(self, postgres_databases: Databases) -> None:
        url = await postgres_databases.new()
        first, second = await asyncio.gather(migrate(url), migrate(url))
        assert first == second == (0, "comanda.productos: up to date\n", "")
        assert await is_migrated(url)
        await postgres_databases.discard()

    async def test_database_that_does_not_answer(self) -> None:
        with socket.socket() as taken:  # nobody else can listen there either
            taken.bind(("127.0.0.1", 0))
            code, output, errors = await migrate(f"postgresql://nobody@127.0.0.1:{taken.getsockname()[1]}/nothing")
        assert (code, output) == (1, "")
        assert errors.startswith("PRODUCTOS_DATABASE_URL: the database does not answer")
        assert len(errors.splitlines()) == 1
