"""Ways to fail, stop or overtake a use case at a chosen moment."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from comanda.common.conditional import Precondition
from comanda.common.database import Database, DatabaseUnavailable
from comanda.common.idempotency import Answer
from comanda.common.problems import (
    RespuestaInvalida,
    ServicioNoDisponible,
)

NADA = Precondition()
SIN_VEREDICTO = [ServicioNoDisponible("inventario"), RespuestaInvalida("inventario")]


def documento(result: tuple[Answer, bool]) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(result[0].body)
    return body


async def abort(call: Callable[[], Awaitable[Any]], pausa: Any) -> None:
    """Cancels that request while its call to the neighbour is stopped."""
    task = asyncio.ensure_future(call())
    await pausa.llegada.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@asynccontextmanager
async def changed_after_reading(
    mundo: Any, pedido_id: UUID, change: Callable[[], Awaitable[Any]]
) -> AsyncIterator[None]:
    """Inside the block, the first reader of the order is overtaken: `change` happens right after it has read."""
    original = mundo.servicio.consultar

    async def consultar(*arguments: Any) -> Any:
        mundo.servicio.consultar = original
        pedido = await original(*arguments)
        await change()
        return pedido

    mundo.servicio.consultar = consultar
    yield


class fault_at:  # noqa: N801  # reads as a statement
    """Inside the block, the write transactions with these numbers (from 1) fail, before or after they are committed."""

    def __init__(self, database: Database, *numbers: int, after: bool = False) -> None:
        self._database, self._numbers, self._after = database, numbers, after
        self._count = 0

    def __enter__(self) -> None:
        original = self._database.transaction

        @asynccontextmanager
        async def transaction() -> AsyncIterator[AsyncConnection]:
            self._count += 1
            fails = self._count in self._numbers
            if fails and not self._after:
                raise DatabaseUnavailable("lost")
            async with original() as connection:
                yield connection
            if fails:
                raise DatabaseUnavailable("lost")

        self._database.transaction = transaction  # type: ignore[method-assign]

    def __exit__(self, *_: object) -> None:
        del self._database.transaction


async def waits_for_a_lock(database: Database) -> None:
    """Returns once some transaction of that PostgreSQL database waits for another."""
    query = sa.text(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    while True:
        async with database.read() as connection:
            if (await connection.execute(query)).scalar_one():
                return
