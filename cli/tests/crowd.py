"""A shop with any number of orders that exists one page at a time.

`python cli/tests/crowd.py 1000000` verifies one of that size and prints how much memory that took.
"""

import resource
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx2
from fakes import api, page

from comanda.cli.audit_times import Limits
from comanda.cli.environment import load_settings
from comanda.cli.verify import Verification
from comanda.cli.verify_reading import Reader
from comanda.cli.verify_report import Report

PRODUCTS = 100
PER_CYCLE = 10
"""Of ten orders one is RESERVADO, one CANCELADO, eight COMPLETADO; the next ten are of the next product."""

STOCK = 1_000_000
LATER = "9999-01-01T00:00:00Z"
LIMITS = Limits(*(timedelta(minutes=each) for each in (20, 1, 1, 5)))
STATES = [("PENDIENTE", "RESERVADO", "ACTIVA"), ("CANCELADO", "CANCELADO", "LIBERADA")]
STATES += [("COMPLETADO", "COMPLETADO", "CONFIRMADA")] * 8


class Crowd:
    """Args: orders: how many, a multiple of 1000."""

    def __init__(self, orders: int) -> None:
        self._orders = orders
        self._cycles = orders // PER_CYCLE // PRODUCTS  # of each product

    def verified(self, limits: Limits = LIMITS) -> Report:
        with api(self._answer) as client:
            return Verification(client, Reader(client, limits)).run()

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        match request.url.path.strip("/").split("/"):
            case ["pedidos"]:
                return self._page(request, self._orders, self._order)
            case ["reservas"] if request.url.params.get("estado"):
                return self._page(request, self._orders // PER_CYCLE, lambda i: self._reservation(i * PER_CYCLE))
            case ["reservas"]:
                return self._page(request, self._orders, self._reservation)
            case ["inventario"]:
                return self._page(request, PRODUCTS, self._stock)
            case ["inventario", _, "movimientos"]:
                return self._page(request, 1 + 8 * self._cycles, lambda i: {"cantidad": -1 if i else STOCK})
        raise AssertionError(request.url)  # nothing looks wrong, so nothing is read again

    def _page(self, request: httpx2.Request, length: int, make: Callable[[int], dict[str, Any]]) -> httpx2.Response:
        start, limit = int(request.url.params.get("cursor", 0)), int(request.url.params["limite"])
        end = min(length, start + limit)
        return page([make(i) for i in range(start, end)], str(end) if end < length else None)

    def _order(self, i: int) -> dict[str, Any]:
        estado, fase, _ = STATES[i % PER_CYCLE]
        line = {"sku": "CAF-001", "nombre": "Café de Colombia, 250 g", "precio_unitario": "9.90", "importe": "9.90"}
        return {
            "id": self._id(i),
            "cliente_id": self._id(i),
            "estado": estado,
            "fase": fase,
            "lineas": [line | self._line(i)],
            "total": "9.90",
            "moneda": "EUR",
            "motivo": None,
            "reserva_expira_en": LATER,
            "creado_en": LATER,
            "actualizado_en": LATER,
        }

    def _reservation(self, i: int) -> dict[str, Any]:
        estado = STATES[i % PER_CYCLE][2]
        times = {"expira_en": LATER, "creado_en": LATER, "actualizado_en": LATER}
        return {"pedido_id": self._id(i), "estado": estado, "lineas": [self._line(i)], **times}

    def _stock(self, product: int) -> dict[str, Any]:
        fisico, reservado = STOCK - 8 * self._cycles, self._cycles
        quantities = {"fisico": fisico, "reservado": reservado, "disponible": fisico - reservado}
        return {"producto_id": f"{product:036}", **quantities}

    def _line(self, i: int) -> dict[str, Any]:
        return {"producto_id": f"{i // PER_CYCLE % PRODUCTS:036}", "cantidad": 1}

    def _id(self, i: int) -> str:
        return f"{self._orders - i:036x}"  # the newest first


if __name__ == "__main__":
    started = time.monotonic()
    limits = Limits.of(load_settings(("pedidos", "inventario")))  # they weigh more than the orders do
    print(Crowd(int(sys.argv[1])).verified(limits))
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{megabytes:.0f} MB at most, {time.monotonic() - started:.0f} s")
