"""Moments in a database: one type for both."""

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import Dialect


class _Text(sqlite.DATETIME):
    """What SQLAlchemy writes and reads there, by the standard library's own C code."""

    def bind_processor(self, dialect: Dialect) -> Any:
        return lambda value: value and value.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")

    def result_processor(self, dialect: Dialect, coltype: object) -> Any:
        return lambda value: value and datetime.fromisoformat(value).replace(tzinfo=UTC)


_TEXT: sa.types.TypeEngine[Any] = _Text()  # type: ignore[no-untyped-call]


class UtcDateTime(sa.TypeDecorator[datetime]):
    """A moment in UTC: TIMESTAMPTZ on PostgreSQL, ISO text (which sorts by time) on SQLite."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    @property
    def python_type(self) -> type[datetime]:
        return datetime

    def load_dialect_impl(self, dialect: Dialect) -> sa.types.TypeEngine[Any]:
        return dialect.type_descriptor(_TEXT if dialect.name == "sqlite" else self.impl_instance)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value and value.astimezone(UTC)
