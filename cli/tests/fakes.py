"""Services made of a dictionary: what a client of theirs sees, without any process."""

from collections.abc import Callable
from typing import Any

import httpx2

from comanda.cli.api import Api

URLS = {name: f"http://{name}" for name in ("auth", "productos", "inventario", "pedidos")}
Handler = Callable[[httpx2.Request], httpx2.Response]


def api(handler: Handler) -> Api:
    return Api(URLS, lambda service: f"token for {service}", httpx2.Client(transport=httpx2.MockTransport(handler)))


def page(elements: list[dict[str, Any]], following: str | None = None) -> httpx2.Response:
    return httpx2.Response(200, json={"elementos": elements, "siguiente": following})


def problem(status: int, slug: str) -> httpx2.Response:
    body = {"type": f"https://comanda.dev/problemas/{slug}", "title": slug, "status": status}
    return httpx2.Response(status, json=body, headers={"content-type": "application/problem+json"})
