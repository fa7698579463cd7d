"""PostgreSQL on several hosts, as seen from a service: which of them is used, and how silence is noticed."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa
from parents_and_children import add, count, made, parents

from comanda.common import failover
from comanda.common.clock import SystemClock
from comanda.common.database import Database, DatabaseUnavailable, driver_of
from comanda.common.ports import free_ports
from comanda.testing import Databases, PostgresServer


def of_hosts(url: str, *more: int) -> str:
    """The same database as one of several hosts: ports of this machine come before it."""
    parts = urlsplit(url)
    hosts = "&".join(f"host={parts.hostname}:{port}" for port in (*more, parts.port))
    return f"postgresql://{parts.username}@{parts.path}?{hosts}&target_session_attrs=read-write"


@pytest.fixture
def silent() -> Iterator[int]:
    """A port where somebody listens and never says a word, as a host that has just died."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


class TestConnect:
    async def test_no_dead_host_is_waited_for(
        self, postgres_databases: Databases, silent: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(failover, "HOST_SECONDS", 60)
        [nobody] = free_ports(1)
        database = await made(of_hosts(await postgres_databases.new(), silent, nobody))
        async with asyncio.timeout(30):
            await add(database)
            assert await count(database) == 1
        await database.aclose()

    async def test_none_takes_writes(self, postgres_databases: Databases, monkeypatch: pytest.MonkeyPatch) -> None:
        url = await postgres_databases.new()
        plain = Database(url, clock=SystemClock())
        async with plain.read() as connection:
            name = (await connection.exec_driver_sql("SELECT current_database()")).scalar_one()
            await connection.exec_driver_sql(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
        await plain.aclose()
        database = Database(of_hosts(url, *free_ports(1)), clock=SystemClock())
        with pytest.raises(DatabaseUnavailable):
            await database.ping()
        await database.aclose()

    async def test_none_answers(self, silent: int, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(failover, "HOST_SECONDS", 0.1)
        database = Database(of_hosts(f"postgresql://nadie@127.0.0.1:{silent}/nada", silent), clock=SystemClock())
        with pytest.raises(DatabaseUnavailable):
            await database.ping()
        await database.aclose()


class TestSilence:
    async def test_both_ends_look_after_the_connection(self, postgres_databases: Databases) -> None:
        database = Database(await postgres_databases.new(), clock=SystemClock())
        async with database.read() as connection:
            own = driver_of(connection)._transport.get_extra_info("socket")
            assert own.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            if hasattr(socket, "TCP_USER_TIMEOUT"):
                silence = own.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
                assert silence == failover.SILENCE_SECONDS * 1000
            keepalive = (await connection.exec_driver_sql("SHOW tcp_keepalives_idle")).scalar_one()
        assert keepalive == failover.SERVER_LIMITS["tcp_keepalives_idle"]
        await database.aclose()

    async def test_rows_held_by_a_host_that_died_are_soon_free(self, postgres_databases: Databases) -> None:
        database = await made(await postgres_databases.new())
        await add(database)
        with suppress(DatabaseUnavailable):
            async with database.transaction() as dead:
                await dead.execute(sa.select(parents).with_for_update())
                async with asyncio.timeout(10), database.transaction() as other:
                    await other.exec_driver_sql("SET LOCAL lock_timeout = '10s'")
                    assert (await other.execute(sa.select(parents.c.id).with_for_update())).scalar_one() == 1
        await database.aclose()


class TestCommit:
    """A standby that commits wait for is silent: nothing that it has not got may be seen by anybody."""

    @pytest.fixture
    async def waiting(self) -> AsyncIterator[Database]:
        server = PostgresServer().start()
        url = f"{server.url}/postgres"
        database, operator = await made(url), Database(url, clock=SystemClock())
        async with operator.read() as connection:
            for statement in ("ALTER SYSTEM SET synchronous_standby_names = 'nobody'", "SELECT pg_reload_conf()"):
                await connection.exec_driver_sql(statement)
            while not (await connection.exec_driver_sql("SHOW synchronous_standby_names")).scalar_one():  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        yield database
        await operator.aclose()
        await database.aclose()
        server.stop()

    async def test_time_is_over(self, waiting: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(failover, "COMMIT_SECONDS", 0.2)
        with pytest.raises(DatabaseUnavailable):
            await add(waiting)
        await self.stays_unseen(waiting)

    async def test_the_caller_leaves(self, waiting: Database) -> None:
        adding = asyncio.create_task(add(waiting))
        while not await self.commits_waiting(waiting):  # noqa: ASYNC110  # only the server knows
            await asyncio.sleep(0.01)
        adding.cancel()
        with pytest.raises(asyncio.CancelledError):
            await adding
        await self.stays_unseen(waiting)

    async def stays_unseen(self, database: Database) -> None:
        for _ in range(10):
            assert await self.commits_waiting(database) == 1
            assert await count(database) == 0
            await asyncio.sleep(0.02)

    @staticmethod
    async def commits_waiting(database: Database) -> int:
        async with database.read() as connection:
            query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
            return int((await connection.exec_driver_sql(query)).scalar_one())
