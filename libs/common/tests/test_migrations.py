"""The schema comes to be once, however many start at once."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from comanda.common.clock import SystemClock
from comanda.common.database import Database
from comanda.common.migrations import is_migrated, migrate
from comanda.testing import Databases
from comanda.testing.schema import schema_differences

PROGRAM = """
import asyncio, sys
from comanda.common.clock import SystemClock
from comanda.common.database import Database
from comanda.common.migrations import migrate

print("ready", flush=True)
sys.stdin.readline()
asyncio.run(migrate(Database(sys.argv[1], clock=SystemClock()), "cosas"))
"""


@pytest.fixture
async def url(databases: Databases, package_folder: Path) -> str:
    return await databases.new()


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    database = Database(url, clock=SystemClock())
    yield database
    await database.aclose()


async def names(database: Database) -> list[str]:
    async with database.read() as connection:
        return list((await connection.execute(sa.text("SELECT nombre FROM cosas"))).scalars())


class TestMigrate:
    async def test_fresh_then_again(self, database: Database) -> None:
        assert not await is_migrated(database, "cosas")
        for _ in range(2):
            await migrate(database, "cosas")
        assert await is_migrated(database, "cosas")
        assert await names(database) == ["made once"]

    @pytest.mark.proc
    async def test_three_processes_at_once(self, url: str, database: Database, package_folder: Path) -> None:
        environment = os.environ | {"PYTHONPATH": str(package_folder)}
        processes = [
            subprocess.Popen(  # noqa: ASYNC220  # a moment
                [sys.executable, "-c", PROGRAM, url],
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
            for _ in range(3)
        ]
        for process in processes:
            assert process.stdout is not None
            process.stdout.readline()
        answers = await asyncio.gather(*(asyncio.to_thread(process.communicate, b"go\n") for process in processes))
        assert [process.returncode for process in processes] == [0, 0, 0], answers
        assert await names(database) == ["made once"]

    async def test_a_failure_leaves_the_schema_as_it_was(self, database: Database, package_folder: Path) -> None:
        broken = package_folder / "cosas" / "migrations" / "versions" / "0002.py"
        broken.write_text(
            'from alembic import op\nrevision = "0002"\ndown_revision = "0001"\n\n\n'
            'def upgrade():\n    op.execute("CREATE TABLE media(id INTEGER)")\n    raise ValueError("half-way")\n'
        )
        try:
            with pytest.raises(ValueError, match="half-way"):
                await migrate(database, "cosas")
        finally:
            broken.unlink()
        assert not await is_migrated(database, "cosas")
        await migrate(database, "cosas")
        async with database.read() as connection:
            tables = await connection.run_sync(lambda sync: sa.inspect(sync).get_table_names())
        assert sorted(tables) == ["alembic_version", "cosas"]


class TestIsMigrated:
    async def test_a_schema_ahead_of_the_code(self, database: Database) -> None:
        await migrate(database, "cosas")
        async with database.transaction() as connection:
            await connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
        assert await is_migrated(database, "cosas")
        await migrate(database, "cosas")
        assert await names(database) == ["made once"]


class TestSchemaDifferences:
    async def test_none(self, databases: Databases, package_folder: Path) -> None:
        from cosas.tables import metadata  # type: ignore[import-not-found]

        assert await schema_differences(await databases.new("cosas"), metadata) == []

    async def test_what_the_migrations_lack_or_have_too_much(self, databases: Databases, package_folder: Path) -> None:
        metadata = sa.MetaData()
        sa.Table("otras", metadata, sa.Column("id", sa.Integer, primary_key=True))
        url = await databases.new("cosas")
        assert {change[0] for change in await schema_differences(url, metadata)} == {"add_table", "remove_table"}
        assert {change[0] for change in await schema_differences(url, metadata, ignore=["cosas"])} == {"add_table"}
