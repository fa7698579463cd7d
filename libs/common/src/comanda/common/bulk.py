"""Many rows written, or found by their keys, by one statement.

PostgreSQL gets a statement whose text does not depend on how many rows there are, with one array for each column: it is
prepared once and executed once, where a row at a time costs both sides several times as much. SQLite has no arrays and
no network to save: there the statement is executed for each row.

Source: PostgreSQL's manual, §9.19, `unnest` of several arrays.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from comanda.common.database import Database, padded

Row = Mapping[str, Any]
"""A value for each column that is written, by its name."""


class BulkInsert:
    """Inserts rows.

    Args:
        names: the columns that are written; all others keep their defaults.
        returning: the columns of the rows that were inserted; a row whose key exists already is left out. None: such a
            row is an error.
    """

    def __init__(
        self, database: Database, table: sa.Table, names: Sequence[str], *, returning: Sequence[str] | None = None
    ) -> None:
        self._in_arrays = database.dialect == "postgresql"
        self._names = names
        columns = [table.c[name] for name in names]
        if self._in_arrays:
            rows = _arrays(columns)
            insert = database.insert(table).from_select(list(names), sa.select(*rows.c))
        else:
            insert = database.insert(table).values({name: sa.bindparam(_new(name)) for name in names})
        self._statement: sa.Executable = insert
        if returning is not None:
            self._statement = insert.on_conflict_do_nothing().returning(*(table.c[name] for name in returning))

    async def execute(self, connection: AsyncConnection, rows: Sequence[Row]) -> Sequence[sa.Row[Any]]:
        """Inserts them in that order; returns what `returning` names."""
        if not rows:
            return ()
        result = await connection.execute(self._statement, _parameters(rows, self._names, self._in_arrays))
        return result.all() if result.returns_rows else ()


class BulkUpdate:
    """Changes rows that are found by their key.

    Args:
        key: the columns by which a row is found.
        names: the columns that are written.
    """

    def __init__(self, database: Database, table: sa.Table, key: Sequence[str], names: Sequence[str]) -> None:
        self._in_arrays = database.dialect == "postgresql"
        self._names = (*key, *names)
        if self._in_arrays:
            rows = _arrays([table.c[name] for name in self._names])
            self._statement = (
                sa.update(table)
                .where(*(table.c[name] == rows.c[name] for name in key))
                .values({name: rows.c[name] for name in names})
            )
        else:
            self._statement = (
                sa.update(table)
                .where(*(table.c[name] == sa.bindparam(_new(name)) for name in key))
                .values({name: sa.bindparam(_new(name)) for name in names})
            )

    async def execute(self, connection: AsyncConnection, rows: Sequence[Row]) -> None:
        """Changes them; no two may have one key."""
        if rows:
            await connection.execute(self._statement, _parameters(rows, self._names, self._in_arrays))


class BulkRead:
    """Reads the rows that have one of many keys.

    Args:
        key: the columns by which a row is found.
    """

    def __init__(self, database: Database, table: sa.Table, key: Sequence[str]) -> None:
        self._in_arrays = database.dialect == "postgresql"
        self._key = key
        columns = [table.c[name] for name in key]
        if self._in_arrays:
            rows = _arrays(columns)
            self._statement = sa.select(table).join(rows, sa.and_(*(table.c[name] == rows.c[name] for name in key)))
        else:
            self._statement = sa.select(table).where(sa.tuple_(*columns).in_(sa.bindparam("keys", expanding=True)))

    async def execute(self, connection: AsyncConnection, keys: Sequence[Row]) -> Sequence[sa.RowMapping]:
        """The rows of those keys, in no order; no two keys may be one."""
        if not keys:
            return ()
        parameters = (
            _parameters(keys, self._key, in_arrays=True)
            if self._in_arrays
            else {"keys": padded([tuple(key[name] for name in self._key) for key in keys])}
        )
        return (await connection.execute(self._statement, parameters)).mappings().all()


def _arrays(columns: Sequence[sa.Column[Any]]) -> sa.TableValuedAlias:
    """The rows that an array for each column stands for."""
    arrays = [sa.bindparam(_new(column.name), type_=ARRAY(column.type, dimensions=1)) for column in columns]
    named = [sa.column(column.name, column.type) for column in columns]
    return sa.func.unnest(*arrays).table_valued(*named).render_derived(name="new")


def _new(name: str) -> str:
    """The parameter for a column; SQLAlchemy keeps the column's own name to itself."""
    return f"new_{name}"


def _parameters(rows: Sequence[Row], names: Sequence[str], in_arrays: bool) -> Any:
    if in_arrays:
        return {_new(name): [row[name] for row in rows] for name in names}
    return [{_new(name): row[name] for name in names} for row in rows]
