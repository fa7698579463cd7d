"""An async DBAPI over the standard `sqlite3` that runs its statements in the event loop.

SQLAlchemy's aiosqlite dialect hops to a thread for every statement. Statements on a local file take microseconds, so
the hops cost more than the work (ADR 0002 has the figures), and threads make a run irreproducible. This adapter answers
to the same dialect through its `async_creator_fn`. It never waits for a lock (`busy_timeout` 0): the caller retries
asynchronously, see `database.py`.
"""

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any


class LoopCursor:
    """The part of an async DBAPI cursor that SQLAlchemy uses."""

    def __init__(self, cursor: sqlite3.Cursor) -> None:
        self._cursor = cursor

    async def __aenter__(self) -> "LoopCursor":
        return self

    async def execute(self, operation: str, parameters: Sequence[Any] = ()) -> None:
        self._cursor.execute(operation, parameters)

    async def executemany(self, operation: str, parameters: Sequence[Sequence[Any]]) -> None:
        self._cursor.executemany(operation, parameters)

    async def fetchone(self) -> Any:
        return self._cursor.fetchone()

    async def fetchmany(self, size: int | None = None) -> list[Any]:
        return self._cursor.fetchmany(size or self._cursor.arraysize)

    async def fetchall(self) -> list[Any]:
        return self._cursor.fetchall()

    async def close(self) -> None:
        self._cursor.close()

    @property
    def description(self) -> Any:
        return self._cursor.description

    @property
    def rowcount(self) -> int:
        return self._cursor.rowcount

    @property
    def lastrowid(self) -> int | None:
        return self._cursor.lastrowid

    @property
    def arraysize(self) -> int:
        return self._cursor.arraysize

    @arraysize.setter
    def arraysize(self, value: int) -> None:
        self._cursor.arraysize = value


class LoopConnection:
    """What SQLAlchemy's aiosqlite dialect uses of an async DBAPI connection, and what `statements.py` sends."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def cursor(self) -> LoopCursor:
        return LoopCursor(self._connection.cursor())

    async def execute(self, operation: str) -> None:
        self._connection.execute(operation)

    async def fetch(self, operation: str, parameters: Sequence[Sequence[Any]]) -> list[Any]:
        """Executes it for each set of parameters; the rows of all."""
        cursor = self._connection.cursor()
        return [row for values in parameters for row in cursor.execute(operation, values)]

    async def write(self, operation: str, parameters: Sequence[Sequence[Any]]) -> None:
        """The same for a statement that returns nothing."""
        self._connection.executemany(operation, parameters)

    async def commit(self) -> None:
        self._connection.commit()

    async def rollback(self) -> None:
        self._connection.rollback()

    async def close(self) -> None:
        self._connection.close()

    def stop(self) -> None:
        self._connection.close()

    async def create_function(self, name: str, arguments: int, function: Callable[..., Any], **options: Any) -> None:
        self._connection.create_function(name, arguments, function, **options)

    @property
    def isolation_level(self) -> str | None:
        return self._connection.isolation_level


def creator(path: str) -> Callable[..., Any]:
    """An `async_creator_fn` that opens that file durably: WAL, every commit synced, foreign keys enforced."""

    async def connect(*_: Any, **__: Any) -> LoopConnection:
        Path(path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        connection = sqlite3.connect(path, isolation_level=None, timeout=0, cached_statements=256)
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            "busy_timeout=0",
            "temp_store=MEMORY",
        ):
            connection.execute(f"PRAGMA {pragma}")
        return LoopConnection(connection)

    return connect
