"""A replica of pedidos stands still for two leases in the middle of its work; another takes the work over and does it.

What it does when it goes on, in the belief that no time has passed, must change nothing, and it must not give its
customer an answer that has become false. It is stopped with one of inventario's verdicts in its hands, which it would
write down next, and with other calls still under way.

That it tries to act on its old lease, its log says; that it could not is seen from inside the database, where each
statement that would write an order is counted with the rows it found.
"""

import asyncio
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx2
from chaos.attempts import Attempts, attempts
from chaos.checks import become_clean
from chaos.cluster import Cluster, running
from chaos.databases import postgresql
from chaos.nursery import STOP_VARIABLE, Nursery
from chaos.processes import Service

from comanda.cli.api import slug
from comanda.pedidos.settings import Settings

SETTINGS = {
    "INVENTARIO_RESERVA_TTL_SECONDS": "90",
    "PEDIDOS_HTTP_TIMEOUT_SECONDS": "1",
    "PEDIDOS_RETRY_ATTEMPTS": "0",
    "PEDIDOS_LOG_LEVEL": "info",  # so that recovery says which steps it has ended
}
LEASE_SECONDS = Settings(http_timeout_seconds=1, retry_attempts=0).lease_seconds
PAUSE_SECONDS = 2 * LEASE_SECONDS

Answer = asyncio.Task[httpx2.Response]
PLACED = ["SOLICITADO", "RESERVADO"]
EXPECTED = {
    "completar": [*PLACED, "COMPLETANDO", "COMPLETADO"],
    "cancelar": [*PLACED, "CANCELANDO", "CANCELADO"],
    "abandoned": ["SOLICITADO", "CANCELANDO", "CANCELADO"],
}


async def test_wakes_after_two_leases(folder: Path, postgres_url: str, nursery: Nursery) -> None:
    databases, stop = await postgresql(postgres_url), folder / "stop"
    settings = SETTINGS | {STOP_VARIABLE: str(stop)}
    async with (
        asyncio.timeout(150),
        running(folder, databases, replicas=2, launcher=nursery, settings=settings) as cluster,
        attempts(databases["pedidos"]) as seen,
    ):
        sleeper, worker = cluster.of("pedidos")
        orders, late = await _working(cluster, sleeper, worker)
        stop.touch()
        way = cluster.forwarders[f"inventario of {sleeper.name}"]
        # The calls for the known orders take effect now; that for the new one will come late.
        way.release(lambda beginning: not beginning.startswith(b"PUT"))
        assert await sleeper.stopped(5)
        stopped = time.monotonic()
        worker.signal(signal.SIGCONT)
        orders |= {await _the_other(cluster, worker, orders): "abandoned"}
        before = await _finished(cluster, worker, orders)
        await asyncio.sleep(max(0, stopped + PAUSE_SECONDS - time.monotonic()))
        await _wakes_in_vain(sleeper, worker, seen, way.release)
        answer = await late
        after = await _histories(cluster, sleeper, orders)
        await become_clean(cluster, time.monotonic())
    assert (answer.status_code, slug(answer)) in ((409, "pedido-cancelado"), (503, "servicio-no-disponible"))
    assert after == before
    phases = {key: [entry["a"] for entry in history] for key, history in after.items()}
    assert phases == {key: EXPECTED[do] for key, do in orders.items()}


async def _working(cluster: Cluster, first: Service, second: Service) -> tuple[dict[str, str], Answer]:
    """Has the first pedidos wait for inventario: for each of some orders, under a lease, and for a new one.

    The second is stopped, so that the first takes the leases.

    Returns:
        What is done to each order, and the answer to come to the customer of the new one.
    """
    product = await cluster.product(100)
    orders = {await _placed(cluster, first, product): do for do in ("completar", "completar", "cancelar", "cancelar")}
    second.signal(signal.SIGSTOP)
    way = cluster.forwarders[f"inventario of {first.name}"]
    way.hold()
    answers = await asyncio.gather(*(_post(cluster, first, f"/{key}/{do}") for key, do in orders.items()))
    assert [answer.status_code for answer in answers] == [503] * len(orders)  # the intents stand
    await way.held(2 * len(orders))  # the customers' calls, which were given up, and recovery's
    late = asyncio.create_task(_post(cluster, first, "", _lines(product)))
    await way.held(2 * len(orders) + 1)
    return orders, late


async def _wakes_in_vain(sleeper: Service, worker: Service, seen: Attempts, release: Callable[[], None]) -> None:
    """The sleeper goes on, alone: it tries to write what it was about to, under the lease that it had, and fails."""
    worker.signal(signal.SIGSTOP)  # every statement from now on is the sleeper's
    known, said = await seen.count(), _verdicts(sleeper)
    release()
    sleeper.signal(signal.SIGCONT)
    await asyncio.sleep(2)  # more than what is left of its round, and a look of its recovery
    tried = await seen.since(known)
    worker.signal(signal.SIGCONT)
    assert _verdicts(sleeper) > said, f"it has not tried to act on its lease: {tried}"
    assert [attempt for attempt in tried if attempt.of_a_phase or (attempt.under_a_lease and attempt.rows)] == []


def _verdicts(replica: Service) -> int:
    """How often its recovery has ended a step: it had a verdict, and wrote it or found that it could not."""
    return replica.log.read_text().count("pedido_recuperado")


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
