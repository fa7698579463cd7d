"""Many rows by one statement, the same on both databases."""

from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from comanda.common.bulk import BulkInsert, BulkRead, BulkTogether, BulkUpdate
from comanda.common.database import Database
from comanda.common.moments import UtcDateTime
from comanda.common.statements import Statement
from comanda.testing import START, Databases, FakeClock

metadata = sa.MetaData()
things = sa.Table(
    "things",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("place", sa.String(20), primary_key=True),
    sa.Column("amount", sa.BigInteger, nullable=False),
    sa.Column("at", UtcDateTime),
    sa.Column("document", sa.JSON),
    sa.Column("note", sa.Text, default="-"),
)
notes = sa.Table(
    "notes", metadata, sa.Column("id", sa.Uuid, primary_key=True), sa.Column("amount", sa.BigInteger, nullable=False)
)
NAMES = ("id", "place", "amount", "at", "document")


def row(number: int, **changes: Any) -> dict[str, Any]:
    values = {"id": UUID(int=number), "place": "a", "amount": number, "at": START, "document": None}
    return values | changes


@pytest.fixture
async def database(databases: Databases, clock: FakeClock) -> AsyncIterator[Database]:
    database = Database(await databases.new(), clock=clock)
    async with database.transaction() as connection:
        await connection.run_sync(metadata.create_all)
    yield database
    await database.aclose()


async def insert(database: Database, *rows: dict[str, Any], returning: list[str] | None = None) -> list[Any]:
    statement = BulkInsert(database, things, NAMES, returning=returning)
    async with database.transaction() as connection:
        return list(await statement.execute(connection, rows))


async def stored(database: Database) -> list[Any]:
    async with database.read() as connection:
        return list(await connection.execute(sa.select(*(things.c[name] for name in NAMES)).order_by(things.c.id)))


class TestInsert:
    @pytest.mark.parametrize("count", [0, 1, 2, 5, 200])
    async def test_as_many_as_there_are(self, database: Database, count: int) -> None:
        await insert(database, *(row(number) for number in range(count)))
        assert [amount for _, _, amount, _, _ in await stored(database)] == list(range(count))

    async def test_every_kind_of_value_comes_back_as_it_went(self, database: Database) -> None:
        values = [
            row(1, document=[{"sku": "ñ", "precio": 5}, [1, [2]]], at=None, place="'; --"),
            row(2, document={"a": None}, at=START + timedelta(microseconds=1), amount=2**40),
            row(3, document=None, place='«»{},"\\'),
        ]
        await insert(database, *values)
        assert [dict(zip(NAMES, found, strict=True)) for found in await stored(database)] == values

    async def test_a_known_key_is_an_error(self, database: Database) -> None:
        await insert(database, row(1))
        with pytest.raises(IntegrityError):
            await insert(database, row(2), row(1))
        assert len(await stored(database)) == 1

    async def test_or_left_out_when_what_is_new_is_asked_for(self, database: Database) -> None:
        await insert(database, row(1, amount=10))
        new = await insert(database, row(1, amount=99), row(2), row(3), returning=["id", "place"])
        assert sorted(tuple(one.values()) for one in new) == [(UUID(int=2), "a"), (UUID(int=3), "a")]
        assert [amount for _, _, amount, _, _ in await stored(database)] == [10, 2, 3]

    async def test_none_and_none_asked_for(self, database: Database) -> None:
        assert await insert(database, returning=["id"]) == []


class TestUpdate:
    async def test_each_by_its_key_and_no_other(self, database: Database) -> None:
        await insert(database, row(1), row(1, place="b"), row(2), row(3))
        update = BulkUpdate(database, things, ["id", "place"], ["amount", "document"])
        changes = [row(1, place="b", amount=100, document={"x": [1]}), row(3, amount=300, document=[]), row(9)]
        async with database.transaction() as connection:
            await update.execute(connection, changes)
            await update.execute(connection, [])
        assert {(found.id.int, found.place): (found.amount, found.document) for found in await stored(database)} == {
            (1, "a"): (1, None),
            (1, "b"): (100, {"x": [1]}),
            (2, "a"): (2, None),
            (3, "a"): (300, []),
        }

    async def test_to_nothing(self, database: Database) -> None:
        await insert(database, row(1))
        async with database.transaction() as connection:
            await BulkUpdate(database, things, ["id"], ["at"]).execute(connection, [row(1, at=None)])
        assert [found.at for found in await stored(database)] == [None]


class TestRead:
    @pytest.mark.parametrize("wanted", [[], [1], [1, 2, 3], [7]])
    async def test_those_that_exist(self, database: Database, wanted: list[int]) -> None:
        await insert(database, *(row(number) for number in range(5)), row(1, place="b"))
        read = BulkRead(database, things, ["id", "place"])
        async with database.read() as connection:
            found = await read.execute(connection, [{"id": UUID(int=number), "place": "a"} for number in wanted])
        assert sorted((one["id"].int, one["place"]) for one in found) == [(n, "a") for n in wanted if n < 5]


class TestTogether:
    """One update and one insert, in columns of the same names."""

    @pytest.fixture
    def together(self, database: Database) -> BulkTogether:
        return BulkTogether(
            database, BulkUpdate(database, things, ["id"], ["amount"]), BulkInsert(database, notes, ["id", "amount"])
        )

    @staticmethod
    async def noted(database: Database) -> list[tuple[int, int]]:
        async with database.read() as connection:
            return [(found.id.int, found.amount) for found in await connection.execute(sa.select(notes))]

    @pytest.mark.parametrize(("updates", "inserts"), [([1, 3], [1, 2, 3]), ([], [2]), ([2], []), ([], [])])
    async def test_each_its_own_rows(
        self, database: Database, together: BulkTogether, updates: list[int], inserts: list[int]
    ) -> None:
        await insert(database, row(1), row(2), row(3))
        async with database.transaction() as connection:
            changes = [row(number, amount=number * 100) for number in updates]
            await together.execute(connection, changes, [row(number) for number in inserts])
        assert [amount for _, _, amount, _, _ in await stored(database)] == [
            number * 100 if number in updates else number for number in (1, 2, 3)
        ]
        assert await self.noted(database) == [(number, number) for number in inserts]

    async def test_all_or_nothing(self, database: Database, together: BulkTogether) -> None:
        await insert(database, row(1))
        with pytest.raises(IntegrityError):
            await self.write(database, together, [row(1, amount=100)], [row(5), row(5)])
        assert [amount for _, _, amount, _, _ in await stored(database)] == [1]
        assert await self.noted(database) == []

    @staticmethod
    async def write(database: Database, together: BulkTogether, *rows: list[dict[str, Any]]) -> None:
        async with database.transaction() as connection:
            await together.execute(connection, *rows)

    @pytest.mark.parametrize("databases", ["postgresql"], indirect=True)
    async def test_is_one_statement(
        self, database: Database, together: BulkTogether, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sent: list[str] = []
        execute = Statement.execute

        async def counted(statement: Statement, *arguments: Any) -> Any:
            sent.append(statement.text)
            return await execute(statement, *arguments)

        monkeypatch.setattr(Statement, "execute", counted)
        await self.write(database, together, [row(1), row(2)], [row(1), row(2)])
        assert len(sent) == 1


class TestTooLong:
    async def test_is_never_cut_off(self, database: Database) -> None:
        """PostgreSQL refuses it. SQLite, which knows no lengths, keeps all of it."""
        with suppress(asyncpg.StringDataRightTruncationError):
            await insert(database, row(1, place="b" * 21))
        assert [place for _, place, *_ in await stored(database)] in ([], ["b" * 21])
