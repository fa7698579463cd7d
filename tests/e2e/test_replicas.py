"""Several processes of every service on one PostgreSQL: together they are as correct as one.

Once with two replicas of each behind one address, once with two workers of each on one port.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx2
import pytest
from chaos.cluster import SERVICES, Cluster, running
from chaos.databases import postgresql
from chaos.nursery import Nursery
from e2e.helpers import ADMIN
from e2e.shoppers import Customer, Ending, Headers, Shop, Sold

CLIENTS, ACCOUNTS = 32, 8
EACH = 2
"""Orders of each client for each product."""

STOCK, ENOUGH, COLD = 40, 1000, 2
"""Of the hot product, of the others, and how many others there are."""

BURSTS = 10
"""Which of several workers answers is chance: so many times so many connections at once look for the second one."""

SHARED = {"auth": "/auth/token", "productos": "/productos", "inventario": "/reservas", "pedidos": "/pedidos"}
"""What each replica is asked for while orders are placed."""

BOTH_COMPLETE: Ending = ("completar", "completar")
ENDINGS: tuple[Ending, ...] = (BOTH_COMPLETE, ("cancelar", "cancelar"), ("completar", "cancelar"))
SETTINGS = {
    "COMANDA_ADMIN_EMAIL": ADMIN[0],
    "COMANDA_ADMIN_PASSWORD": ADMIN[1],
    "INVENTARIO_RESERVA_TTL_SECONDS": "600",  # nothing expires while it is being sold
    "PEDIDOS_ABANDON_SECONDS": "60",
    **{f"{service.upper()}_HTTP_TIMEOUT_SECONDS": "3" for service in SERVICES},
}


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    nursery = Nursery()
    yield nursery
    nursery.close()


@pytest.fixture(params=["replicas", "workers"])
async def cluster(
    request: pytest.FixtureRequest, tmp_path: Path, postgres_url: str, nursery: Nursery
) -> AsyncIterator[Cluster]:
    workers = {f"{service.upper()}_WORKERS": "2" for service in SERVICES if request.param == "workers"}
    databases, settings = await postgresql(postgres_url), SETTINGS | workers
    replicas = 1 if workers else 2
    async with running(
        tmp_path, databases, replicas=replicas, launcher=nursery, settings=settings, complete=True
    ) as cluster:
        yield cluster


@pytest.fixture
async def shop(cluster: Cluster) -> AsyncIterator[Shop]:
    addresses = {service: [replica.url for replica in cluster.of(service)] for service in SERVICES}
    async with httpx2.AsyncClient(timeout=15, trust_env=False) as http:
        yield Shop(http, {service: urls * (2 // len(urls)) for service, urls in addresses.items()})


async def test_venta_con_varios_procesos_de_cada_servicio(cluster: Cluster, shop: Shop) -> None:
    admin = await shop.login(*ADMIN)
    hot, *cold = [await shop.product(admin, stock) for stock in (STOCK, *[ENOUGH] * COLD)]
    sold = await _sell(cluster, shop, admin, hot, cold)

    orders = CLIENTS * EACH
    assert sold.answers == {
        (hot, 201, ""): STOCK,
        (hot, 409, "existencias-insuficientes"): orders - STOCK,
        **{(product, 201, ""): orders for product in cold},
    }
    stored = {pedido["id"]: pedido["estado"] for pedido in await asyncio.to_thread(_orders, cluster)}
    assert stored == sold.pedidos
    for product, stock in ((hot, STOCK), *((product, ENOUGH) for product in cold)):
        there = (await shop.ask(shop.two("inventario")[0], "GET", f"/inventario/{product}", admin)).json()
        assert (there["fisico"], there["reservado"]) == (stock - sold.units[product], 0)
    assert sold.units[hot] == STOCK
    await _everybody_took_part(shop, admin)
    audit = await asyncio.to_thread(cluster.verify)
    assert (audit.returncode, audit.stderr) == (0, ""), audit.stdout


async def _sell(cluster: Cluster, shop: Shop, admin: Headers, hot: str, cold: Sequence[str]) -> Sold:
    """Everybody orders of everything, at the same time; all that is ordered of the hot product is sold."""
    sold, accounts = Sold(), [await shop.customer() for _ in range(ACCOUNTS)]

    async def client(number: int) -> None:
        customer = Customer(shop, cluster.urls["pedidos"], accounts[number % ACCOUNTS], admin, sold)
        for turn, product in enumerate([hot, *cold] * EACH):
            ending = BOTH_COMPLETE if product == hot else ENDINGS[(turn + number) % len(ENDINGS)]
            await customer.buy(product, ending, twice=bool((turn + number) % 2))

    await asyncio.gather(*(client(number) for number in range(CLIENTS)))
    return sold


def _orders(cluster: Cluster) -> list[dict[str, Any]]:
    with cluster.operator() as api:
        return list(api.all("pedidos", "/pedidos"))


async def _everybody_took_part(shop: Shop, admin: Headers) -> None:
    """Each process has metrics of its own, and circuits, all of them closed; each replica was given its share."""
    for service, urls in shop.replicas.items():
        met: dict[str, str] = {}
        for _ in range(BURSTS):
            if len(met) < len(urls):
                met |= dict(await asyncio.gather(*(_process(url) for url in urls * BURSTS)))
                met.pop("", None)
        assert len(met) == 2, f"{service}: {list(met)}"
        if len(set(urls)) == 2:
            assert all(f'ruta="{SHARED[service]}' in metrics for metrics in met.values()), service
        for url in urls:
            circuits = await shop.ask(url, "GET", "/circuitos", admin)
            assert circuits.status_code == 200, circuits.text
            assert {circuit["estado"] for circuit in circuits.json()} <= {"CERRADO"}, circuits.text


async def _process(url: str) -> tuple[str, str]:
    """When the process that a new connection meets began to count requests, if it did before; and its metrics.

    Each process began at another moment, which tells them apart.
    """
    async with httpx2.AsyncClient(timeout=15, trust_env=False) as http:
        metrics = (await http.get(f"{url}/metrics")).text
    began = re.search(r"comanda_http_request_seconds_created\{.*", metrics)
    return began[0] if began else "", metrics
