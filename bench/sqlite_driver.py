"""CPU per operation of SQLite in the event loop (`comanda.common.sqlite`) against aiosqlite's thread.

    .venv/bin/python bench/sqlite_driver.py

Both run the same SQLAlchemy Core statements on a file in WAL mode with synchronous=FULL. CPU time counts all threads of
the process; the two drivers take turns, so that other load of the machine touches both alike.
"""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from comanda.common.sqlite import creator

ROUNDS, OPERATIONS = 9, 400
metadata = sa.MetaData()
rows = sa.Table("rows", metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("value", sa.Integer))


async def read(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        await connection.execute(sa.select(rows).where(rows.c.id == 1))


async def commit(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        await connection.execute(sa.update(rows).where(rows.c.id == 1).values(value=rows.c.value + 1))
        await connection.execute(sa.update(rows).where(rows.c.id == 2).values(value=rows.c.value + 1))
        await connection.commit()


async def microseconds(operation: Callable[[AsyncEngine], Awaitable[None]], engine: AsyncEngine) -> float:
    started = time.process_time()
    for _ in range(OPERATIONS):
        await operation(engine)
    return (time.process_time() - started) / OPERATIONS * 1e6


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        engines = {
            "in the loop": create_async_engine(
                "sqlite+aiosqlite:///x", connect_args={"async_creator_fn": creator(str(Path(folder) / "loop.db"))}
            ),
            "aiosqlite": create_async_engine(f"sqlite+aiosqlite:///{folder}/thread.db"),
        }

        @sa.event.listens_for(engines["aiosqlite"].sync_engine, "connect")
        def _pragmas(connection: sa.engine.interfaces.DBAPIConnection, _: object) -> None:
            for pragma in ("journal_mode=WAL", "synchronous=FULL"):
                connection.cursor().execute(f"PRAGMA {pragma}")

        @sa.event.listens_for(engines["in the loop"].sync_engine, "begin")
        def _begin(connection: sa.Connection) -> None:
            connection.exec_driver_sql("BEGIN")  # as database.py does; aiosqlite's sqlite3 begins by itself

        for engine in engines.values():
            async with engine.begin() as connection:
                await connection.run_sync(metadata.create_all)
                await connection.execute(sa.insert(rows), [{"id": 1, "value": 0}, {"id": 2, "value": 0}])
        print("| operation | in the loop, µs | aiosqlite, µs | ratio |\n|---|---|---|---|")
        for name, operation in (("read", read), ("commit of two updates", commit)):
            measured: dict[str, list[float]] = {driver: [] for driver in engines}
            for _ in range(ROUNDS):
                for driver, engine in engines.items():
                    measured[driver].append(await microseconds(operation, engine))
            loop, thread = (statistics.median(values) for values in measured.values())
            print(f"| {name} | {loop:.0f} | {thread:.0f} | {thread / loop:.1f} |")
        for engine in engines.values():
            await engine.dispose()


if __name__ == "__main__":
    asyncio.run(main())
