"""SQLite files as simulated processes see them: each statement and commit is a step that may be the last.

SQLAlchemy runs statements in a greenlet and can await from there, so the connections below are plain `sqlite3` ones
that await only when a step is due to stop. That spares the async adapter's hops, which would be a fifth of a run.
"""

import asyncio
import atexit
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from comanda.common.clock import Clock, SystemClock
from comanda.common.database import Database
from comanda.common.migrations import migrate
from simulation.process import Process

_SCRATCH = "COMANDA_SIMULATION_SCRATCH"


class SimulatedCursor(sqlite3.Cursor):
    connection: "SimulatedConnection"

    async def _async_soft_close(self) -> None:
        """SQLAlchemy's sign that a result has been read to its end; there is nothing to do."""

    def close(self) -> None:
        if self.connection.process.alive:  # else the connection is closed, and the cursor with it
            super().close()

    def execute(self, operation: str, parameters: Sequence[Any] = ()) -> "SimulatedCursor":
        self.connection.process.database_step(operation)
        return super().execute(operation, parameters)

    def executemany(self, operation: str, parameters: Any) -> "SimulatedCursor":
        self.connection.process.database_step(operation)
        return super().executemany(operation, parameters)


class SimulatedConnection(sqlite3.Connection):
    """A connection of one process. When the process dies it is gone, and its open transaction with it."""

    process: Process
    on_commit: Callable[[], None]
    _changes_before = 0

    def cursor(self, factory: Any = SimulatedCursor) -> Any:
        if not self.process.alive:
            raise asyncio.CancelledError
        return super().cursor(SimulatedCursor)

    def finish(self) -> None:
        """Commits, unless it breaks."""
        self._may_break("before")
        super().commit()
        if self.total_changes != self._changes_before:  # most commits of the loops have found nothing to do
            self._changes_before = self.total_changes
            self.on_commit()
        self._may_break("after")

    def _may_break(self, moment: str) -> None:
        """The connection to a database server can break during COMMIT: then the caller cannot know its outcome."""
        if self.process.unlucky(f"commit breaks {moment} it is done"):
            raise sqlite3.OperationalError("disk I/O error")

    @property
    def _connection(self) -> "SimulatedDriver":
        """What SQLAlchemy's dialect takes for the driver's connection."""
        return SimulatedDriver(self)

    def rollback(self) -> None:
        if self.process.alive:
            super().rollback()

    def close(self) -> None:
        if self in self.process.connections:
            self.lose()

    terminate = close

    def lose(self) -> None:
        self.process.connections.pop(self, None)
        super().rollback()
        super().close()

    __hash__ = object.__hash__


class SimulatedDriver:
    """What `comanda.common.sqlite.LoopConnection` offers besides a DBAPI, of the same connection."""

    def __init__(self, connection: SimulatedConnection) -> None:
        self._connection = connection
        self._process = connection.process

    async def execute(self, operation: str) -> None:
        await self.fetch(operation, [()])

    async def fetch(self, operation: str, parameters: Sequence[Sequence[Any]]) -> list[Any]:
        await self._process.step(operation)
        with closing(sqlite3.Connection.cursor(self._connection)) as cursor:
            return [row for values in parameters for row in cursor.execute(operation, values)]

    async def write(self, operation: str, parameters: Sequence[Sequence[Any]]) -> None:
        await self._process.step(operation)
        with closing(sqlite3.Connection.cursor(self._connection)) as cursor:
            cursor.executemany(operation, parameters)

    async def commit(self) -> None:
        await self._process.step("COMMIT")
        self._connection.finish()
        await self._process.step("committed")


class Template:
    """The migrated, empty database of one service, made once for each worker and copied for each run.

    All runs share its dialect and its compiled statements.
    """

    def __init__(self, package: str) -> None:
        self.path = scratch() / f"{package}.db"
        asyncio.run(self._make(package))

    def copy(self, path: Path) -> None:
        shutil.copyfile(self.path, path)

    def engine(self, path: Path, process: Process, on_commit: Callable[[], None]) -> AsyncEngine:
        def connect() -> SimulatedConnection:
            process.database_step("connect")
            connection = open_file(path, SimulatedConnection)
            connection.process, connection.on_commit = process, on_commit
            process.connections[connection] = None
            return connection

        pool = AsyncAdaptedQueuePool(connect, pool_size=5, max_overflow=-1, dialect=self._dialect)
        engine = sa.Engine(pool, self._dialect, self._url)
        engine._compiled_cache = self._compiled
        return AsyncEngine(engine)

    async def _make(self, package: str) -> None:
        database = Database(f"sqlite:///{self.path}", clock=SystemClock())
        await migrate(database, package)
        async with database.engine.connect() as connection:
            await connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        engine = database.engine.sync_engine
        self._dialect, self._url, self._compiled = engine.dialect, engine.url, engine._compiled_cache
        await database.aclose()


class SimulatedDatabase(Database):
    """`Database` over an engine that is made here instead of by URL."""

    def __init__(self, engine: AsyncEngine, clock: Clock) -> None:
        self.dialect = "sqlite"
        self.engine = self._connections = engine
        self._clock = clock
        self._writer = asyncio.Lock()


def open_file(path: Path, factory: type[Any] = sqlite3.Connection) -> Any:
    """A connection as `comanda.common.sqlite` opens it, save `synchronous`: processes crash here, machines do not."""
    connection = sqlite3.connect(path, isolation_level=None, timeout=0, cached_statements=256, factory=factory)
    cursor = sqlite3.Connection.cursor(connection)
    for pragma in ("synchronous=OFF", "foreign_keys=ON", "busy_timeout=0", "temp_store=MEMORY"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
    return connection


@cache
def scratch() -> Path:
    """This process's folder for files, in memory where there is such a place.

    It lies in one that the first process made and removes: a worker may be ended by a signal.
    """
    if _SCRATCH not in os.environ:
        memory = Path("/dev/shm")  # noqa: S108  # the folder below has a name of its own
        shared = tempfile.mkdtemp(prefix="comanda-simulation-", dir=memory if memory.is_dir() else None)
        atexit.register(shutil.rmtree, shared, ignore_errors=True)
        os.environ[_SCRATCH] = shared
    return Path(tempfile.mkdtemp(dir=os.environ[_SCRATCH]))
