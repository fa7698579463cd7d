"""How a database answers what it is asked: by which index, and with how much work, among few rows and among many.

The statements are those that the code under test executes, with their parameters, so no test drifts from the code.
"""

import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from unittest.mock import patch
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from comanda.common.clock import SystemClock
from comanda.common.database import Database
from comanda.common.sqlite import LoopConnection
from comanda.common.statements import Row, Statement
from comanda.testing import START
from comanda.testing.filling import FEW, INTERVAL_MILLISECONDS, MANY, START_MILLISECONDS

GROWTH = 1.3
"""So much more work may an answer cost among `MANY` rows than among `FEW` …"""

LEVELS = 2
"""… besides the levels by which an index over a hundred times as many rows is deeper."""


@dataclass(frozen=True, slots=True)
class Scale:
    """A filled database, and the connection on which to ask it; nothing that is written there stays."""

    database: Database
    connection: AsyncConnection
    rows: int

    def moment(self, fraction: float) -> datetime:
        """When that part of the rows had been made: 0.5 is when there were half of them."""
        return START - timedelta(milliseconds=round(self.rows * (1 - fraction)) * INTERVAL_MILLISECONDS)

    def uuid7(self, number: int) -> UUID:
        """The id of the row of that number."""
        milliseconds = START_MILLISECONDS - (self.rows - number) * INTERVAL_MILLISECONDS
        return UUID(hex=f"{milliseconds:012x}70008{number:015x}")


@dataclass(frozen=True, slots=True)
class Plan:
    """How one statement is executed: the indexes it goes by, the tables it reads whole, those whose rows it sorts."""

    statement: str
    text: str
    indexes: frozenset[str]
    read_whole: frozenset[str]
    sorted: frozenset[str]


@dataclass(frozen=True, slots=True)
class Asked:
    """The answer among many rows, the plans of the statements that it took, and their work."""

    answer: Any
    plans: tuple[Plan, ...]
    work_among_few: int
    work_among_many: int

    def assert_by(self, *indexes: str, sorts: Collection[str] = (), lookups: int = 1) -> None:
        """Fails unless these indexes answered, and as fast as among few rows.

        Args:
            sorts: tables of which it may sort what it found, because that is little however many rows they have.
            lookups: how often it looks something up in an index.
        """
        described = "\n\n".join(f"{plan.statement}\n{plan.text}" for plan in self.plans)
        assert set(indexes) <= frozenset().union(*(plan.indexes for plan in self.plans)), described
        assert not any(plan.read_whole for plan in self.plans), described
        assert frozenset().union(*(plan.sorted for plan in self.plans)) <= set(sorts), described
        most = GROWTH * self.work_among_few + LEVELS * lookups
        assert self.work_among_many <= most, f"{self.work_among_few} → {self.work_among_many}\n{described}"


Question = Callable[[Scale], Awaitable[Any]]


class _NothingStays(Exception):
    """Ends a transaction that only asked."""


class Watched:
    """A database that is watched as it answers.

    Args:
        rows: how many there are of each kind; passed on to who asks.
    """

    def __init__(self, database: Database, rows: int) -> None:
        self.database = database
        self._rows = rows
        self._explain = _explain_sqlite if database.dialect == "sqlite" else _explain_postgresql
        self._statements: list[tuple[str, Any]] = []
        sa.event.listen(database.engine.sync_engine, "before_cursor_execute", self._remember)

    async def ask(self, question: Question) -> tuple[Any, tuple[Plan, ...], int]:
        """The answer, the plans of the statements that it took, and their work."""
        # On PostgreSQL what only reads has no transaction, and this needs one.
        opened = self.database.read if self.database.dialect == "sqlite" else self.database.transaction
        with suppress(_NothingStays):
            async with opened() as connection:
                savepoint = await connection.begin_nested()
                self._statements.clear()
                with patch.object(Statement, "execute", self._remembering(Statement.execute)):
                    answer = await question(Scale(self.database, connection, self._rows))
                asked = tuple(self._statements)
                await savepoint.rollback()  # so that each statement finds again what it found
                explained = [await self._explain(connection, *statement) for statement in asked]
                raise _NothingStays
        return answer, tuple(plan for plan, _ in explained), sum(work for _, work in explained)

    def _remembering(self, execute: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def remembered(statement: Statement, connection: AsyncConnection, *parameters: Row) -> Any:
            self._statements.append((statement.text, tuple(statement.bound(parameters[0]))))
            return await execute(statement, connection, *parameters)

        return remembered

    def _remember(self, _con: Any, _cur: Any, statement: str, parameters: Any, _ctx: Any, many: bool) -> None:
        self._statements.append((statement, parameters[0] if many else parameters))


class Scales:
    """The same schema twice: with few rows and with many."""

    def __init__(self, few: Database, many: Database) -> None:
        self._few = Watched(few, FEW)
        self._many = Watched(many, MANY)

    async def ask(self, question: Question) -> Asked:
        _, _, work_among_few = await self._few.ask(question)
        answer, plans, work_among_many = await self._many.ask(question)
        return Asked(answer, plans, work_among_few, work_among_many)


@asynccontextmanager
async def scales(few: str, many: str) -> AsyncIterator[Scales]:
    """Args: few, many: URLs of filled databases."""
    async with AsyncExitStack() as stack:
        opened = [Database(url, clock=SystemClock()) for url in (few, many)]
        for database in opened:
            stack.push_async_callback(database.aclose)
        yield Scales(*opened)


async def _explain_sqlite(connection: AsyncConnection, statement: str, parameters: Any) -> tuple[Plan, int]:
    """The work is counted in instructions of SQLite's virtual machine."""
    rows = (await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)).all()
    text = "\n".join(str(row[-1]) for row in rows)
    text = re.sub(r"sqlite_autoindex_(\w+)_1\b", r"\1_pkey", text)  # the name that PostgreSQL gives it
    indexes = re.findall(r"USING (?:COVERING )?INDEX (\w+)", text)
    read_whole = set(re.findall(r"^SCAN (\w+)$", text, re.MULTILINE))
    read_whole -= set(re.findall(r"^(?:CO-ROUTINE|MATERIALIZE) (\w+)$", text, re.MULTILINE))
    read = re.findall(r"^(?:SCAN|SEARCH) (\w+)", text, re.MULTILINE) if "TEMP B-TREE" in text else ()
    plan = Plan(statement, text, frozenset(indexes), frozenset(read_whole), frozenset(read))
    steps = 0

    def step() -> int:
        nonlocal steps
        steps += 1
        return 0

    driver = (await connection.get_raw_connection()).driver_connection
    assert isinstance(driver, LoopConnection)
    driver._connection.set_progress_handler(step, 1)
    await connection.exec_driver_sql(statement, parameters)
    driver._connection.set_progress_handler(None, 1)
    return plan, steps


async def _explain_postgresql(connection: AsyncConnection, statement: str, parameters: Any) -> tuple[Plan, int]:
    """The work is counted in blocks."""
    explained = await connection.exec_driver_sql(
        f"EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) {statement}", parameters
    )
    found = explained.scalar_one()
    root = (json.loads(found) if isinstance(found, str) else found)[0]["Plan"]
    nodes = list(_nodes(root))
    plan = Plan(
        statement,
        "\n".join(_described(root)),
        frozenset(node["Index Name"] for node in nodes if "Index Name" in node),
        frozenset(node["Relation Name"] for node in nodes if node["Node Type"] == "Seq Scan"),
        frozenset(name for node in nodes if node["Node Type"].endswith("Sort") for name in _tables(node)),
    )
    return plan, root["Shared Hit Blocks"] + root["Shared Read Blocks"]


def _nodes(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield node
    for child in node.get("Plans", ()):
        yield from _nodes(child)


def _described(node: Mapping[str, Any], depth: int = 0) -> Iterator[str]:
    said = [str(node[name]) for name in ("Node Type", "Relation Name", "Index Name") if name in node]
    said += [f"{name}: {node[name]}" for name in ("Index Cond", "Filter", "Rows Removed by Filter") if name in node]
    yield "  " * depth + ", ".join([*said, f"{node['Shared Hit Blocks'] + node['Shared Read Blocks']} blocks"])
    for child in node.get("Plans", ()):
        yield from _described(child, depth + 1)


def _tables(node: Mapping[str, Any]) -> Iterator[str]:
    return (child["Relation Name"] for child in _nodes(node) if "Relation Name" in child)
