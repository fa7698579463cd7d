"""Customers of a Comanda with several processes of each service, who do not ask the same one twice in a row.

What was written through one replica they read at another. Each order carries an idempotency key, and every other one is
sent to two replicas at the same moment; orders are completed and cancelled by two replicas at once, too.
"""

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx2

from comanda.cli.api import slug

PATIENCE_SECONDS = 15
PASSWORD = "tres gatos verdes en el tejado"  # of accounts that live as long as a test
PATHS = {"auth": "/auth/yo", "productos": "/productos", "inventario": "/inventario", "pedidos": "/pedidos"}

Headers = Mapping[str, str]
Ending = tuple[str, str]
"""What two replicas are asked to do with an order: `completar` or `cancelar`, each."""


class Shop:
    """The replicas of each service.

    Args:
        replicas: their addresses; one address with several workers behind it is named once for each.
    """

    def __init__(self, http: httpx2.AsyncClient, replicas: Mapping[str, Sequence[str]]) -> None:
        self.replicas = replicas
        self._http = http
        self._turns = itertools.count()

    def two(self, service: str) -> tuple[str, str]:
        """Two replicas, each of them first in turn."""
        turn, urls = next(self._turns), self.replicas[service]
        return urls[turn % len(urls)], urls[(turn + 1) % len(urls)]

    async def ask(self, url: str, method: str, path: str, headers: Headers, body: Any = None) -> httpx2.Response:
        """The answer of that replica, asked again as long as it says so."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            answer = await self._http.request(method, url + path, headers=dict(headers), json=body)
            again = slug(answer) in ("peticion-en-curso", "servicio-no-disponible")
            if not again or time.monotonic() > deadline:
                return answer
            await asyncio.sleep(0.05)

    async def customer(self) -> dict[str, str]:
        """The headers of a new customer."""
        email = f"{uuid4().hex}@example.com"
        user = {"email": email, "password": PASSWORD, "nombre": "Ana"}
        made = await self.ask(self.two("auth")[0], "POST", "/auth/usuarios", {}, user)
        assert made.status_code == 201, made.text
        return await self.login(email, PASSWORD)

    async def login(self, email: str, password: str) -> dict[str, str]:
        """The headers of that user, who logs in at one replica of auth and goes on with the session at the other."""
        one, other = self.two("auth")
        tokens = await self._tokens(one, grant_type="password", username=email, password=password)
        renewed = await self._tokens(other, grant_type="refresh_token", refresh_token=tokens["refresh_token"])
        for token in (tokens["access_token"], renewed["access_token"]):
            await self._accepted_everywhere({"Authorization": f"Bearer {token}"})
        return {"Authorization": f"Bearer {renewed['access_token']}"}

    async def product(self, admin: Headers, stock: int) -> str:
        """A new product with that stock."""
        data = {"sku": f"R-{uuid4().hex[:12]}", "nombre": "Producto", "precio": "2.50"}
        product = await self._made("productos", "/productos", admin, data)
        existencias = {"producto_id": product["id"], "cantidad": stock}
        return str((await self._made("inventario", "/inventario", admin, existencias))["producto_id"])

    async def same(self, url: str, path: str, headers: Headers, made: httpx2.Response) -> None:
        """What another replica has just written is read at this one."""
        read = await self.ask(url, "GET", path, headers)
        assert (read.status_code, read.json()) == (200, made.json())
        assert read.headers["etag"] == made.headers["etag"]

    async def _made(self, service: str, path: str, admin: Headers, data: Any) -> dict[str, Any]:
        one, other = self.two(service)
        made = await self.ask(one, "POST", path, admin, data)
        assert made.status_code == 201, made.text
        document: dict[str, Any] = made.json()
        await self.same(other, f"{path}/{document.get('id') or document['producto_id']}", admin, made)
        return document

    async def _tokens(self, url: str, **fields: str) -> dict[str, str]:
        answer = await self._http.post(f"{url}/auth/token", data=fields)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def _accepted_everywhere(self, headers: Headers) -> None:
        for service, urls in self.replicas.items():
            for url in urls:
                answer = await self.ask(url, "GET", PATHS[service], headers)
                assert answer.status_code == 200, (url, answer.text)


@dataclass
class Sold:
    """What all customers together were told."""

    answers: Counter[tuple[str, int, str]] = field(default_factory=Counter)
    """How often an order for that product was answered so."""
    pedidos: dict[str, str] = field(default_factory=dict)
    """In which state each order ended."""
    units: Counter[str] = field(default_factory=Counter)
    """How many of each product were in completed orders."""


class Customer:
    """Args: address: the one that stands for all replicas of pedidos."""

    def __init__(self, shop: Shop, address: str, headers: Headers, admin: Headers, sold: Sold) -> None:
        self._shop = shop
        self._address = address
        self._headers = {"cancelar": headers, "completar": admin}
        self._sold = sold

    async def buy(self, product_id: str, ending: Ending, *, twice: bool) -> None:
        """Orders one unit, and has the order ended if there is one."""
        headers = {**self._headers["cancelar"], "Idempotency-Key": uuid4().hex}
        body = {"lineas": [{"producto_id": product_id, "cantidad": 1}]}
        urls = self._shop.two("pedidos") if twice else (self._address,)
        answer = _one(await self._at_once(urls, [("POST", "/pedidos", headers, body) for _ in urls]))
        self._sold.answers[product_id, answer.status_code, slug(answer)] += 1
        pedido_id, estado = answer.json().get("pedido_id"), "CANCELADO"
        if answer.status_code == 201:
            pedido_id = answer.json()["id"]
            await self._shop.same(self._shop.two("pedidos")[0], f"/pedidos/{pedido_id}", headers, answer)
            estado = await self._end(pedido_id, ending)
        assert pedido_id not in self._sold.pedidos
        self._sold.pedidos[pedido_id] = estado
        self._sold.units[product_id] += estado == "COMPLETADO"

    async def _end(self, pedido_id: str, ending: Ending) -> str:
        """Lets two replicas end the order at once, and says how it ended."""
        requests = [("POST", f"/pedidos/{pedido_id}/{verb}", self._headers[verb], None) for verb in ending]
        answers = await self._at_once(self._shop.two("pedidos"), requests)
        told = {answer.json()["estado"] if answer.status_code == 200 else slug(answer) for answer in answers}
        estados = told - ({"transicion-invalida"} if len(set(ending)) > 1 else set())
        assert len(estados) == 1, told
        read = await self._shop.ask(self._address, "GET", f"/pedidos/{pedido_id}", self._headers["cancelar"])
        assert read.json()["estado"] in estados, (told, read.text)
        return str(read.json()["estado"])

    async def _at_once(self, urls: Sequence[str], requests: Sequence[Any]) -> list[httpx2.Response]:
        pairs = zip(urls, requests, strict=True)
        return await asyncio.gather(*(self._shop.ask(url, *request) for url, request in pairs))


def _one(answers: Sequence[httpx2.Response]) -> httpx2.Response:
    """The answer that all are: one first given, the others replayed."""
    first = answers[0]
    for answer in answers[1:]:
        assert (answer.status_code, answer.json()) == (first.status_code, first.json())
        assert answer.headers.get("etag") == first.headers.get("etag")
    replayed = sum("idempotent-replayed" in answer.headers for answer in answers)
    assert replayed == len(answers) - 1, [answer.headers for answer in answers]
    return first
