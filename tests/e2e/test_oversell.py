"""A flash sale: many customers at once, not enough for all."""

import asyncio
from collections import Counter
from collections.abc import Callable

import httpx2
from e2e.helpers import new_customer

from comanda.cli.api import Api, slug
from comanda.cli.installation import Installation

CLIENTS, ORDERS, STOCK = 32, 400, 100


class TestVentaRelampago:
    async def test_ni_uno_de_mas_ni_uno_de_menos(
        self, comanda: Installation, admin: Api, product: Callable[[int], str]
    ) -> None:
        product_id = product(STOCK)
        tokens = [new_customer(comanda).headers("pedidos") for _ in range(4)]
        pending = iter(range(ORDERS))
        answers: Counter[tuple[int, str]] = Counter()

        async def client(number: int) -> None:
            order = {"lineas": [{"producto_id": product_id, "cantidad": 1}]}
            async with httpx2.AsyncClient(base_url=comanda.address("pedidos"), timeout=30) as session:
                for turn in pending:
                    headers = tokens[number % len(tokens)] | {"Idempotency-Key": f"{product_id}-{turn}"}
                    answer = await session.post("/pedidos", json=order, headers=headers)
                    answers[answer.status_code, slug(answer)] += 1

        await asyncio.gather(*(client(number) for number in range(CLIENTS)))

        assert answers == {(201, ""): STOCK, (409, "existencias-insuficientes"): ORDERS - STOCK}
        stock = admin.request("inventario", "GET", f"/inventario/{product_id}").json()
        assert (stock["fisico"], stock["reservado"], stock["disponible"]) == (STOCK, STOCK, 0)
        audit = comanda.run("verify")
        assert (audit.returncode, audit.stderr) == (0, "")
