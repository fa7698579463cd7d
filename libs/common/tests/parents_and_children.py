"""Two tables for the tests of databases."""

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from comanda.common.clock import SystemClock
from comanda.common.database import Database
from comanda.common.moments import UtcDateTime

metadata = sa.MetaData()
parents = sa.Table("parents", metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("at", UtcDateTime))
children = sa.Table("children", metadata, sa.Column("parent", sa.ForeignKey("parents.id"), primary_key=True))
NOON = datetime(2026, 7, 1, 12, 0, 0, 123456, tzinfo=UTC)


async def made(url: str, **options: Any) -> Database:
    database = Database(url, clock=SystemClock(), **options)
    async with database.transaction() as connection:
        await connection.run_sync(metadata.create_all)
    return database


async def count(database: Database) -> int:
    async with database.read() as connection:
        return int((await connection.execute(sa.select(sa.func.count()).select_from(parents))).scalar_one())


async def add(database: Database, number: int = 1) -> None:
    async with database.transaction() as connection:
        await connection.execute(sa.insert(parents).values(id=number))
