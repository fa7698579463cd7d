"""Customers who order, complete, cancel and read while things break, and remember every answer.

A request without a final answer is repeated, with the same idempotency key, until there is one. An answer that
contradicts an earlier one, or that nobody should ever get, is written down in `Memory.faults`.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx2
from chaos.cluster import Cluster

from comanda.cli.api import slug

PATIENCE_SECONDS = 45
"""An outage, the lease of a dead process' key, a round of retries: after this a final answer is overdue."""

LONGEST_WAIT_SECONDS = 1.5
"""Who is told to come again later does, but no later than this. Hundreds who do not wait keep a service on this machine
so busy that its own calls run into their time limit of one second."""

HANDS = 4
"""Orders that one customer sees to at the same time: one that is stuck does not keep it from placing others."""

PAUSE_SECONDS = 0.6
"""Between two orders of a customer, on average. The machine is to break things, not to be measured."""

NOT_FINAL = ("servicio-no-disponible", "respuesta-invalida", "peticion-en-curso")
FINAL = ("COMPLETADO", "CANCELADO")


@dataclass
class Order:
    """One order as its customer knows it."""

    customer: str
    key: str
    lines: list[dict[str, Any]]
    pedido_id: str | None = None
    body: dict[str, Any] | None = None
    """What 201 said."""
    estado: str | None = None
    """The final state that an answer told of."""


@dataclass
class Memory:
    """What all customers together have been told."""

    orders: list[Order] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)
    accounts: list[str] = field(default_factory=list)
    """The addresses that auth has registered."""
    patience_seconds: float = PATIENCE_SECONDS

    @property
    def placed(self) -> list[Order]:
        return [order for order in self.orders if order.body is not None]

    def told(self, order: Order, estado: str, by: str) -> None:
        """An answer said that the order is in that state."""
        if order.estado in FINAL and estado != order.estado:
            self.faults.append(f"{order.pedido_id}: {by} says {estado}, after it was told to be {order.estado}")
        if estado in FINAL:
            order.estado = estado

    def unexpected(self, order: Order, doing: str, answer: httpx2.Response) -> None:
        self.faults.append(f"{doing} {order.pedido_id or order.key}: {answer.status_code} {answer.text[:300]}")


class Customer:
    """Args: products: their ids."""

    def __init__(self, cluster: Cluster, memory: Memory, name: str, products: Sequence[str], seed: int) -> None:
        self.name = name
        self._cluster = cluster
        self._memory = memory
        self._products = products
        self._random = random.Random(seed)  # noqa: S311  # reproducible on purpose
        self._headers = cluster.customer(name)

    async def shop(self, is_open: Callable[[], bool], pause_seconds: float, hands: int = HANDS) -> None:
        """Orders again and again while it is open, and brings each order to its end."""
        free = asyncio.Semaphore(hands)
        async with asyncio.TaskGroup() as group:
            while is_open():
                await free.acquire()
                group.create_task(self._see_through(free))
                await asyncio.sleep(pause_seconds * self._random.random() * 2)

    async def _see_through(self, free: asyncio.Semaphore) -> None:
        order = await self.place(self._lines())
        if order.body is not None:
            await self._decide(order)
            await self.read(order)
        free.release()

    async def place(self, lines: list[dict[str, Any]]) -> Order:
        order = Order(self.name, uuid4().hex, lines)
        self._memory.orders.append(order)
        answer = await self._post_order(order)
        document = answer.json()
        order.pedido_id = document.get("id") or document.get("pedido_id")
        if answer.status_code == 201:
            order.body = document
            if document["estado"] != "PENDIENTE" or document["fase"] != "RESERVADO":
                self._memory.unexpected(order, "place", answer)
            if self._random.random() < 0.2:
                await self._place_again(order, answer)
        elif slug(answer) in ("existencias-insuficientes", "pedido-cancelado"):
            self._memory.told(order, "CANCELADO", slug(answer))
        else:
            self._memory.unexpected(order, "place", answer)
        return order

    async def complete(self, order: Order, *, rivals: bool = False) -> None:
        answer = await self._insist("POST", f"/pedidos/{order.pedido_id}/completar", self._cluster.admin)
        self._ended(order, "complete", answer, ("reserva-expirada",), rivals)

    async def cancel(self, order: Order, *, rivals: bool = False) -> None:
        answer = await self._insist("POST", f"/pedidos/{order.pedido_id}/cancelar", self._headers)
        self._ended(order, "cancel", answer, (), rivals)

    async def read(self, order: Order) -> None:
        answer = await self._insist("GET", f"/pedidos/{order.pedido_id}", self._headers)
        if answer.status_code == 200:
            self._memory.told(order, answer.json()["estado"], "read")
        else:
            self._memory.unexpected(order, "read", answer)

    async def _decide(self, order: Order) -> None:
        choice = self._random.random()
        if choice < 0.5:
            await self.complete(order)
        elif choice < 0.75:
            await self.cancel(order)
        elif choice < 0.85:
            await asyncio.gather(self.complete(order, rivals=True), self.cancel(order, rivals=True))

    def _ended(self, order: Order, doing: str, answer: httpx2.Response, cancelled: Sequence[str], rivals: bool) -> None:
        if answer.status_code == 200:
            self._memory.told(order, answer.json()["estado"], doing)
        elif slug(answer) in cancelled:
            self._memory.told(order, "CANCELADO", f"{doing}: {slug(answer)}")
        elif not (rivals and slug(answer) == "transicion-invalida"):
            self._memory.unexpected(order, doing, answer)

    async def _post_order(self, order: Order) -> httpx2.Response:
        headers = self._headers | {"Idempotency-Key": order.key}
        return await self._insist("POST", "/pedidos", headers, {"lineas": order.lines})

    async def _place_again(self, order: Order, first: httpx2.Response) -> None:
        again = await self._post_order(order)
        if (again.status_code, again.json()) != (201, order.body) or again.headers["etag"] != first.headers["etag"]:
            self._memory.unexpected(order, "place again", again)

    async def _insist(self, method: str, path: str, headers: Mapping[str, str], body: Any = None) -> httpx2.Response:
        url = f"{self._cluster.urls['pedidos']}{path}"
        return await insist(self._cluster, self._memory, method, url, headers=dict(headers), json=body)

    def _lines(self) -> list[dict[str, Any]]:
        products = self._random.sample(self._products, min(len(self._products), self._random.choice((1, 1, 2))))
        return [{"producto_id": product, "cantidad": self._random.randint(1, 3)} for product in products]


async def insist(cluster: Cluster, memory: Memory, method: str, url: str, **options: Any) -> httpx2.Response:
    """The final answer. Raises `AssertionError` if none comes."""
    deadline, last = time.monotonic() + memory.patience_seconds, "nothing"
    while time.monotonic() < deadline:
        try:
            answer = await cluster.http.request(method, url, **options)
            last = f"{answer.status_code} {slug(answer)}"
            if slug(answer) not in NOT_FINAL:
                memory.answers[last.strip()] += 1
                return answer
            wait = min(float(answer.headers.get("retry-after", 0)), LONGEST_WAIT_SECONDS)
        except httpx2.TransportError as error:
            last, wait = type(error).__name__, 0
        memory.answers[last] += 1
        await asyncio.sleep(wait + random.uniform(0.1, 0.4))  # noqa: S311  # so that not all come at once
    raise AssertionError(f"{method} {url}: no final answer in {memory.patience_seconds:g} s, at last {last}")


def until(moment: float) -> Callable[[], bool]:
    """Open until that moment (monotonic)."""
    return lambda: time.monotonic() < moment


async def shopping(
    cluster: Cluster,
    memory: Memory,
    products: Sequence[str],
    *,
    customers: int,
    is_open: Callable[[], bool],
    seed: int,
    hands: int = HANDS,
) -> None:
    """So many customers while it is open; returns when each has the answer to its last request."""
    async with asyncio.TaskGroup() as group:
        for number in range(customers):
            customer = Customer(cluster, memory, f"cliente-{number}", products, seed * 1000 + number)
            group.create_task(customer.shop(is_open, PAUSE_SECONDS, hands))
