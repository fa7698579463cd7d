"""Databases with few rows and with many, filled by one statement for each table."""

import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from uuid import UUID

from comanda.common.clock import SystemClock
from comanda.common.database import Database
from comanda.testing import START, Databases

FEW, MANY = 10_000, 1_000_000
START_MILLISECONDS = int(START.timestamp() * 1000)
INTERVAL_MILLISECONDS = 60_000
"""Between two rows of a table, the last of which was made at `START`."""

_NUMBERED = "00000000000070008000"


def numbered(number: int) -> UUID:
    """An id for that number."""
    return UUID(hex=f"{_NUMBERED}{number:012x}")


class Filling:
    """Writes SQL that both databases understand, or its own for each. A row's number, from 1 to `rows`, is `i`."""

    def __init__(self, dialect: str, rows: int) -> None:
        self.rows = rows
        self._dialect = dialect

    def moment_milliseconds(self, i: str = "i") -> str:
        return f"({START_MILLISECONDS} - ({self.rows} - ({i})) * {INTERVAL_MILLISECONDS})"

    def uuid7(self, i: str = "i") -> str:
        """An id made when row `i` was."""
        milliseconds = self.moment_milliseconds(i)
        if self._dialect == "sqlite":
            return f"printf('%012x70008%015x', {milliseconds}, {i})"
        return f"(lpad(to_hex({milliseconds}), 12, '0') || '70008' || lpad(to_hex({i}), 15, '0'))::uuid"

    def numbered(self, number: str) -> str:
        """An id that is always of that number: `numbered`."""
        if self._dialect == "sqlite":
            return f"printf('{_NUMBERED}%012x', {number})"
        return f"('{_NUMBERED}' || lpad(to_hex({number}), 12, '0'))::uuid"

    @property
    def start(self) -> str:
        """`START`, in no column that a test asks for."""
        return f"'{START:%Y-%m-%d %H:%M:%S.%f}'" + ("" if self._dialect == "sqlite" else "::timestamptz")

    def moment(self, i: str = "i") -> str:
        """The time at which row `i` was made."""
        if self._dialect == "sqlite":
            return f"strftime('%Y-%m-%d %H:%M:%f000', {self.moment_milliseconds(i)} / 1000.0, 'unixepoch')"
        return f"to_timestamp({self.moment_milliseconds(i)} / 1000.0)"

    def insert(self, table: str, values: Mapping[str, str]) -> str:
        """One statement that fills that table; `values` are the expressions of its columns."""
        into = f"INSERT INTO {table} ({', '.join(values)}) SELECT {', '.join(values.values())}"
        if self._dialect == "sqlite":
            numbers = f"n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n LIMIT {self.rows})"  # noqa: S608
            return f"WITH RECURSIVE {numbers} {into} FROM n"
        return f"{into} FROM generate_series(1::bigint, {self.rows}) AS n(i)"


Fill = Callable[[Filling], Mapping[str, Mapping[str, str]]]
"""Gives the expressions of each table's columns."""


@asynccontextmanager
async def filled(databases: Databases, package: str, fill: Fill) -> AsyncIterator[tuple[str, str]]:
    """URLs of databases of that package with few rows and with many, there until the block ends."""
    urls = []
    try:
        for rows in (FEW, MANY):
            urls.append(await databases.new(package, keep=True))
            filling = Filling(databases.dialect, rows)
            statements = {table: filling.insert(table, values) for table, values in fill(filling).items()}
            await _FILL[databases.dialect](urls[-1], statements)
        yield urls[0], urls[1]
    finally:
        await databases.drop(urls)


async def _fill_sqlite(url: str, statements: Mapping[str, str]) -> None:
    """Leaves it without statistics, as the services do. Indexes are made afterwards, which is faster."""
    connection = sqlite3.connect(url.removeprefix("sqlite:///"))
    for setting in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-200000"):
        connection.execute(f"PRAGMA {setting}")
    indexes = dict(connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"))
    for statement in (*(f"DROP INDEX {name}" for name in indexes), *statements.values(), *indexes.values()):
        connection.execute(statement)
    connection.commit()
    connection.close()


async def _fill_postgresql(url: str, statements: Mapping[str, str]) -> None:
    """With statistics, which the server gathers by itself where it runs for long."""
    database = Database(url, clock=SystemClock())
    async with database.migration() as connection:
        indexes = {
            row["indexname"]: row["indexdef"]
            for row in (await connection.exec_driver_sql(_POSTGRESQL_INDEXES)).mappings()
        }
        for statement in (
            *(f"ALTER TABLE {table} SET UNLOGGED, SET (autovacuum_enabled = off)" for table in statements),
            *(f"DROP INDEX {name}" for name in indexes),
            *statements.values(),
            *indexes.values(),
            "ANALYZE",
        ):
            await connection.exec_driver_sql(statement)
    await database.aclose()


_POSTGRESQL_INDEXES = """
SELECT indexname, indexdef FROM pg_indexes
WHERE schemaname = 'public' AND indexname NOT IN (SELECT conname FROM pg_constraint) AND tablename <> 'alembic_version'
"""
_FILL = {"sqlite": _fill_sqlite, "postgresql": _fill_postgresql}
