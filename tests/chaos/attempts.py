"""What the replicas of pedidos try to write to their orders, seen from inside PostgreSQL: refused attempts, too."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import asyncpg

INSTALL = """
CREATE TABLE attempts (number bigint GENERATED ALWAYS AS IDENTITY, statement text NOT NULL, rows integer NOT NULL);
CREATE FUNCTION attempted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO attempts (statement, rows) VALUES (current_query(), (SELECT count(*) FROM written));
    RETURN NULL;
END $$;
CREATE TRIGGER attempted AFTER UPDATE ON pedidos REFERENCING NEW TABLE AS written
    FOR EACH STATEMENT EXECUTE FUNCTION attempted();
"""
"""A trigger for each statement runs also for one that has found no row to write."""


@dataclass(frozen=True)
class Attempt:
    """An UPDATE of orders, and how many rows it has written."""

    statement: str
    rows: int

    @property
    def under_a_lease(self) -> bool:
        """Whether it was to write only while its worker had the lease, instead of taking one."""
        return "lease = $" in self.statement.partition("WHERE")[2]

    @property
    def of_a_phase(self) -> bool:
        """Whether it would have moved the order on, rather than put it off."""
        return "fase=$" in self.statement.partition("WHERE")[0]


class Attempts:
    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection

    async def since(self, number: int) -> list[Attempt]:
        """Those after that many."""
        rows = await self._connection.fetch("SELECT * FROM attempts WHERE number > $1 ORDER BY number", number)
        return [Attempt(row["statement"], row["rows"]) for row in rows]

    async def count(self) -> int:
        """How many there have been."""
        return int(await self._connection.fetchval("SELECT coalesce(max(number), 0) FROM attempts"))


@asynccontextmanager
async def attempts(database: str) -> AsyncIterator[Attempts]:
    """Args: database: the URL of the one that pedidos uses; its tables exist."""
    connection = await asyncpg.connect(database)
    try:
        await connection.execute(INSTALL)
        yield Attempts(connection)
    finally:
        await connection.close()
