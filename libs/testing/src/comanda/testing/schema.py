"""Whether the migrations of a service lead to the schema that its `tables.py` describes."""

from collections.abc import Collection
from typing import Any

import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from comanda.common.clock import SystemClock
from comanda.common.database import Database


async def schema_differences(url: str, metadata: sa.MetaData, *, ignore: Collection[str] = ()) -> list[Any]:
    """What Alembic would have to change in that database to reach the metadata: `[]` when they agree.

    Args:
        ignore: names of tables and indexes that only the migrations know, because one dialect alone has them.
    """
    database = Database(url, clock=SystemClock())

    def compare(connection: sa.Connection) -> list[Any]:
        def include(_item: Any, name: str | None, kind: str, reflected: bool, _compared_to: Any) -> bool:
            return not (reflected and kind in ("table", "index") and name in ignore)

        options = {"include_object": include, "compare_type": True, "compare_server_default": True}
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))

    try:
        async with database.read() as connection:
            return await connection.run_sync(compare)
    finally:
        await database.aclose()
