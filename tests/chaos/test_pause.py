"""A replica of pedidos stands still in the middle of its work, until another has taken the work over and done it.

What it does when it goes on, in the belief that no time has passed, must change nothing, and it must not give its
customer an answer that has become false. It is stopped at two places: when it has inventario's verdicts and is about to
write them down, and, only with `COMANDA_CHAOS_ROUNDS` because it takes two leases, while it waits for inventario.
"""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from chaos.checks import become_clean
from chaos.cluster import Cluster, running
from chaos.databases import postgresql
from chaos.forwarder import Forwarder
from chaos.nursery import Nursery
from chaos.processes import Service

from comanda.cli.api import slug

LEASE_SECONDS = 11
"""One try of one second, and the ten seconds that `Settings.lease_seconds` adds."""

SETTINGS = {
    "INVENTARIO_RESERVA_TTL_SECONDS": "90",
    "PEDIDOS_HTTP_TIMEOUT_SECONDS": "1",
    "PEDIDOS_RETRY_ATTEMPTS": "0",
}
Answer = asyncio.Task[httpx2.Response]
PLACED = ["SOLICITADO", "RESERVADO"]
EXPECTED = {
    "completar": [*PLACED, "COMPLETANDO", "COMPLETADO"],
    "cancelar": [*PLACED, "CANCELANDO", "CANCELADO"],
    "abandoned": ["SOLICITADO", "CANCELANDO", "CANCELADO"],
}


async def test_stopped_before_it_writes(folder: Path, postgres_url: str, nursery: Nursery) -> None:
    async with asyncio.timeout(150), _working(folder, postgres_url, nursery) as (cluster, orders, late):
        sleeper, worker = cluster.of("pedidos")
        database = cluster.forwarders[f"database of {sleeper.name}"]
        database.hold()
        cluster.forwarders[f"inventario of {sleeper.name}"].release()
        await database.held(len(orders) + 1)
        sleeper.signal(signal.SIGSTOP)
        await _nothing_changes(cluster, orders, late, sleeper, worker, [database])


@pytest.mark.skipif(not os.environ.get("COMANDA_CHAOS_ROUNDS"), reason="takes two leases: set COMANDA_CHAOS_ROUNDS")
async def test_stopped_while_it_waits_for_inventario(folder: Path, postgres_url: str, nursery: Nursery) -> None:
    async with asyncio.timeout(150), _working(folder, postgres_url, nursery) as (cluster, orders, late):
        sleeper, worker = cluster.of("pedidos")
        sleeper.signal(signal.SIGSTOP)
        # Its calls for the known orders take effect now, their answers wait for it; that for the new one comes late.
        way = cluster.forwarders[f"inventario of {sleeper.name}"]
        way.release(lambda beginning: not beginning.startswith(b"PUT"))
        await _nothing_changes(cluster, orders, late, sleeper, worker, [way], 2 * LEASE_SECONDS)


@asynccontextmanager
async def _working(
    folder: Path, server: str, nursery: Nursery
) -> AsyncIterator[tuple[Cluster, dict[str, str], Answer]]:
    """A cluster whose first pedidos waits for inventario: for each of some orders, under a lease, and for a new one.

    Yields also what is done to each order, and the answer to come to the customer of the new one. The second pedidos is
    stopped, so that the first takes the leases.
    """
    databases = await postgresql(server)
    async with running(
        folder, databases, replicas=2, launcher=nursery, settings=SETTINGS, database_ways=True
    ) as cluster:
        first, second = cluster.of("pedidos")
        product = await cluster.product(100)
        orders = {
            await _placed(cluster, first, product): do for do in ("completar", "completar", "cancelar", "cancelar")
        }
        second.signal(signal.SIGSTOP)
        way = cluster.forwarders[f"inventario of {first.name}"]
        way.hold()
        answers = await asyncio.gather(*(_post(cluster, first, f"/{key}/{do}") for key, do in orders.items()))
        assert [answer.status_code for answer in answers] == [503] * len(orders)  # the intents stand
        await way.held(2 * len(orders))  # the customers' calls, which were given up, and recovery's
        late = asyncio.create_task(_post(cluster, first, "", _lines(product)))
        await way.held(2 * len(orders) + 1)
        yield cluster, orders, late


async def _nothing_changes(
    cluster: Cluster,
    orders: dict[str, str],
    late: Answer,
    sleeper: Service,
    worker: Service,
    ways: Sequence[Forwarder],
    seconds: float = 0,
) -> None:
    """The worker does all the work; then the sleeper, after that time at least, goes on and changes nothing."""
    stopped = time.monotonic()
    worker.signal(signal.SIGCONT)
    orders |= {await _the_other(cluster, worker, orders): "abandoned"}
    before = await _finished(cluster, worker, orders)
    await asyncio.sleep(max(0, stopped + seconds - time.monotonic()))
    for way in ways:
        way.release()
    sleeper.signal(signal.SIGCONT)
    answer = await late
    await asyncio.sleep(2)  # more than what is left of its round, and a look of its recovery
    after = await _histories(cluster, sleeper, orders)
    await become_clean(cluster, time.monotonic())
    assert (answer.status_code, slug(answer)) in ((409, "pedido-cancelado"), (503, "servicio-no-disponible"))
    assert after == before
    phases = {key: [entry["a"] for entry in history] for key, history in after.items()}
    assert phases == {key: EXPECTED[do] for key, do in orders.items()}


async def _placed(cluster: Cluster, replica: Service, product: str) -> str:
    answer = await _post(cluster, replica, "", _lines(product))
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def _post(cluster: Cluster, replica: Service, path: str, body: Any = None) -> httpx2.Response:
    url = f"{replica.url}/pedidos{path}"
    return await cluster.http.post(url, headers=cluster.admin, json=body, timeout=100)


async def _the_other(cluster: Cluster, replica: Service, known: Mapping[str, str]) -> str:
    """The id of the order whose customer has had no answer yet."""
    answer = await cluster.http.get(f"{replica.url}/pedidos", headers=cluster.admin)
    (other,) = (order["id"] for order in answer.json()["elementos"] if order["id"] not in known)
    return str(other)


async def _finished(cluster: Cluster, replica: Service, orders: Mapping[str, str]) -> dict[str, Any]:
    """The histories, when all orders have come to their ends by themselves."""
    async with asyncio.timeout(3 * LEASE_SECONDS):
        while True:
            histories = await _histories(cluster, replica, orders)
            if all(history[-1]["a"] in ("COMPLETADO", "CANCELADO") for history in histories.values()):
                return histories
            await asyncio.sleep(0.5)


async def _histories(cluster: Cluster, replica: Service, orders: Mapping[str, str]) -> dict[str, Any]:
    histories = {}
    for key in orders:
        answer = await cluster.http.get(f"{replica.url}/pedidos/{key}/historial", headers=cluster.admin)
        assert answer.status_code == 200, answer.text
        histories[key] = answer.json()
    return histories


def _lines(product: str) -> dict[str, Any]:
    return {"lineas": [{"producto_id": product, "cantidad": 1}]}
