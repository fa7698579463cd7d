"""What is particular about SQLite: one file, one writer, and nobody may wait for it inside the event loop."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from parents_and_children import add, count, made, parents

from comanda.common import database as module
from comanda.common.clock import SystemClock
from comanda.common.database import Database, DatabaseUnavailable
from comanda.testing import Databases


@pytest.fixture
async def sqlite_file(sqlite_databases: Databases) -> AsyncIterator[tuple[Database, str]]:
    """A database and the path of its file."""
    url = await sqlite_databases.new()
    database = await made(url)
    yield database, url.removeprefix("sqlite:///")
    await database.aclose()


class TestSqlite:
    async def test_durable_settings(self, sqlite_file: tuple[Database, str]) -> None:
        database, _ = sqlite_file
        async with database.read() as connection:
            pragmas = {
                name: (await connection.exec_driver_sql(f"PRAGMA {name}")).scalar_one()
                for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
            }
        assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 0}
        assert await database.durability_faults() == []

    async def test_a_read_sees_one_snapshot(self, sqlite_file: tuple[Database, str]) -> None:
        database, _ = sqlite_file
        async with database.read() as connection:
            query = sa.select(sa.func.count()).select_from(parents)
            assert (await connection.execute(query)).scalar_one() == 0
            await add(database)
            assert (await connection.execute(query)).scalar_one() == 0

    async def test_another_process_holds_the_lock_for_a_moment(self, sqlite_file: tuple[Database, str]) -> None:
        database, path = sqlite_file
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        writers = [asyncio.create_task(add(database, number)) for number in range(3)]
        longest, before = 0.0, time.monotonic()
        for _ in range(20):  # the loop turns meanwhile
            await asyncio.sleep(0.002)
            longest, before = max(longest, time.monotonic() - before), time.monotonic()
        assert not any(writer.done() for writer in writers)
        assert longest < 1
        other.execute("COMMIT")
        await asyncio.gather(*writers)
        other.close()
        assert await count(database) == 3

    async def test_another_process_holds_the_lock_for_too_long(
        self, sqlite_file: tuple[Database, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "LOCK_WAIT_SECONDS", 0.2)
        database, path = sqlite_file
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        before = time.monotonic()
        results = await asyncio.gather(*(add(database, number) for number in range(10)), return_exceptions=True)
        assert all(isinstance(result, DatabaseUnavailable) for result in results)
        assert "locked" in str(results[0])
        assert time.monotonic() - before < 1.5  # not ten times the wait: each counts from its arrival
        other.close()
        await add(database)

    async def test_full_disk(self, sqlite_file: tuple[Database, str]) -> None:
        database, _ = sqlite_file

        async def fill() -> None:
            async with database.transaction() as connection:
                await connection.exec_driver_sql("PRAGMA max_page_count = 5")
                await connection.exec_driver_sql("CREATE TABLE blobs AS SELECT randomblob(1000000) b")

        with pytest.raises(DatabaseUnavailable, match="full"):
            await fill()
        async with database.transaction() as connection:
            await connection.exec_driver_sql("PRAGMA max_page_count = 1000000")
        await add(database)

    async def test_no_file(self, tmp_path: Path) -> None:
        database = Database(f"sqlite:///{tmp_path}", clock=SystemClock())  # it is a folder
        for action in (database.ping, lambda: add(database)):
            with pytest.raises(DatabaseUnavailable):
                await action()
        await database.aclose()

    async def test_rows_one_at_a_time(self, sqlite_file: tuple[Database, str]) -> None:
        database, _ = sqlite_file
        await asyncio.gather(*(add(database, number) for number in range(3)))
        async with database.read() as connection:
            result = await connection.execute(sa.select(parents.c.id).order_by(parents.c.id))
            assert result.fetchone() == (0,)
            assert result.fetchmany(1) == [(1,)]
            assert result.scalars().all() == [2]
