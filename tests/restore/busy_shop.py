"""A shop in which people order and the stock moves, until its services stop."""

import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from e2e.helpers import ADMIN, new_customer, new_product

from comanda.cli.api import Api
from comanda.cli.installation import Installation

CUSTOMERS = 4
PRODUCTS = 4
STOCK = 30
"""Few enough to run out, so that goods that have just come in are sold at once."""

PAUSE_SECONDS = 0.03
PATIENCE_SECONDS = 60


@dataclass
class Ended:
    """An order that somebody was told to have ended, and when (monotonic)."""

    pedido_id: str
    estado: str
    at: float


@dataclass
class BusyShop:
    """Threads that use an installation; each ends with the first answer that it cannot use."""

    comanda: Installation
    seed: int
    ended: list[Ended] = field(default_factory=list)
    placed: int = 0
    _threads: list[threading.Thread] = field(default_factory=list)
    _products: list[str] = field(default_factory=list)
    _closed: threading.Event = field(default_factory=threading.Event)

    def open(self) -> None:
        admin = self.comanda.api().login(*ADMIN)
        self._products = [new_product(admin, STOCK) for _ in range(PRODUCTS)]
        jobs: list[Callable[[random.Random], None]] = [self._manage(admin)]
        jobs += [self._shop(new_customer(self.comanda), admin) for _ in range(CUSTOMERS)]
        for number, job in enumerate(jobs):
            source = random.Random(self.seed * 100 + number)  # noqa: S311  # reproducible on purpose
            self._threads.append(threading.Thread(target=self._repeat, args=(job, source)))
            self._threads[-1].start()

    def wait_for(self, placed: int) -> None:
        """Until people have placed so many orders."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self.placed < placed:
            assert time.monotonic() < deadline, f"only {self.placed} orders in {PATIENCE_SECONDS} s"
            time.sleep(0.05)

    def close(self) -> None:
        self._closed.set()
        for thread in self._threads:
            thread.join(60)

    def _repeat(self, job: Callable[[random.Random], None], source: random.Random) -> None:
        with suppress(Exception):  # whatever it is: the services are stopped under its hands
            while not self._closed.is_set():
                job(source)
                time.sleep(PAUSE_SECONDS * source.random() * 2)

    def _shop(self, customer: Api, admin: Api) -> Callable[[random.Random], None]:
        def job(source: random.Random) -> None:
            chosen = source.sample(self._products, source.choice((1, 1, 2)))
            order = {"lineas": [{"producto_id": product, "cantidad": source.randint(1, 3)} for product in chosen]}
            key = {"Idempotency-Key": uuid4().hex}
            answer = customer.request("pedidos", "POST", "/pedidos", json=order, headers=key)
            if answer.status_code != 201:
                return
            self.placed += 1
            verb, who = source.choice((("completar", admin), ("completar", admin), ("cancelar", customer), ("", admin)))
            if verb:
                self._end(who, str(answer.json()["id"]), verb)

        return job

    def _end(self, who: Api, pedido_id: str, verb: str) -> None:
        answer = who.request("pedidos", "POST", f"/pedidos/{pedido_id}/{verb}")
        if answer.status_code == 200:
            self.ended.append(Ended(pedido_id, answer.json()["estado"], time.monotonic()))

    def _manage(self, admin: Api) -> Callable[[random.Random], None]:
        def job(source: random.Random) -> None:
            product = source.choice(self._products)
            path = f"/inventario/{product}/movimientos"
            choice = source.random()
            if choice < 0.7:
                self._post(admin, path, {"tipo": "ENTRADA", "cantidad": source.randint(1, 20)})
            elif choice < 0.8:
                self._post(admin, path, {"tipo": "SALIDA", "cantidad": 1})
            elif choice < 0.9:
                count = admin.request("inventario", "GET", f"/inventario/{product}").json()["fisico"]
                self._post(admin, path, {"tipo": "AJUSTE", "cantidad": count + 1, "fisico_esperado": count})
            else:
                self._products.append(new_product(admin, source.randint(1, 9)))
                new_customer(self.comanda)

        return job

    def _post(self, admin: Api, path: str, body: dict[str, Any]) -> None:
        admin.request("inventario", "POST", path, json=body)
