"""Schema migrations with Alembic, safe when several replicas start at once.

Each service keeps `migrations/env.py` (one call of `run`) and `migrations/versions/`. Expand/contract: the release
before the newest still works on the newest schema, so a schema that is ahead of the code counts as migrated.
"""

from typing import Any

import sqlalchemy as sa
from alembic import command, context
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.ext.asyncio import AsyncConnection

from comanda.common.clock import SystemClock
from comanda.common.database import Database


async def migrate(database: Database, package: str) -> None:
    """Brings the schema of `package` (for example `comanda.pedidos`) to its newest revision.

    All of it is one transaction under a lock, so of several processes that start at once one migrates and the others
    wait and find nothing to do; a crash half-way leaves the schema as it was.
    """
    async with database.migration() as connection:
        if database.dialect == "postgresql":
            await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtext(package))))
        if not await _is_current(connection, package):
            await connection.run_sync(_upgrade, package)


async def migrate_at(url: str, package: str) -> None:
    """The same for the database at that URL, without a service.

    Raises:
        DatabaseUnavailable: it does not answer.
    """
    database = Database(url, clock=SystemClock())
    try:
        await migrate(database, package)
    finally:
        await database.aclose()


async def is_migrated(database: Database, package: str) -> bool:
    """Whether the schema is at least as new as this code."""
    async with database.read() as connection:
        return await _is_current(connection, package)


def revisions(package: str) -> set[str]:
    """The revisions of its schema that this code knows."""
    return {script.revision for script in ScriptDirectory.from_config(_config(package)).walk_revisions()}


def run(metadata: sa.MetaData) -> None:
    """The whole of a service's `env.py`: runs the revisions on the connection that `migrate` opened."""
    context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
    with context.begin_transaction():
        context.run_migrations()


def create_table(operations: Any, table: sa.Table) -> None:
    """What a revision does for a table that several services have; `operations` is `alembic.op`."""
    operations.create_table(table.name, *(column._copy() for column in table.columns))
    for index in table.indexes:
        operations.create_index(index.name, table.name, [column.name for column in index.columns])


def _config(package: str) -> Config:
    config = Config()
    config.set_main_option("script_location", f"{package}:migrations")
    config.set_main_option("path_separator", "os")
    return config


def _upgrade(connection: sa.Connection, package: str) -> None:
    config = _config(package)
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


async def _is_current(connection: AsyncConnection, package: str) -> bool:
    revision = await connection.run_sync(lambda sync: MigrationContext.configure(sync).get_current_revision())
    scripts = ScriptDirectory.from_config(_config(package))
    return revision == scripts.get_current_head() or (revision is not None and revision not in revisions(package))
