"""A new release migrates while replicas of the one before go on working."""

import asyncio
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command

from comanda.common.migrations import _config, is_migrated, migrate
from comanda.pedidos.domain import Fase
from comanda.pedidos.repository_eventos import EventosRepository
from comanda.pedidos.tables import historial, pedidos

PACKAGE = "comanda.pedidos"


def _downgrade(connection: sa.Connection, revision: str) -> None:
    config = _config(PACKAGE)
    config.attributes["connection"] = connection
    command.downgrade(config, revision)


@pytest.mark.parametrize("databases", ["postgresql"], indirect=True)
async def test_mientras_se_bloquean_pedidos_y_se_escriben(mundo: Any) -> None:
    """Whoever has locked an order and then writes it may neither fail nor make the migration fail."""
    ids = [(await mundo.en_fase(Fase.SOLICITADO)).id for _ in range(4)]
    async with mundo.database.migration() as connection:
        await connection.run_sync(_downgrade, "0001")
    written, migrated = 0, asyncio.Event()

    async def write(pedido_id: object) -> None:
        nonlocal written
        while not migrated.is_set():
            async with mundo.database.transaction() as connection:
                of_it = pedidos.c.id == pedido_id
                await connection.execute(sa.select(pedidos.c.fase).where(of_it).with_for_update())
                await asyncio.sleep(0.002)
                await connection.execute(sa.update(pedidos).where(of_it).values(attempts=pedidos.c.attempts + 1))
            written += 1

    async def upgrade() -> None:
        for _ in range(5):
            await asyncio.sleep(0.02)
            await migrate(mundo.database, PACKAGE)
            assert await is_migrated(mundo.database, PACKAGE)
            async with mundo.database.migration() as connection:
                await connection.run_sync(_downgrade, "0001")
        await migrate(mundo.database, PACKAGE)
        migrated.set()

    async with asyncio.TaskGroup() as group:
        group.create_task(upgrade())
        for pedido_id in ids:
            group.create_task(write(pedido_id))
    async with mundo.database.read() as connection:
        assert (await connection.execute(sa.select(sa.func.sum(pedidos.c.attempts)))).scalar_one() == written > 0


async def test_lo_que_paso_antes_de_los_eventos(mundo: Any) -> None:
    """It is no event; what the release before writes afterwards, which names no new column, becomes one."""
    await mundo.en_fase(Fase.RESERVADO)
    async with mundo.database.migration() as connection:
        await connection.run_sync(_downgrade, "0003")
    await mundo.en_fase(Fase.SOLICITADO)
    await migrate(mundo.database, PACKAGE)
    await mundo.en_fase(Fase.SOLICITADO)
    async with mundo.database.transaction() as connection:
        assert await EventosRepository(mundo.database).numerar(connection) == 1
        numeros = await connection.execute(sa.select(historial.c.numero).order_by(historial.c.numero))
        assert numeros.scalars().all() == [0, 0, 0, 1]
