"""A service dies at each point of an order's life: before and after each commit, before and after each call.

One customer places an order and completes it, places another and cancels it, while the service is to die at the first,
second, third … passage of a point, until a life is too short to reach it. Whoever is interrupted waits until no process
dies any more and then goes on, with the same key, as a client that retries does. Everything must end right, once.

With `COMANDA_CHAOS_ROUNDS` also on PostgreSQL, with two replicas, of which the other one takes over at each death.
`test_crash_points_under_load` has PostgreSQL always.

The first passages belong to the start of the process itself: its migration, the first look of its loops.
"""

import asyncio
import os
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from chaos.checks import become_clean, faults
from chaos.cluster import Cluster, running
from chaos.databases import postgresql, sqlite
from chaos.load import Memory, Order
from chaos.nursery import Nursery
from chaos.processes import Service

from comanda.cli.api import slug

MAX_PASSAGES = 40
SWEEPS = 3
STOCK = 1000
SETTINGS = {
    "INVENTARIO_RESERVA_TTL_SECONDS": "600",  # the interrupted wait for long
    "PEDIDOS_ABANDON_SECONDS": "600",
    "PEDIDOS_HTTP_TIMEOUT_SECONDS": "0.5",
    "PEDIDOS_RECOVERY_SECONDS": "1",
}
STEPS = ("place", "complete", "place another", "cancel")
POINTS = {
    "pedidos": ("before-commit", "after-commit", "before-call", "after-call"),
    "inventario": ("before-commit", "after-commit"),  # it calls nobody for the sake of an order
}


class Life:
    """One customer with two orders, the first to be completed, the second to be cancelled."""

    def __init__(self, cluster: Cluster, victim: Service, memory: Memory, product: str) -> None:
        self._cluster = cluster
        self._victim = victim
        self._memory = memory
        customer = f"cliente-{uuid4().hex[:8]}"
        lines = [{"producto_id": product, "cantidad": 1}]
        self._orders = [Order(customer, uuid4().hex, lines) for _ in range(2)]
        memory.orders += self._orders
        self._left = list(STEPS)

    async def live(self) -> str:
        """Takes step after step. Returns the one in which the victim died, or nothing if all were taken."""
        while self._left:
            step = self._left[0]
            if await self._step(step):
                self._left.pop(0)
            if not self._victim.alive:  # the step may have been taken all the same, by another replica
                return step
        return ""

    async def _step(self, step: str) -> bool:
        """False: the victim has died in it."""
        kept, sold = "cancel" not in step and "another" not in step, None
        order = self._orders[0 if kept else 1]
        while sold is None:
            answer = await self._send(step, order)
            if answer is None or slug(answer) in ("servicio-no-disponible", "peticion-en-curso"):
                if await self._victim.died(0.5 if answer is None else 0.1):
                    return False
                await asyncio.sleep(0.2)
            else:
                sold = answer
        self._told(step, order, sold)
        return True

    async def _send(self, step: str, order: Order) -> httpx2.Response | None:
        """The answer, None if there is none."""
        headers = self._cluster.admin if step == "complete" else self._cluster.customer(order.customer)
        url, body = f"{self._cluster.urls['pedidos']}/pedidos", None
        if step.startswith("place"):
            headers, body = headers | {"Idempotency-Key": order.key}, {"lineas": order.lines}
        else:
            url += f"/{order.pedido_id}/{'completar' if step == 'complete' else 'cancelar'}"
        try:
            return await self._cluster.http.post(url, headers=headers, json=body)
        except httpx2.TransportError:
            return None

    def _told(self, step: str, order: Order, answer: httpx2.Response) -> None:
        expected = 201 if step.startswith("place") else 200
        if answer.status_code != expected:
            self._memory.unexpected(order, step, answer)
        elif expected == 201:
            order.body, order.pedido_id = answer.json(), answer.json()["id"]
        else:
            self._memory.told(order, answer.json()["estado"], step)


ON_POSTGRESQL = pytest.mark.skipif(
    not os.environ.get("COMANDA_CHAOS_ROUNDS"), reason="takes minutes: set COMANDA_CHAOS_ROUNDS"
)


@pytest.mark.parametrize("dialect", ["sqlite", pytest.param("postgresql", marks=ON_POSTGRESQL)])
@pytest.mark.parametrize("service", ["pedidos", "inventario"])
async def test_dies_at_each_point(
    service: str, dialect: str, folder: Path, postgres_url: str, nursery: Nursery
) -> None:
    memory, deaths = Memory(), Counter[tuple[str, str]]()
    databases, replicas = (sqlite(folder), 1) if dialect == "sqlite" else (await postgresql(postgres_url), 2)
    async with (
        asyncio.timeout(240 * replicas),
        running(folder, databases, replicas=replicas, launcher=nursery, settings=SETTINGS) as cluster,
    ):
        product = await cluster.product(STOCK)
        victim = cluster.of(service)[0]
        victim.supervised = False
        lives = [
            life for point in POINTS[service] for life in await _lives(cluster, victim, point, memory, product, deaths)
        ]
        await victim.kill()
        victim.start()
        await victim.ready(cluster.http)
        await asyncio.gather(*(life.live() for life in lives))
        await become_clean(cluster, time.monotonic())
        wrong = await faults(cluster, memory, {product: STOCK})
        wrong += [f"{order.pedido_id} {order.estado}" for order in memory.orders if order.estado is None]
        assert not wrong, "\n".join(wrong[:20]) + cluster.log()
        histories = [await _history(cluster, order) for order in memory.orders]
    assert set(histories) == {EXPECTED["COMPLETADO"], EXPECTED["CANCELADO"]}
    missed = [(point, step) for point in POINTS[service] for step in STEPS if not deaths[point, step]]
    assert not missed, f"never died there: {missed}, but {deaths}"


EXPECTED: Mapping[str, tuple[str, ...]] = {
    "COMPLETADO": ("SOLICITADO", "RESERVADO", "COMPLETANDO", "COMPLETADO"),
    "CANCELADO": ("SOLICITADO", "RESERVADO", "CANCELANDO", "CANCELADO"),
}


async def _lives(
    cluster: Cluster, victim: Service, point: str, memory: Memory, product: str, deaths: Counter[Any]
) -> list[Life]:
    """Lives in which the victim dies at that point, in every step; counts in which it did.

    What the loops of a starting process pass shifts the passages by one or two, hence another sweep if a step was
    missed.
    """
    lives: list[Life] = []
    for _ in range(SWEEPS):
        for passage in range(1, MAX_PASSAGES):
            await victim.kill()
            victim.start(crash_at=f"{point}:{passage}")
            if not await victim.ready(cluster.http):
                continue  # it died while it started
            for way in cluster.forwarders.values():
                way.prefer(victim.port)
            lives.append(Life(cluster, victim, memory, product))
            step = await lives[-1].live()
            if not step:
                break  # a whole life is too short
            deaths[point, step] += 1
        if all(deaths[point, step] for step in STEPS):
            break
    return lives


async def _history(cluster: Cluster, order: Order) -> tuple[str, ...]:
    url = f"{cluster.urls['pedidos']}/pedidos/{order.pedido_id}/historial"
    answer = await cluster.http.get(url, headers=cluster.admin)
    return tuple(entry["a"] for entry in answer.json())
