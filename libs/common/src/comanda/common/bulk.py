"""Many rows written, or found by their keys, by one statement.

PostgreSQL gets a statement whose text does not depend on how many rows there are, with one array for each column: it is
prepared once and executed once, where a row at a time costs both sides several times as much. SQLite has no arrays and
no network to save: there the statement is executed for each row.

Source: PostgreSQL's manual, §9.19, `unnest` of several arrays.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from comanda.common.database import Database
from comanda.common.statements import Row, Statement

New = Mapping[str, sa.ColumnElement[Any]]
"""What stands for the values of the rows in a statement, by the names of their columns."""


class _Bulk:
    """What those below have in common: a statement about rows, of which they give the named columns."""

    _statement: Statement

    def __init__(self, database: Database, table: sa.Table, names: Iterable[str]) -> None:
        self._names = tuple(names)
        self._in_arrays = database.dialect == "postgresql"
        self._parameter = {name: f"{table.name}_{name}" for name in self._names}
        columns = {parameter: table.c[name] for name, parameter in self._parameter.items()}
        self._new: New = _arrays(columns) if self._in_arrays else _parameters(columns)

    def parameters(self, rows: Sequence[Row]) -> list[Row]:
        """Those for each execution of the statement: one for all rows, or one for each."""
        if self._in_arrays:
            return [{parameter: [row[name] for row in rows] for name, parameter in self._parameter.items()}]
        return [{parameter: row[name] for name, parameter in self._parameter.items()} for row in rows]

    async def _execute(self, connection: AsyncConnection, rows: Sequence[Row]) -> list[dict[str, Any]]:
        return await self._statement.execute(connection, *self.parameters(rows)) if rows else []


class BulkInsert(_Bulk):
    """Inserts rows.

    Args:
        names: the columns that are written; all others keep their defaults.
        returning: the columns of the rows that were inserted; a row whose key exists already is left out. None: such a
            row is an error.
    """

    def __init__(
        self, database: Database, table: sa.Table, names: Sequence[str], *, returning: Sequence[str] | None = None
    ) -> None:
        super().__init__(database, table, names)
        insert = database.insert(table)
        self.written: Any = (
            insert.from_select(list(names), sa.select(*self._new.values()))
            if self._in_arrays
            else insert.values(dict(self._new))
        )
        returned = [table.c[name] for name in returning or ()]
        if returning is not None:
            self.written = self.written.on_conflict_do_nothing().returning(*returned)
        self._statement = Statement(database, self.written, returned)

    async def execute(self, connection: AsyncConnection, rows: Sequence[Row]) -> list[dict[str, Any]]:
        """Inserts them in that order; returns what `returning` names.

        Raises:
            sa.exc.IntegrityError: a constraint is violated.
        """
        return await self._execute(connection, rows)


class BulkUpdate(_Bulk):
    """Changes rows that are found by their key.

    Args:
        key: the columns by which a row is found.
        names: the columns that are written.
    """

    def __init__(self, database: Database, table: sa.Table, key: Sequence[str], names: Sequence[str]) -> None:
        super().__init__(database, table, (*key, *names))
        found = [table.c[name] == self._new[name] for name in key]
        values = {name: self._new[name] for name in names}
        self.written: Any = sa.update(table).where(*found).values(values)
        self._statement = Statement(database, self.written)

    async def execute(self, connection: AsyncConnection, rows: Sequence[Row]) -> None:
        """Changes them; no two may have one key.

        Raises:
            sa.exc.IntegrityError: a constraint is violated.
        """
        await self._execute(connection, rows)


class BulkRead(_Bulk):
    """Reads the rows that have one of many keys.

    Args:
        key: the columns by which a row is found.
        names: the columns that are read; None: all.
        lock: nobody else may change them until the transaction ends. They are locked in the order of their keys.
    """

    def __init__(
        self,
        database: Database,
        table: sa.Table,
        key: Sequence[str],
        names: Iterable[str] | None = None,
        *,
        lock: bool = False,
    ) -> None:
        super().__init__(database, table, key)
        columns = [table.c[name] for name in names] if names is not None else list(table.c)
        read = sa.select(*columns).where(*(table.c[name] == self._new[name] for name in key))
        if lock:
            read = read.order_by(*(table.c[name] for name in key)).with_for_update(of=table)
        self._statement = Statement(database, read, columns)

    async def execute(self, connection: AsyncConnection, keys: Sequence[Row]) -> list[dict[str, Any]]:
        """The rows of those keys, in no order; no two keys may be one."""
        return await self._execute(connection, keys)


class BulkTogether:
    """Several writes, each to a table of its own. One statement on PostgreSQL, where none sees another.

    Source: PostgreSQL's manual, §7.8.4, data-modifying statements in WITH.
    """

    def __init__(self, database: Database, *writes: BulkInsert | BulkUpdate) -> None:
        self._writes = writes
        self._statement: Statement | None = None
        if len({write.written.table for write in writes}) < len(writes):
            raise ValueError("two of the writes are to one table")
        if database.dialect == "postgresql":
            *parts, last = [write.written for write in writes]
            ctes = [part.cte(f"part_{number}") for number, part in enumerate(parts)]
            self._statement = Statement(database, last.add_cte(*ctes))

    async def execute(self, connection: AsyncConnection, *rows: Sequence[Row]) -> None:
        """Writes the rows of each.

        Raises:
            sa.exc.IntegrityError: a constraint is violated.
        """
        if self._statement is not None and sum(map(bool, rows)) > 1:
            given = [write.parameters(some)[0] for write, some in zip(self._writes, rows, strict=True)]
            await self._statement.execute(connection, {name: value for one in given for name, value in one.items()})
            return
        for write, some in zip(self._writes, rows, strict=True):
            await write.execute(connection, some)


def _arrays(columns: Mapping[str, sa.Column[Any]]) -> New:
    """The columns of the rows that an array for each of them stands for."""
    arrays = [
        sa.bindparam(parameter, type_=ARRAY(_unbounded(column.type), dimensions=1))
        for parameter, column in columns.items()
    ]
    named = [sa.column(column.name, column.type) for column in columns.values()]
    return dict(sa.func.unnest(*arrays).table_valued(*named).render_derived(name="new").c.items())


def _unbounded(type_: sa.types.TypeEngine[Any]) -> sa.types.TypeEngine[Any]:
    """The parameter is cast to it, and a cast cuts off what is too long where the column would refuse it."""
    return sa.Text() if isinstance(type_, sa.String) else type_


def _parameters(columns: Mapping[str, sa.Column[Any]]) -> New:
    return {column.name: sa.bindparam(parameter, type_=column.type) for parameter, column in columns.items()}
