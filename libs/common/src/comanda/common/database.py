"""One database for one service: SQLite or PostgreSQL by URL, the same Core statements on both."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any, Literal, TypeVar

import asyncpg
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from comanda.common import failover
from comanda.common.clock import Clock
from comanda.common.crashpoints import crash_point
from comanda.common.limits import BY_INDEX, HOT_ROWS, MIGRATION_LIMITS, REQUEST_LIMITS
from comanda.common.queues import Queue
from comanda.common.sqlite import creator
from comanda.common.telemetry import CONNECTION_WAIT, WRITE_WAIT

LOCK_WAIT_SECONDS = 5.0
"""How long after its arrival a transaction gives up on SQLite's lock, while some other process holds it."""

_PASSING_FAULTS = ("08", "25P03", "25006", "28", "3D", "40", "53", "55P03", "57", "58")
"""SQLSTATE classes of PostgreSQL under which the same statement may succeed later (appendix A of its manual):
connection, idle timeout, read-only (a failover), login, no such database, rollback, resources, lock timeout, operator
intervention, I/O."""


class DatabaseUnavailable(Exception):
    """The database cannot be reached, is starting or stopping, is full, is locked, or every connection is taken.

    Nothing of the transaction was committed, unless the connection broke during COMMIT itself: then it is unknown.
    """


class RolledBack(DatabaseUnavailable):
    """PostgreSQL gave the transaction up, to end a deadlock or because a table has changed: it may be tried again."""


Result = TypeVar("Result")

Begun = tuple[AsyncConnection, Callable[[], Awaitable[None]]]
"""A connection with an open transaction, and what commits it."""

Id = TypeVar("Id")


def padded(ids: Sequence[Id]) -> list[Id]:
    """The same set as a list whose length is a power of two, so that few different statements have to be prepared."""
    if not ids:
        return []
    return [*ids, *[ids[-1]] * ((1 << (len(ids) - 1).bit_length()) - len(ids))]


class Database:
    """Opens transactions; knows how the two databases differ.

    Args:
        url: `sqlite:///path/to/file.db` or `postgresql://user:password@host:port/name`; several hosts: `failover.py`.
        clock: for the waits on SQLite's write lock.
        pool_size: connections to PostgreSQL; a request waits at most 2 s for one.
        by_index: every statement has an index that serves it, so PostgreSQL need not weigh reading a whole table.
        hot_rows: see `HOT_ROWS`.
    """

    def __init__(
        self, url: str, *, clock: Clock, pool_size: int = 10, by_index: bool = True, hot_rows: bool = False
    ) -> None:
        parsed = make_url(url)
        self.dialect: Literal["sqlite", "postgresql"] = (
            "sqlite" if parsed.get_backend_name() == "sqlite" else "postgresql"
        )
        settings = REQUEST_LIMITS | (BY_INDEX if by_index else {}) | (HOT_ROWS if hot_rows else {})
        self.engine = (
            _sqlite_engine(parsed) if self.dialect == "sqlite" else _postgresql_engine(parsed, pool_size, settings)
        )
        # Transactions are begun and ended here, so SQLAlchemy must not begin any of its own; on SQLite it never does.
        self._connections = (
            self.engine if self.dialect == "sqlite" else self.engine.execution_options(isolation_level="AUTOCOMMIT")
        )
        self._clock = clock
        self._writer = asyncio.Lock()

    @property
    def pool(self) -> Queue | None:
        """Its connections; None on SQLite, which has one writer."""
        pool = self.engine.pool
        if self.dialect == "sqlite" or not isinstance(pool, sa.QueuePool):
            return None
        return Queue("conexiones-base-de-datos", pool.checkedout, pool.size())

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """A write transaction: commits at the end of the block, rolls back if it raises.

        SQLite has one writer, so writers queue here in order of arrival. PostgreSQL runs READ COMMITTED.

        Raises:
            DatabaseUnavailable: see there. Constraint violations pass as SQLAlchemy's `IntegrityError`.
        """
        begun = self._begun_on_postgresql if self.dialect == "postgresql" else self._begun_on_sqlite
        with _faults_translated():
            async with begun() as (connection, commit):
                yield connection
                crash_point("before-commit")
                await commit()
                crash_point("after-commit")

    @asynccontextmanager
    async def migration(self) -> AsyncIterator[AsyncConnection]:
        """A write transaction whose statements may take as long as an index over a large table does.

        Raises:
            DatabaseUnavailable: see there.
        """
        if self.dialect == "sqlite":
            async with self.transaction() as connection:
                yield connection
            return
        engine = _postgresql_engine(self.engine.url, 1, MIGRATION_LIMITS, command_timeout=None)
        try:
            with _faults_translated():
                async with engine.begin() as connection:
                    yield connection
        finally:
            await engine.dispose()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A connection for reading. On SQLite all its statements see one snapshot; on PostgreSQL each its own.

        Raises:
            DatabaseUnavailable: see there.
        """
        with _faults_translated():
            async with self._connected() as connection:
                if self.dialect == "sqlite":
                    await driver_of(connection).execute("BEGIN")
                yield connection

    def insert(self, table: sa.Table) -> postgresql.Insert | sqlite.Insert:
        """An INSERT that knows `on_conflict_do_nothing` and `on_conflict_do_update`."""
        return postgresql.insert(table) if self.dialect == "postgresql" else sqlite.insert(table)

    async def ping(self) -> None:
        """Asks for a trivial answer.

        Raises:
            DatabaseUnavailable: none came.
        """
        async with self.read() as connection:
            await connection.execute(sa.select(1))

    async def durability_faults(self) -> list[str]:
        """Settings of the database under which a committed answer could be lost, one sentence each."""
        if self.dialect == "sqlite":
            return []  # set for each connection in sqlite.py
        faults = []
        async with self.read() as connection:
            for setting in ("fsync", "synchronous_commit", "full_page_writes"):
                value = (await connection.exec_driver_sql(f"SHOW {setting}")).scalar_one()
                if value == "off":
                    faults.append(f"PostgreSQL has {setting} = off: a crash would lose acknowledged writes")
        return faults

    async def aclose(self) -> None:
        await self.engine.dispose()

    @asynccontextmanager
    async def _begun_on_postgresql(self) -> AsyncIterator[Begun]:
        connection = await self._connect()
        transaction = driver_of(connection).transaction()
        try:
            await transaction.start()
            yield connection, lambda: failover.commit(driver_of(connection), transaction)
        except BaseException:
            # In a task of its own, for this one is perhaps being cancelled, and not for the last time.
            await asyncio.shield(asyncio.ensure_future(_undo(connection, transaction)))
            raise
        await connection.close()

    @asynccontextmanager
    async def _begun_on_sqlite(self) -> AsyncIterator[Begun]:
        deadline = self._clock.monotonic() + LOCK_WAIT_SECONDS
        async with self._writer, AsyncExitStack() as stack:
            connection = await self._once_unlocked(deadline, lambda: stack.enter_async_context(self._connected()))
            driver = driver_of(connection)
            await self._once_unlocked(deadline, lambda: driver.execute("BEGIN IMMEDIATE"))
            WRITE_WAIT.observe(self._clock.monotonic() - deadline + LOCK_WAIT_SECONDS)
            yield connection, driver.commit

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[AsyncConnection]:
        """A connection of the pool; what is still open at the end on SQLite is rolled back."""
        connection = await self._connect()
        try:
            yield connection
        finally:  # this never suspends, so it needs no task of its own to be safe from cancellation
            await connection.close()

    async def _connect(self) -> AsyncConnection:
        while True:
            with CONNECTION_WAIT.time():
                connection = await self._connections.connect()
            if self.dialect == "sqlite" or not driver_of(connection).is_closed():
                return connection
            await connection.invalidate()  # the server closed it: it was stopped, or failed over
            await connection.close()

    async def _once_unlocked(self, deadline: float, action: Callable[[], Awaitable[Result]]) -> Result:
        """Tries until no other process has the SQLite file locked, without holding up the event loop."""
        wait = 0.005
        while True:
            try:
                return await action()
            except (OperationalError, sqlite3.OperationalError) as error:
                code = getattr(getattr(error, "orig", error), "sqlite_errorcode", 0)
                locked = code & 0xFF == sqlite3.SQLITE_BUSY
                if not locked or self._clock.monotonic() >= deadline:
                    raise
                await self._clock.sleep(wait)
                wait = min(2 * wait, 0.1)


def driver_of(connection: AsyncConnection) -> Any:
    """The driver's own connection: asyncpg's, or `sqlite.LoopConnection`."""
    pooled = connection.sync_connection
    assert pooled is not None  # noqa: S101  # it is open
    return pooled.connection.driver_connection


async def _undo(connection: AsyncConnection, transaction: Any) -> None:
    """Rolls back and gives the connection to the pool; or gives it up, if it may still be in a transaction."""
    try:
        await transaction.rollback()
    except Exception:
        await connection.invalidate()
    finally:
        await connection.close()


def _sqlite_engine(url: sa.URL) -> AsyncEngine:
    return create_async_engine(
        url.set(drivername="sqlite+aiosqlite"),
        connect_args={"async_creator_fn": creator(url.database or "")},
        pool_size=5,
        max_overflow=-1,
    )


def _postgresql_engine(
    url: sa.URL, pool_size: int, settings: Mapping[str, str], command_timeout: float | None = 15
) -> AsyncEngine:
    return create_async_engine(
        url.set(drivername="postgresql+asyncpg"),
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=2,
        connect_args={
            "async_creator_fn": failover.connect,
            "timeout": 5,
            "command_timeout": command_timeout,
            "server_settings": failover.SERVER_LIMITS | dict(settings),
        },
    )


@contextmanager
def _faults_translated() -> Iterator[None]:
    try:
        yield
    except asyncpg.InvalidCachedStatementError as error:  # a migration has changed a table meanwhile
        raise RolledBack(str(error)) from error
    except (
        OperationalError,
        InterfaceError,
        sqlite3.OperationalError,
        sa.exc.TimeoutError,
        OSError,
        TimeoutError,
        asyncpg.InterfaceError,
        asyncpg.InternalClientError,
    ) as error:
        # SQLAlchemy wraps what comes of its own statements; the rest is raised by the drivers.
        raise DatabaseUnavailable(f"{type(error).__name__}: {getattr(error, 'orig', error)}") from error
    except (DBAPIError, asyncpg.PostgresError) as error:
        state = getattr(getattr(error, "orig", error), "sqlstate", None) or ""
        if state.startswith("40"):
            raise RolledBack(state) from error
        if getattr(error, "connection_invalidated", False) or state.startswith(_PASSING_FAULTS):
            raise DatabaseUnavailable(f"{state}: {error}") from error
        raise
