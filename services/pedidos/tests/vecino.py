"""A neighbour that answers what a test tells it to."""

import json
from typing import Any

import httpx2

from comanda.common.http import Neighbour
from comanda.common.resilience import Circuit
from comanda.common.testing import FakeClock


class Vecino:
    """Answers everything with one response and remembers the requests."""

    def __init__(self, clock: FakeClock) -> None:
        self.requests: list[httpx2.Request] = []
        self.response: httpx2.Response = httpx2.Response(200)
        self.circuit = Circuit(
            "vecino", fail_max=1, timeout_seconds=60, retry_attempts=0, retry_wait_seconds=0, clock=clock
        )
        self.neighbour = Neighbour(
            "inventario",
            "http://vecino",
            circuit=self.circuit,
            timeout_seconds=20,
            authorization=lambda: "t",
            transport=httpx2.MockTransport(self._answer),
        )

    async def _answer(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        return httpx2.Response(self.response.status_code, headers=self.response.headers, content=self.response.content)

    def responde(self, status: int, body: Any = None, *, content: bytes | None = None, **headers: str) -> None:
        raw = json.dumps(body).encode() if content is None else content
        self.response = httpx2.Response(status, content=raw, headers=headers)

    def rechaza(self, status: int, slug: str, **extras: Any) -> None:
        self.responde(status, {"type": f"https://comanda.dev/problemas/{slug}", "status": status, **extras})
