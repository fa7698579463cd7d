"""Requests that tests of the interface share."""

from typing import Any

import httpx2
import pytest

ADMIN = ("pedidos:leer", "pedidos:gestionar", "operaciones:leer")

before_the_database = pytest.mark.parametrize("databases", ["sqlite"], indirect=True)
"""For what is refused, or decided, before either database is asked."""


def lineas(*pares: tuple[Any, Any]) -> dict[str, Any]:
    return {"lineas": [{"producto_id": producto_id, "cantidad": cantidad} for producto_id, cantidad in pares]}


async def pedir(client: httpx2.AsyncClient, vecinos: Any, **options: Any) -> dict[str, Any]:
    response = await client.post("/pedidos", json=lineas((vecinos.producto(), 2)), **options)
    assert response.status_code == 201, response.text
    documento: dict[str, Any] = response.json()
    return documento
