"""How long lines of the audit log are kept."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
import sqlalchemy as sa

from comanda.common import audit as module
from comanda.common.audit import Audit, audit_table
from comanda.common.database import Database
from comanda.testing import Databases, FakeClock

DAY = 86_400
TABLE = audit_table(sa.MetaData())


@pytest.fixture
async def database(databases: Databases, clock: FakeClock) -> AsyncIterator[Database]:
    database = Database(await databases.new(), clock=clock)
    async with database.transaction() as connection:
        await connection.run_sync(TABLE.metadata.create_all)
    yield database
    await database.aclose()


async def kept(database: Database) -> list[str]:
    async with database.read() as connection:
        return list((await connection.execute(sa.select(TABLE.c.suceso).order_by(TABLE.c.id))).scalars())


async def fill(audit: Audit, clock: FakeClock) -> None:
    for suceso in ("uno", "dos", "tres", "cuatro"):
        await audit.note(suceso)
        clock.advance(DAY)


class TestSweep:
    async def test_the_oldest_first_so_many_at_once(
        self, database: Database, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "SWEEP_ROWS", 2)
        audit = Audit(TABLE, database, clock)
        await fill(audit, clock)
        before = clock.now() - timedelta(days=1, seconds=1)
        assert await audit.sweep(before) == 2
        assert await kept(database) == ["tres", "cuatro"]
        assert [await audit.sweep(before), await audit.sweep(before)] == [1, 0]
        assert await kept(database) == ["cuatro"]

    async def test_two_replicas_at_once(self, database: Database, clock: FakeClock) -> None:
        audit = Audit(TABLE, database, clock)
        await fill(audit, clock)
        removed = await asyncio.gather(*(audit.sweep(clock.now()) for _ in range(4)))
        assert (sum(removed), await kept(database)) == (4, [])


class TestKeepSwept:
    @pytest.mark.parametrize(("days", "left"), [(2, ["tres", "cuatro"]), (0, ["uno", "dos", "tres", "cuatro"])])
    async def test_what_is_older(self, database: Database, clock: FakeClock, days: int, left: list[str]) -> None:
        audit = Audit(TABLE, database, clock, retention_days=days)
        await fill(audit, clock)
        loop = asyncio.create_task(audit.keep_swept())
        async with asyncio.timeout(10):
            while not clock._sleepers:  # noqa: ASYNC110  # a loop that has gone to sleep tells nobody
                await asyncio.sleep(0)
        assert await kept(database) == left
        loop.cancel()
