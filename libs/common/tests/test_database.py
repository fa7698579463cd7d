"""Transactions, the same on both databases."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone

import pytest
import sqlalchemy as sa
from parents_and_children import NOON, add, children, count, made, parents

from comanda.common.database import Database, DatabaseUnavailable
from comanda.testing import Databases


@pytest.fixture
async def database(databases: Databases) -> AsyncIterator[Database]:
    database = await made(await databases.new())
    yield database
    await database.aclose()


class TestTransaction:
    async def test_commits(self, database: Database) -> None:
        await add(database)
        assert await count(database) == 1

    async def test_rolls_back(self, database: Database) -> None:
        with suppress(KeyError):
            async with database.transaction() as connection:
                await connection.execute(sa.insert(parents).values(id=1))
                raise KeyError
        assert await count(database) == 0

    async def test_rolls_back_when_cancelled(self, database: Database) -> None:
        written = asyncio.Event()

        async def write() -> None:
            async with database.transaction() as connection:
                await connection.execute(sa.insert(parents).values(id=1))
                written.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(write())
        await written.wait()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        assert await count(database) == 0
        await add(database)

    async def test_many_writers_at_once(self, database: Database) -> None:
        await asyncio.gather(*(add(database, number) for number in range(30)))
        assert await count(database) == 30

    async def test_constraint_violation_passes(self, database: Database) -> None:
        await add(database)
        with pytest.raises(sa.exc.IntegrityError):
            await add(database)
        with pytest.raises(sa.exc.IntegrityError):
            async with database.transaction() as connection:
                await connection.execute(sa.insert(children).values(parent=99))

    async def test_nobody_reads_what_is_not_committed(self, database: Database) -> None:
        async with database.transaction() as connection:
            await connection.execute(sa.insert(parents).values(id=1))
            assert await count(database) == 0

    async def test_insert_that_knows_conflicts(self, database: Database) -> None:
        await add(database)
        async with database.transaction() as connection:
            await connection.execute(database.insert(parents).values(id=1).on_conflict_do_nothing())
            update = database.insert(parents).values(id=1, at=NOON)
            await connection.execute(update.on_conflict_do_update(index_elements=["id"], set_={"at": NOON}))
        assert await count(database) == 1

    async def test_a_wrong_statement_is_no_absence(self, database: Database) -> None:
        with pytest.raises((sa.exc.ProgrammingError, DatabaseUnavailable)):
            async with database.transaction() as connection:
                await connection.execute(sa.text("SELECT nothing FROM nowhere"))
        await database.ping()


class TestUtcDateTime:
    @pytest.mark.parametrize(
        "moment",
        [
            NOON,
            NOON.astimezone(timezone(timedelta(hours=-3))),
            datetime(1970, 1, 1, tzinfo=UTC),
            datetime(9999, 12, 31, tzinfo=UTC),
        ],
    )
    async def test_round_trip(self, database: Database, moment: datetime) -> None:
        async with database.transaction() as connection:
            await connection.execute(sa.insert(parents).values(id=1, at=moment))
            read = (await connection.execute(sa.select(parents.c.at))).scalar_one()
            assert (read, read.utcoffset()) == (moment, timedelta())
            found = sa.select(parents.c.id).where(parents.c.at <= moment, parents.c.at >= moment)
            assert (await connection.execute(found)).scalar_one() == 1

    async def test_none(self, database: Database) -> None:
        await add(database)
        async with database.read() as connection:
            assert (await connection.execute(sa.select(parents.c.at))).scalar_one() is None

    async def test_sorts_by_time(self, database: Database) -> None:
        moments = [NOON + timedelta(microseconds=step) for step in (0, 1, 10**6, 999_999, -NOON.microsecond)]
        async with database.transaction() as connection:
            await connection.execute(sa.insert(parents), [{"id": n, "at": at} for n, at in enumerate(moments)])
            read = (await connection.execute(sa.select(parents.c.at).order_by(parents.c.at))).scalars().all()
        assert list(read) == sorted(moments)
