"""Watches recovery's leases: nothing else could tell that a worker wrote under a lease that was no longer its own.

The compare-and-set on phase and version already keeps a stale worker from moving an order on. Fencing alone keeps it
from postponing the order, and from ending the lease of the worker that has it now.
"""

import sqlite3
from collections.abc import Callable
from typing import Any, cast

from sqlalchemy.ext.asyncio import AsyncConnection

from comanda.pedidos.domain import Pedido
from comanda.pedidos.repository import Repository


def watch(repository: Repository, found: Callable[[str], None]) -> None:
    """Reports each change that is made under another lease than the row's."""
    write = repository._write

    async def watched(connection: AsyncConnection, seen: Pedido, lease: int | None, **values: Any) -> bool:
        written = await write(connection, seen, lease, **values)
        if written and lease is not None:
            present = await _lease_of(connection, seen)
            if present != lease:
                found(f"fencing: {seen.id} in {seen.fase} was changed under lease {lease}, it had {present}: {values}")
        return written

    repository._write = watched  # type: ignore[method-assign]


async def _lease_of(connection: AsyncConnection, pedido: Pedido) -> int:
    """Read past SQLAlchemy and past the simulated statements: looking is no step of the process."""
    raw = await connection.get_raw_connection()
    cursor = sqlite3.Connection.cursor(cast("sqlite3.Connection", raw.dbapi_connection))
    try:
        return int(cursor.execute("SELECT lease FROM pedidos WHERE id = ?", (pedido.id.hex,)).fetchone()[0])
    finally:
        cursor.close()
