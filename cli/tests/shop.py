"""A shop small enough to be damaged by hand."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx2
from fakes import api, page, problem

from comanda.cli.api import Api
from comanda.cli.audit_times import Limits
from comanda.cli.repair_plan import Remedy
from comanda.cli.verify import Verification
from comanda.cli.verify_reading import Reader
from comanda.cli.verify_report import Report
from comanda.cli.verify_settle import Watch

AGO = "2026-01-01T00:00:00Z"
LATER = "9999-01-01T00:00:00Z"
LIMITS = Limits(
    order=timedelta(minutes=20),
    reservation=timedelta(minutes=1),
    round=timedelta(minutes=2),
    abandon=timedelta(minutes=5),
)


class FakeWatch(Watch):
    """Time that passes when somebody pauses, and only then."""

    def __init__(self) -> None:
        self.pauses: list[float] = []

    def elapsed_seconds(self) -> float:
        return sum(self.pauses)

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)


class Shop:
    """One product, one order, one reservation. `on_request` may change them before each answer."""

    def __init__(self) -> None:
        lines = [{"producto_id": "p1", "cantidad": 2}]
        self.pedidos: dict[str, dict[str, Any]] = {
            "o1": {"id": "o1", "estado": "PENDIENTE", "fase": "RESERVADO", "lineas": lines}
        }
        self.pedidos["o1"] |= {"actualizado_en": AGO, "reserva_expira_en": LATER}
        self.reservas: dict[str, dict[str, Any]] = {
            "o1": {"pedido_id": "o1", "estado": "ACTIVA", "lineas": lines, "expira_en": LATER}
        }
        self.stock: dict[str, Any] = {"producto_id": "p1", "fisico": 5, "reservado": 2}
        self.ledger = [5]
        self.watch = FakeWatch()
        self.circuits: list[dict[str, Any]] = []
        self.date = ""
        self.sold: str | None = None
        self.version = 1
        self.knows_product = self.lists_product = True
        self.requests: list[str] = []
        self.on_request: Callable[[str], None] = lambda _: None

    def answer(self, request: httpx2.Request) -> httpx2.Response:
        answer = self._answer(request)
        if self.date:
            answer.headers["date"] = self.date
        return answer

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        path = request.url.path
        self.requests.append(path)
        self.on_request(path)
        if path == "/pedidos":
            return page(list(self.pedidos.values()))
        if path == "/reservas":
            wanted = request.url.params.get("estado")
            return page([one for one in self.reservas.values() if wanted in (None, one["estado"])])
        if path == "/circuitos":
            return httpx2.Response(200, json=self.circuits)
        if path == "/inventario":
            return page([self._stock()] if self.lists_product else [])
        if path == "/inventario/p1" and self.knows_product:
            return httpx2.Response(200, json=self._stock(), headers={"etag": f'"{self.version}"'})
        if path == "/inventario/p1/movimientos" and (self.knows_product or self.lists_product):
            sale = {"tipo": "VENTA" if self.sold else "ENTRADA", "pedido_id": self.sold}
            return page([{"cantidad": change, **sale} for change in self.ledger])
        kind, identifier = path.strip("/").split("/")
        found = {"pedidos": self.pedidos, "reservas": self.reservas}.get(kind, {}).get(identifier)
        return httpx2.Response(200, json=found) if found else problem(404, "no-encontrado")

    def verified(self) -> Report:
        with api(self.answer) as client:
            return Verification(client, self.reader(client)).run()

    def reader(self, client: Api) -> Reader:
        return Reader(client, LIMITS, lambda: self.watch)

    def _stock(self) -> dict[str, Any]:
        return self.stock | {"disponible": self.stock["fisico"] - self.stock["reservado"]}


class Hands:
    """Writers that change the shop, or answer something else."""

    def __init__(self, shop: Shop, answer: str = "200") -> None:
        self.shop = shop
        self.answer = answer
        self.sent: list[Remedy] = []

    def send(self, remedy: Remedy) -> str:
        self.sent.append(remedy)
        if self.answer == "200" and remedy.action == "cancelar":
            self.shop.pedidos["o1"] |= {"estado": "CANCELADO", "fase": "CANCELADO"}
        if self.answer == "200" and remedy.action == "liberar":
            self.shop.reservas["o1"]["estado"] = "LIBERADA"
        return self.answer
