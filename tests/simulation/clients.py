"""Clients: they order, hesitate, retry, give up, retry wrongly, and remember everything they were told."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from json import dumps
from random import Random
from typing import Any
from uuid import UUID

import httpx2

from simulation.history import History, Told
from simulation.network import Message, Network
from simulation.trace import Trace

PATIENCE_SECONDS = 4.0
"""How long a client waits for an answer: shorter than the longest request takes, so that some are left alone."""

TRIES = 4


class Client:
    """One person with a browser; every one may also act as the shop's admin.

    Args:
        products: what can be ordered; the last ones do not exist, are not for sale, or have no stock yet.
    """

    def __init__(
        self, name: str, random: Random, network: Network, history: History, trace: Trace, products: list[UUID]
    ) -> None:
        self.name = name
        self._random = random
        self._network = network
        self._history = history
        self._trace = trace
        self._products = products
        self._orders: list[str] = []
        self._placed: list[Message] = []
        self._unheard: dict[str, Message] = {}
        self._serial = 0
        self._asked = 0
        self._operations: list[tuple[Callable[[], Any], int]] = [
            (self.place, 13),
            (self.place_again, 2),
            (self.complete, 10),
            (self.cancel, 4),
            (self.complete_and_cancel, 2),
            (self.read, 41),
            (self.move, 9),
            (self.read_stock, 18),
            (self.open_stock, 1),
        ]

    async def shop(self, operations: int, hurry_seconds: float) -> None:
        """Does that many operations, with pauses between them."""
        doing, weights = zip(*self._operations, strict=True)
        for _ in range(operations):
            await asyncio.sleep(self._random.expovariate(1 / hurry_seconds))
            self._history.operations += 1
            asked = self._asked
            while self._asked == asked:  # there may be no order yet to do something about
                await self._random.choices(doing, weights)[0]()

    async def place(self) -> None:
        message = self._new_order()
        self._placed.append(message)
        if self._random.random() < 0.1:  # a double click
            await asyncio.gather(self._insist(message), self._insist(message))
            return
        told = await self._insist(message)
        if "pedido_id" in told.body and not told.definite and self._random.random() < 0.3:  # has lost patience
            await self._insist(self._about(told.body["pedido_id"], "cancelar"), tries=2)

    async def place_again(self) -> None:
        """Sends an old order again, as it was or (wrongly) with another body under the same key."""
        if not self._placed:
            return
        message = self._random.choice(self._placed)
        if self._random.random() < 0.3:
            message = Message("POST", "/pedidos", self._new_order().body, {}, message.headers, self.name)
        if "Idempotency-Key" in message.headers:
            await self._insist(message)

    async def complete(self) -> None:
        if self._orders:
            await self._insist(self._about(self._recent_order(), "completar", everything=True), tries=2)

    async def cancel(self) -> None:
        if self._orders:
            await self._insist(self._about(self._recent_order(), "cancelar"), tries=2)

    async def complete_and_cancel(self) -> None:
        """The shop completes an order while the client cancels it."""
        if self._orders:
            pedido_id = self._recent_order()
            ways = self._about(pedido_id, "completar", everything=True), self._about(pedido_id, "cancelar")
            await asyncio.gather(*(self._insist(message, tries=2) for message in ways))

    async def read(self) -> None:
        if self._orders:
            await self._ask(Message("GET", f"/pedidos/{self._recent_order()}", subject=self.name))

    async def read_stock(self) -> None:
        await self._ask(Message("GET", f"/inventario/{self._random.choice(self._products[:3])}"))

    async def open_stock(self) -> None:
        body = {"producto_id": str(self._products[3]), "cantidad": 40}
        await self._insist(Message("POST", "/inventario", dumps(body).encode()), tries=2)

    async def move(self) -> None:
        """Goods come in, go out, or are counted anew."""
        product, self._serial = self._random.choice(self._products[:4]), self._serial + 1
        body: dict[str, Any] = {"motivo": f"{self.name}/{self._serial}"}
        body["tipo"] = self._random.choice(("ENTRADA", "ENTRADA", "SALIDA", "AJUSTE"))
        body["cantidad"] = self._random.randint(1, 15)
        if body["tipo"] == "AJUSTE":
            seen = await self._ask(Message("GET", f"/inventario/{product}"))
            if seen.status != 200:
                return
            body["fisico_esperado"] = seen.body["fisico"]
            body["cantidad"] = max(0, body["fisico_esperado"] + self._random.randint(-6, 12))
        headers = {} if self._random.random() < 0.2 else {"Idempotency-Key": f"m{self._serial}"}
        message = Message("POST", f"/inventario/{product}/movimientos", dumps(body).encode(), {}, headers, self.name)
        if "Idempotency-Key" in headers and self._random.random() < 0.1:
            await asyncio.gather(self._insist(message), self._insist(message))
        else:
            await self._insist(message)

    async def ask_again(self) -> None:
        """When all is well again: asks about keys of which it never heard the end, and once more about some other.

        A key may stay leased until its lease ends by the slowest clock, but not for ever.
        """
        keyed = [message for message in self._placed if "Idempotency-Key" in message.headers]
        for message in [*self._unheard.values()][:3] + keyed[-1:]:
            for _ in range(30):
                told = await self._ask(message)
                if told.definite:
                    break
                await asyncio.sleep(5)
            else:
                told.hopeless = True

    def _new_order(self) -> Message:
        self._serial += 1
        count = self._random.choice((1, 1, 2, 2, 3))
        likely = self._products[:3] if self._random.random() < 0.94 else self._products
        body: dict[str, Any] = {
            "lineas": [
                {"producto_id": str(product), "cantidad": self._random.randint(1, 9)}
                for product in self._random.sample(likely, count)
            ]
        }
        if self._random.random() < 0.03:
            body["total_esperado"] = 1
        headers = {} if self._random.random() < 0.15 else {"Idempotency-Key": f"k{self._serial}"}
        return Message("POST", "/pedidos", dumps(body).encode(), {}, headers, self.name)

    def _about(self, pedido_id: str, verb: str, *, everything: bool = False) -> Message:
        tag = f'"{self._random.randint(1, 4)}"'
        headers = {"If-Match": tag} if self._random.random() < 0.05 else {}
        return Message("POST", f"/pedidos/{pedido_id}/{verb}", None, {}, headers, self.name, everything)

    def _recent_order(self) -> str:
        return self._orders[-1 - min(int(self._random.expovariate(1.0)), len(self._orders) - 1)]

    async def _insist(self, message: Message, tries: int = TRIES) -> Told:
        """Sends it until an answer is definite, patience ends, or a second try could do harm; what it was told last."""
        for attempt in range(tries):
            told = await self._ask(message)
            repeatable = message.path != "/pedidos" or "Idempotency-Key" in message.headers
            if told.definite or not repeatable or self._random.random() < 0.1:
                break
            await asyncio.sleep(self._random.choice((0.01, 0.3, 1, 3)) * (attempt + 1))
        return told

    async def _ask(self, message: Message) -> Told:
        service = "pedidos" if message.path.startswith("/pedidos") else "inventario"
        loop = asyncio.get_running_loop()
        asked_at, reply = loop.time(), None
        self._asked += 1
        self._trace.add(self.name, "asks", str(message) if self._trace.keep else "")
        with suppress(httpx2.RequestError):
            reply = await self._network.exchange(self.name, service, message, PATIENCE_SECONDS)
        told = Told(asked_at, loop.time(), self.name, message, reply)
        heard = f"{reply.status} {reply.content.decode()}" if self._trace.keep and reply else "nothing"
        self._trace.add(self.name, "is told", heard)
        self._history.told.append(told)
        if told.key:
            self._unheard.pop(told.key, None)
            if not told.definite:
                self._unheard[told.key] = message
        if message.method == "POST" and message.path == "/pedidos" and reply is not None:
            self._remember(told.body)
        return told

    def _remember(self, body: dict[str, Any]) -> None:
        pedido_id = body.get("id") or body.get("pedido_id")
        if pedido_id and pedido_id not in self._orders:
            self._orders.append(pedido_id)
