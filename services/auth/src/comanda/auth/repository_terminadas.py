"""The SQL of what has ended while its access tokens may still be alive."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from comanda.auth.tables import terminadas
from comanda.common.database import Database

SWEEP_ROWS = 500
"""Rows removed in one transaction of the sweep."""


class RepositorioTerminadas:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def anotar(self, connection: AsyncConnection, ultimos: Mapping[UUID, datetime]) -> None:
        """Args: ultimos: until when each may have been given a token."""
        rows = [{"id": one, "en": ultimos[one]} for one in sorted(ultimos)]
        if rows:
            insert = self._database.insert(terminadas)
            await connection.execute(insert.on_conflict_do_nothing(index_elements=[terminadas.c.id]), rows)

    async def contiene(self, connection: AsyncConnection, uno: UUID) -> bool:
        query = sa.select(sa.exists().where(terminadas.c.id == uno))
        return bool((await connection.execute(query)).scalar_one())

    async def edicion(self, connection: AsyncConnection, desde: datetime) -> str:
        """Another text whenever `listar` answers something else.

        What is added makes one more, also if it is noted late, between others; what grows too old moves the first
        moment, for all of one moment grow too old together.
        """
        query = sa.select(sa.func.count(), sa.func.min(terminadas.c.en), sa.func.max(terminadas.c.en))
        count, first, last = (await connection.execute(query.where(terminadas.c.en > desde))).one()
        return f"{count} {first} {last}"

    async def listar(self, connection: AsyncConnection, desde: datetime, most: int) -> Sequence[UUID]:
        """Those that may have been given a token after that moment, the latest first, at most so many."""
        query = (
            sa.select(terminadas.c.id)
            .where(terminadas.c.en > desde)
            .order_by(terminadas.c.en.desc(), terminadas.c.id)
            .limit(most)
        )
        return (await connection.execute(query)).scalars().all()

    async def barrer(self, connection: AsyncConnection, hasta: datetime) -> int:
        """Removes at most `SWEEP_ROWS` that got no token after then; returns how many. Waits for nobody."""
        old = (
            sa.select(terminadas.c.id)
            .where(terminadas.c.en <= hasta)
            .order_by(terminadas.c.en)
            .limit(SWEEP_ROWS)
            .with_for_update(skip_locked=True)
        )
        return (await connection.execute(sa.delete(terminadas).where(terminadas.c.id.in_(old)))).rowcount
