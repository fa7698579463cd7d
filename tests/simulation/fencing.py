"""Watches recovery's leases: nothing else could tell that a worker wrote under a lease that was no longer its own.

The compare-and-set on phase and version already keeps a stale worker from moving an order on. Fencing alone keeps it
from postponing the order, and from ending the lease of the worker that has it now.
"""

import sqlite3
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import cast

from sqlalchemy.ext.asyncio import AsyncConnection

from comanda.pedidos.domain import Pedido
from comanda.pedidos.repository import Repository, Transition


def watch(repository: Repository, found: Callable[[str], None]) -> None:
    """Reports each change that is made under another lease than the row's."""
    mover, reprogramar = repository.mover, repository.reprogramar

    async def check(connection: AsyncConnection, pedido: Pedido, lease: int | None) -> None:
        if lease is not None and (present := await _lease_of(connection, pedido)) != lease:
            found(f"fencing: {pedido.id} in {pedido.fase} was changed under lease {lease}, it had {present}")

    async def watched_mover(connection: AsyncConnection, transitions: Sequence[Transition]) -> list[bool]:
        outcomes = await mover(connection, transitions)
        for transition, written in zip(transitions, outcomes, strict=True):
            if written:
                await check(connection, transition.antes, transition.lease)
        return outcomes

    async def watched_reprogramar(
        connection: AsyncConnection, pedido: Pedido, when: datetime, *, lease: int | None = None, attempts: int = 0
    ) -> bool:
        written = await reprogramar(connection, pedido, when, lease=lease, attempts=attempts)
        if written:
            await check(connection, pedido, lease)
        return written

    repository.mover = watched_mover  # type: ignore[method-assign]
    repository.reprogramar = watched_reprogramar  # type: ignore[method-assign]


async def _lease_of(connection: AsyncConnection, pedido: Pedido) -> int:
    """Read past SQLAlchemy and past the simulated statements: looking is no step of the process."""
    raw = await connection.get_raw_connection()
    cursor = sqlite3.Connection.cursor(cast("sqlite3.Connection", raw.dbapi_connection))
    try:
        return int(cursor.execute("SELECT lease FROM pedidos WHERE id = ?", (pedido.id.hex,)).fetchone()[0])
    finally:
        cursor.close()
