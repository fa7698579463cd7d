"""Statements that are compiled once and then go to the driver as they are: what every order executes.

SQLAlchemy words them, and knows how each type is written and read; what it does around each execution would cost three
times as much as the driver's own work (ADR 0015). All else is executed by SQLAlchemy, in the same transactions.
"""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import asyncpg
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from comanda.common.database import Database, driver_of

Row = Mapping[str, Any]
"""A value for each column, or for each parameter, by its name."""

Convert = Callable[[Any], Any]


class Statement:
    """One statement for a database.

    Args:
        statement: its parameters are `bindparam`s that know their type.
        returned: the columns of what it returns.
    """

    def __init__(
        self, database: Database, statement: sa.ClauseElement, returned: Sequence[sa.Column[Any]] = ()
    ) -> None:
        dialect = database.engine.dialect
        compiled = statement.compile(dialect=dialect)
        self.text = str(compiled)
        binds = compiled.binds  # type: ignore[attr-defined]  # of every statement; DDL alone has none
        self._parameters: list[tuple[str, Convert | None]] = [
            (name, binds[name].type.dialect_impl(dialect).bind_processor(dialect))
            for name in compiled.positiontup or ()  # type: ignore[attr-defined]
        ]
        self._constants = {name: bind.value for name, bind in binds.items() if not bind.required}
        self._names = tuple(column.name for column in returned)
        read = [(column.name, column.type.dialect_impl(dialect).result_processor(dialect, None)) for column in returned]
        self._converted = [(name, convert) for name, convert in read if convert is not None]
        in_loop = _fetch_for_each if returned else _write_for_each
        self._send = _once if database.dialect == "postgresql" else in_loop

    async def execute(self, connection: AsyncConnection, *parameters: Row) -> list[dict[str, Any]]:
        """Executes it for each set of parameters, in that order; returns the rows of all.

        Raises:
            sa.exc.IntegrityError: a constraint is violated.
        """
        values = [self.bound(one) for one in parameters]
        try:
            rows = await self._send(driver_of(connection), self.text, values)
        except (asyncpg.IntegrityConstraintViolationError, sqlite3.IntegrityError) as error:
            raise sa.exc.IntegrityError(self.text, None, error) from error
        return [self._read(row) for row in rows]

    def bound(self, parameters: Row) -> list[Any]:
        """Those parameters as the driver gets them. Raises `KeyError` if one is missing."""
        given = {**self._constants, **parameters} if self._constants else parameters
        return [given[name] if convert is None else convert(given[name]) for name, convert in self._parameters]

    def _read(self, row: Sequence[Any]) -> dict[str, Any]:
        found = dict(zip(self._names, row, strict=True))
        for name, convert in self._converted:
            found[name] = convert(found[name])
        return found


async def _once(driver: Any, text: str, values: Sequence[Sequence[Any]]) -> Sequence[Any]:
    """On PostgreSQL, where what is about many rows has an array for each column."""
    return [row for one in values for row in await driver.fetch(text, *one)]


async def _fetch_for_each(driver: Any, text: str, values: Sequence[Sequence[Any]]) -> Sequence[Any]:
    rows: Sequence[Any] = await driver.fetch(text, values)
    return rows


async def _write_for_each(driver: Any, text: str, values: Sequence[Sequence[Any]]) -> Sequence[Any]:
    await driver.write(text, values)
    return ()
