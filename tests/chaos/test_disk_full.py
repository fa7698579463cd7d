"""The disk of pedidos, or of inventario, is full for a while: what cannot be written is refused, reads go on.

A limit on the size of files stands for the full disk: it refuses the growth of a file with another error number, at the
same place. It is set from outside, on the running process, and lifted again.
"""

import asyncio
import resource
import time
from pathlib import Path

import pytest
from chaos.checks import become_clean, faults
from chaos.cluster import Cluster, running
from chaos.databases import sqlite
from chaos.load import Memory, shopping, until
from chaos.processes import Service

from comanda.cli.api import slug

FULL_SECONDS = 2
STOCK = 10_000
SETTINGS = {"INVENTARIO_RESERVA_TTL_SECONDS": "5"}  # so that who never decides does not keep everybody waiting


@pytest.mark.parametrize("service", ["pedidos", "inventario"])
async def test_full_for_a_while(service: str, folder: Path) -> None:
    memory = Memory()
    async with asyncio.timeout(120), running(folder, sqlite(folder), settings=SETTINGS) as cluster:
        product = await cluster.product(STOCK)
        victim = cluster.of(service)[0]
        end = time.monotonic() + 2 * FULL_SECONDS
        async with asyncio.TaskGroup() as group:
            group.create_task(shopping(cluster, memory, [product], customers=4, is_open=until(end), seed=1))
            await asyncio.sleep(FULL_SECONDS / 2)
            _limit_files(victim, 0)
            await _only_reads(cluster, memory, product)
            await asyncio.sleep(FULL_SECONDS)
            _limit_files(victim, resource.RLIM_INFINITY)
        await become_clean(cluster, time.monotonic())
        wrong = await faults(cluster, memory, {product: STOCK})
        assert victim.alive
    assert not wrong, "\n".join(wrong[:20]) + cluster.log()
    assert memory.answers["503 servicio-no-disponible"] > 0
    assert any(order.estado == "COMPLETADO" for order in memory.orders)


async def _only_reads(cluster: Cluster, memory: Memory, product: str) -> None:
    body = {"lineas": [{"producto_id": product, "cantidad": 1}]}
    for _ in range(3):
        refused = await cluster.http.post(
            f"{cluster.urls['pedidos']}/pedidos", headers=cluster.customer("x"), json=body
        )
        assert (refused.status_code, slug(refused)) == (503, "servicio-no-disponible"), refused.text
    paths = {"pedidos": f"/pedidos/{memory.placed[0].pedido_id}", "inventario": f"/inventario/{product}"}
    for service, path in paths.items():
        read = await cluster.http.get(cluster.urls[service] + path, headers=cluster.admin)
        assert read.status_code == 200, read.text


def _limit_files(service: Service, size: int) -> None:
    resource.prlimit(service.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
