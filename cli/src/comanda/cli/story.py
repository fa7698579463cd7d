"""The demo's story, step by step. Each line that it tells was compared with what the services answered."""

import os
import secrets
import signal
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2

from comanda.cli.api import Api, slug
from comanda.cli.errors import CommandFailed
from comanda.cli.installation import Installation
from comanda.cli.narrator import Narrator

FAILURES_THAT_OPEN = 5
AT_ONCE_SECONDS = 0.1
CLOCK_TOLERANCE_SECONDS = 1.0
"""The circuit opened a little before we could see it."""
PATIENCE_SECONDS = 20


class Story:
    """One customer, one administrator, one bad day of inventario.

    Args:
        breaker_seconds: how long pedidos was told to leave an open circuit alone.
    """

    def __init__(self, installation: Installation, narrator: Narrator, breaker_seconds: float) -> None:
        self._installation = installation
        self._narrator = narrator
        self._breaker_seconds = breaker_seconds
        self._nobody = installation.api()
        self._products: list[dict[str, Any]] = []
        self._killed_pid = 0
        self._opened_at = 0.0

    def tell(self, admin_email: str, admin_password: str) -> None:
        self._admin = self._nobody.login(admin_email, admin_password)
        self._customer = self._join()
        self._browse()
        order = self._buy()
        self._ask_for_too_much()
        key, interrupted = self._break_inventario()
        self._recover(key, interrupted)
        self._deliver(order)
        self._audit()

    def _join(self) -> Api:
        self._narrator.chapter("A customer registers and logs in")
        email, password = f"luis-{secrets.token_hex(3)}@example.com", secrets.token_urlsafe(18)
        user = {"email": email, "password": password, "nombre": "Luis"}
        answer = self._nobody.request("auth", "POST", "/auth/usuarios", json=user)
        self._narrator.claim(f"POST /auth/usuarios: {email} is a cliente", _brief(answer, "rol"), (201, "cliente"))
        customer = self._nobody.login(email, password)
        me = customer.request("auth", "GET", "/auth/yo")
        self._narrator.claim("POST /auth/token: the access token speaks for them", _brief(me, "email"), (200, email))
        return customer

    def _browse(self) -> None:
        self._narrator.chapter("The catalogue, and what is in stock")
        self._products = list(self._customer.all("productos", "/productos", activo="true"))[:4]
        rows = [
            (product["sku"], product["nombre"], f"{product['precio']} {product['moneda']}", str(self._stock(index)[0]))
            for index, product in enumerate(self._products)
        ]
        self._narrator.table("sku", "nombre", "precio", "disponible", rows=rows)
        self._narrator.claim("GET /productos: products with prices and stock", len(rows), 4)

    def _buy(self) -> dict[str, Any]:
        self._narrator.chapter("An order holds its stock")
        answer = self._order({0: 2, 1: 1})
        self._narrator.claim(
            "POST /pedidos: 2 of the first, 1 of the second", _brief(answer, "estado"), (201, "PENDIENTE")
        )
        order: dict[str, Any] = answer.json()
        self._narrator.fact(f"the total is {order['total']} {order['moneda']}")
        self._narrator.claim("disponible went from 100 to 98, fisico is still 100", self._stock(0), (98, 100))
        return order

    def _ask_for_too_much(self) -> None:
        self._narrator.chapter("Nobody sells what is not there")
        answer = self._order({2: 1000})
        refusal = answer.status_code, slug(answer)
        self._narrator.claim("1000 of the third are refused", refusal, (409, "existencias-insuficientes"))
        missing = answer.json()["faltantes"]
        expected = [{"producto_id": self._products[2]["id"], "solicitado": 1000, "disponible": 100}]
        self._narrator.claim("faltantes: 1000 asked for, 100 there", missing, expected)

    def _break_inventario(self) -> tuple[str, str]:
        """The key and id of an order that inventario's death interrupted."""
        self._narrator.chapter("inventario is killed with SIGKILL")
        pid = self._installation.service_pid("inventario")
        self._killed_pid = pid
        os.kill(pid, signal.SIGKILL)
        keys = [str(uuid.uuid4()) for _ in range(FAILURES_THAT_OPEN)]
        with ThreadPoolExecutor(FAILURES_THAT_OPEN) as pool:
            answers = list(pool.map(lambda key: self._order({3: 1}, key), keys))
        found = [(answer.status_code, slug(answer)) for answer in answers]
        text = f"{FAILURES_THAT_OPEN} orders fail after their retries"
        self._narrator.claim(text, found, [(503, "servicio-no-disponible")] * FAILURES_THAT_OPEN)
        self._narrator.claim("pedidos' circuit to inventario opens", self._circuit(), "ABIERTO")
        self._opened_at = time.monotonic()
        began = time.perf_counter()
        refused = self._order({3: 1})
        seconds = time.perf_counter() - began
        text = f"the next order is refused at once: 503 in {seconds * 1000:.0f} ms"
        self._narrator.claim(text, (refused.status_code, seconds < AT_ONCE_SECONDS), (503, True))
        return keys[0], answers[0].json()["pedido_id"]

    def _recover(self, key: str, interrupted: str) -> None:
        self._narrator.chapter("It comes back by itself")
        new_pid = self._wait("the supervisor starts inventario", self._restarted)
        self._narrator.fact(f"the supervisor started inventario again (pid {self._killed_pid} → {new_pid})")
        another = str(uuid.uuid4())
        self._wait("an order passes", lambda: self._order({3: 1}, another).status_code == 201)
        seconds = time.monotonic() - self._opened_at
        waited = seconds > self._breaker_seconds - CLOCK_TOLERANCE_SECONDS
        self._narrator.claim(f"{seconds:.1f} s after the circuit opened, an order passes", waited, True)
        self._narrator.claim("the circuit is closed", self._circuit(), "CERRADO")
        answer = self._order({3: 1}, key)
        text = "the interrupted order, sent again with its Idempotency-Key, is the same order"
        self._narrator.claim(text, _brief(answer, "id"), (201, interrupted))

    def _deliver(self, order: dict[str, Any]) -> None:
        self._narrator.chapter("The administrator completes the first order")
        answer = self._admin.request("pedidos", "POST", f"/pedidos/{order['id']}/completar")
        self._narrator.claim("POST /pedidos/…/completar", _brief(answer, "estado"), (200, "COMPLETADO"))
        self._narrator.claim("fisico went from 100 to 98", self._stock(0), (98, 98))

    def _audit(self) -> None:
        self._narrator.chapter("comanda verify: do all services agree?")
        result = self._installation.run("verify")
        self._narrator.claim(result.stdout.strip() or result.stderr.strip(), result.returncode, 0)

    def _order(self, quantities: dict[int, int], key: str | None = None) -> httpx2.Response:
        lines = [{"producto_id": self._products[index]["id"], "cantidad": count} for index, count in quantities.items()]
        headers = {"Idempotency-Key": key or str(uuid.uuid4())}
        return self._customer.request("pedidos", "POST", "/pedidos", json={"lineas": lines}, headers=headers)

    def _stock(self, index: int) -> tuple[int, int]:
        """disponible and fisico of a product."""
        answer = self._customer.get("inventario", f"/inventario/{self._products[index]['id']}")
        if answer is None:
            raise CommandFailed(f"{self._products[index]['sku']} has no stock")
        stock = answer.json()
        return stock["disponible"], stock["fisico"]

    def _circuit(self) -> str:
        circuits = self._admin.request("pedidos", "GET", "/circuitos").json()
        return next((str(one["estado"]) for one in circuits if one["nombre"] == "inventario"), f"not in {circuits}")

    def _restarted(self) -> int:
        pid = self._installation.service_pid("inventario")
        return pid if pid != self._killed_pid else 0

    def _wait(self, what: str, succeeds: Callable[[], int]) -> int:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            if result := succeeds():
                return result
            time.sleep(0.1)
        raise CommandFailed(f"{what}: not within {PATIENCE_SECONDS} s")


def _brief(answer: httpx2.Response, member: str) -> tuple[int, Any]:
    """The status and one member of the body: enough to compare, and to see what went wrong."""
    document = answer.json()
    return answer.status_code, document.get(member, slug(answer) or document)
