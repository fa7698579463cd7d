"""What must be true after everything that broke is whole again."""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

from chaos.cluster import Cluster
from chaos.load import Memory, Order

CLEAN_SECONDS = 30
"""Invariant 8: abandonment, breaker, backoff and the life of a reservation are 25 s; the rest is for a busy machine."""

GIVEN_AT_THE_START = ("id", "cliente_id", "lineas", "total", "moneda", "creado_en")

Documents = dict[str, dict[str, Any]]


async def become_clean(cluster: Cluster, since: float, within: float = CLEAN_SECONDS) -> tuple[float, float]:
    """Waits until `comanda verify` exits 0 and, without anyone's help, no order is left half-way.

    Args:
        since: the moment (monotonic) from which on nothing was broken and nobody asked for anything.

    Returns:
        The moments at which `comanda verify` was content, and at which everything was at rest.
    """
    verified: float | None = None
    while True:
        verification = await asyncio.to_thread(cluster.verify)
        content = verification.returncode == 0
        if content and verified is None:
            verified = time.monotonic()
        if content and not await asyncio.to_thread(_open_orders, cluster):
            return verified or since, time.monotonic()
        said = verification.stdout + verification.stderr
        assert time.monotonic() - since < within, f"not clean after {within:g} s: {said}\n{cluster.log()}"
        await asyncio.sleep(0.5)


def _open_orders(cluster: Cluster) -> bool:
    with cluster.operator() as api:
        return next(api.all("pedidos", "/pedidos", estado="PENDIENTE"), None) is not None


async def faults(cluster: Cluster, memory: Memory, stock: Mapping[str, int]) -> list[str]:
    """Every answer that turned out false, and whatever else is wrong in a system at rest.

    Args:
        stock: what each product started with.
    """
    orders, there = await asyncio.to_thread(_everything, cluster)
    return [
        *memory.faults,
        *_lost_or_changed(orders, memory),
        *_not_once(orders, memory),
        *_miscounted(orders, there, stock),
    ]


def _everything(cluster: Cluster) -> tuple[Documents, Documents]:
    with cluster.operator() as api:
        orders = {order["id"]: order for order in api.all("pedidos", "/pedidos")}
        return orders, {item["producto_id"]: item for item in api.all("inventario", "/inventario")}


def _lost_or_changed(orders: Documents, memory: Memory) -> list[str]:
    """Orders that are not as their customers were told."""
    return [fault for order in memory.orders for fault in _untrue(order, orders.get(order.pedido_id or ""))]


def _untrue(told: Order, order: Mapping[str, Any] | None) -> list[str]:
    if order is None:
        return [f"{told.pedido_id} (key {told.key}) does not exist"]
    untrue = []
    if told.estado is not None and told.estado != order["estado"]:
        untrue.append(f"{told.pedido_id} is {order['estado']}, its customer was told {told.estado}")
    for name in GIVEN_AT_THE_START:
        if told.body is not None and told.body[name] != order[name]:
            untrue.append(f"{told.pedido_id}: {name} is {order[name]}, its customer was told {told.body[name]}")
    return untrue


def _not_once(orders: Documents, memory: Memory) -> list[str]:
    """Keys with more than one order: each customer's orders must be exactly those that its keys were answered with."""
    known = Counter(order.customer for order in memory.orders)
    stored = Counter(order["cliente_id"] for order in orders.values())
    twice = [key for key, count in Counter(order.pedido_id for order in memory.orders).items() if count > 1]
    return [f"{name}: {known[name]} keys, {stored[name]} orders" for name in known if known[name] != stored[name]] + [
        f"{pedido_id}: for two keys" for pedido_id in twice
    ]


def _miscounted(orders: Documents, there: Documents, stock: Mapping[str, int]) -> list[str]:
    """Products of which not exactly the completed units have left, or of which something is still held."""
    sold: Counter[str] = Counter()
    for order in orders.values():
        if order["estado"] == "COMPLETADO":
            sold.update({line["producto_id"]: line["cantidad"] for line in order["lineas"]})
    return [
        f"product {product}: fisico {there[product]['fisico']} of {start} with {sold[product]} sold, "
        f"reservado {there[product]['reservado']}"
        for product, start in stock.items()
        if there[product]["fisico"] != start - sold[product] or there[product]["reservado"] != 0
    ]
