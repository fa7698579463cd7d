"""Every way in which PostgreSQL can be away, and what cancellation leaves behind there."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
import sqlalchemy as sa
from parents_and_children import add, count, made, parents
from sqlalchemy.dialects import postgresql

from comanda.common.clock import SystemClock
from comanda.common.database import Database, DatabaseUnavailable, RolledBack, driver_of
from comanda.common.statements import Statement
from comanda.testing import Databases, PostgresServer


@pytest.fixture
async def postgres(postgres_databases: Databases) -> AsyncIterator[Database]:
    database = await made(await postgres_databases.new(), pool_size=2)
    yield database
    await database.aclose()


@asynccontextmanager
async def made_alike(database: Database) -> AsyncIterator[Any]:
    """A connection of a pool of its own."""
    alike = Database(database.engine.url.render_as_string(hide_password=False), clock=SystemClock())
    async with alike.read() as connection:
        yield connection
    await alike.aclose()


class TestPostgresql:
    async def test_connection_killed(self, postgres: Database) -> None:
        async def kill_others() -> None:
            async with postgres.transaction() as connection:
                query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
                await connection.execute(sa.text(f"{query} AND pid <> pg_backend_pid()"))

        async def write() -> None:
            async with postgres.transaction() as connection:
                await connection.execute(sa.insert(parents).values(id=1))
                await kill_others()
                await connection.execute(sa.insert(parents).values(id=2))

        with pytest.raises(DatabaseUnavailable):
            await write()
        await self.works_again(postgres)
        assert await count(postgres) == 0

    async def test_a_connection_that_the_server_closed_is_not_given_to_anybody(self, postgres: Database) -> None:
        async with postgres.read() as one, postgres.read() as other:
            drivers = [driver_of(one), driver_of(other)]
        closed = [asyncio.Event() for _ in drivers]
        for driver, event in zip(drivers, closed, strict=True):
            driver.add_termination_listener(lambda _, event=event: event.set())
        async with made_alike(postgres) as another:
            pids = [driver.get_server_pid() for driver in drivers]
            await driver_of(another).fetch("SELECT pg_terminate_backend(pid) FROM unnest($1::int[]) AS pid", pids)
        for event in closed:
            await event.wait()
        async with postgres.transaction() as one, postgres.transaction() as other:  # all that the pool can have
            await one.execute(sa.insert(parents).values(id=1))
            await other.execute(sa.insert(parents).values(id=2))
        async with postgres.read() as one, postgres.read() as other:
            for connection in (one, other):
                assert (await connection.execute(sa.select(sa.func.count()).select_from(parents))).scalar_one() == 2
                assert not driver_of(connection).is_in_transaction()

    async def test_a_table_that_a_migration_has_changed_meanwhile(self, postgres: Database) -> None:
        """The first who meets it is told to try again, and then it is known."""
        read = Statement(postgres, sa.select(parents.c.id, parents.c.at), [parents.c.id, parents.c.at])

        async def ask() -> Any:
            async with postgres.transaction() as connection:
                return await read.execute(connection, {})

        for _ in range(2):
            assert await ask() == []
        async with postgres.migration() as connection:
            await connection.exec_driver_sql("ALTER TABLE parents ALTER id TYPE bigint")
        with pytest.raises(RolledBack):
            await ask()
        assert await ask() == []

    async def test_connection_lost_before_the_commit(self, postgres: Database) -> None:
        async def write() -> None:
            async with postgres.transaction() as connection:
                await connection.execute(sa.insert(parents).values(id=1))
                driver_of(connection).terminate()

        with pytest.raises(DatabaseUnavailable):
            await write()
        await self.works_again(postgres)
        assert await count(postgres) == 0

    @pytest.mark.parametrize("cancellations", [1, 2, 3])
    async def test_cancelled_within_a_statement_and_again_while_it_is_undone(
        self, postgres: Database, cancellations: int
    ) -> None:
        pids: list[int] = []

        async def write() -> None:
            async with postgres.transaction() as connection:
                await connection.execute(sa.insert(parents).values(id=1))
                pids.append(driver_of(connection).get_server_pid())
                await driver_of(connection).fetch("SELECT pg_sleep(60)")

        for _ in range(5):
            task = asyncio.create_task(write())
            await asyncio.sleep(0.05)
            for _ in range(cancellations):
                task.cancel()
                await asyncio.sleep(0)
            with suppress(asyncio.CancelledError):
                await task
            await asyncio.wait_for(add(postgres, 100), 5)
            async with asyncio.timeout(5):
                while await self.busy(postgres, pids):  # noqa: ASYNC110  # only the server knows
                    await asyncio.sleep(0.01)
            async with postgres.transaction() as connection:
                await connection.execute(sa.delete(parents).where(parents.c.id == 100))
        assert await count(postgres) == 0

    @staticmethod
    async def busy(database: Database, pids: list[int]) -> int:
        """How many of those connections execute something or are in a transaction, but for the one that asks."""
        query = sa.text(
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE pid = ANY(:pids) AND state <> 'idle' AND pid <> pg_backend_pid()"
        ).bindparams(sa.bindparam("pids", pids, type_=postgresql.ARRAY(sa.Integer)))
        async with database.read() as connection:
            return int((await connection.execute(query)).scalar_one())

    @staticmethod
    async def works_again(database: Database) -> None:
        """Each connection of the pool may fail once; then all is well."""
        for _ in range(10):
            with suppress(DatabaseUnavailable):
                await database.ping()
                return
        await database.ping()

    async def test_every_connection_taken(self, postgres: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(postgres.engine.pool, "_timeout", 0.05)
        async with postgres.read(), postgres.read():
            with pytest.raises(DatabaseUnavailable):
                await postgres.ping()
        await postgres.ping()

    async def test_lock_held_too_long(self, postgres: Database) -> None:
        async def lock() -> None:
            async with postgres.transaction() as connection:
                await connection.exec_driver_sql("SET LOCAL statement_timeout = '20ms'")
                await connection.execute(sa.select(parents).with_for_update())

        await add(postgres)
        async with postgres.transaction() as holder:
            await holder.execute(sa.select(parents).with_for_update())
            with pytest.raises(DatabaseUnavailable):
                await lock()

    async def test_migrations_have_no_statement_limit_but_a_lock_limit(self, postgres: Database) -> None:
        limits = {}
        for name, scope in (("transaction", postgres.transaction()), ("migration", postgres.migration())):
            async with scope as connection:
                for setting in ("statement_timeout", "lock_timeout"):
                    value = (await connection.exec_driver_sql(f"SHOW {setting}")).scalar_one()
                    limits[name, setting] = value
        assert limits == {
            ("transaction", "statement_timeout"): "10s",
            ("transaction", "lock_timeout"): "2s",
            ("migration", "statement_timeout"): "0",
            ("migration", "lock_timeout"): "10s",
        }

    async def test_durable_settings(self, postgres: Database) -> None:
        assert await postgres.durability_faults() == []

    async def test_out_of_range_is_no_absence(self, postgres: Database) -> None:
        with pytest.raises(sa.exc.DBAPIError):
            await add(postgres, 2**40)


@pytest.fixture(scope="module")
def own_server() -> Iterator[PostgresServer]:
    server = PostgresServer("-c", "full_page_writes=off").start()
    yield server
    server.stop()


class TestPostgresqlServer:
    async def test_setting_that_loses_answers(self, own_server: PostgresServer) -> None:
        database = Database(f"{own_server.url}/postgres", clock=SystemClock())
        assert [fault.split()[2] for fault in await database.durability_faults()] == ["full_page_writes"]
        await database.aclose()

    async def test_killed_and_back(self, own_server: PostgresServer) -> None:
        database = await made(f"{own_server.url}/postgres")
        await add(database)
        assert os.kill(own_server.pid, 0) is None
        own_server.kill()
        for action in (database.ping, lambda: add(database, 2)):
            with pytest.raises(DatabaseUnavailable):
                await action()
        own_server.start()
        await TestPostgresql.works_again(database)
        await add(database, 2)
        await database.aclose()

    async def test_unknown_database_or_password(self, own_server: PostgresServer) -> None:
        database = Database(f"{own_server.url}/nowhere", clock=SystemClock())
        with pytest.raises(DatabaseUnavailable):
            await database.ping()
        await database.aclose()
