"""A neighbour that answers what a test tells it to."""

import json
from collections.abc import Mapping
from typing import Any

import httpx2
from yarl import URL

from comanda.common.http import Neighbour
from comanda.common.resilience import Circuit
from comanda.common.transport import Reply
from comanda.testing import FakeClock


class Vecino:
    """Answers everything with one response and remembers the requests."""

    def __init__(self, clock: FakeClock) -> None:
        self.requests: list[httpx2.Request] = []
        self.reply = Reply(200, {}, b"")
        self.circuit = Circuit(
            "vecino", fail_max=1, timeout_seconds=60, retry_attempts=0, retry_wait_seconds=0, clock=clock
        )
        self.neighbour = Neighbour(
            "inventario",
            "http://vecino",
            circuit=self.circuit,
            timeout_seconds=20,
            authorization=lambda: "t",
            transport=self,
        )

    async def send(self, method: str, url: URL, headers: Mapping[str, str], content: bytes | None) -> Reply:
        self.requests.append(httpx2.Request(method, str(url), headers=headers, content=content))
        return self.reply

    async def aclose(self) -> None: ...

    def responde(self, status: int, body: Any = None, *, content: bytes | None = None, **headers: str) -> None:
        raw = json.dumps(body).encode() if content is None else content
        self.reply = Reply(status, httpx2.Headers(headers), raw)

    def rechaza(self, status: int, slug: str, **extras: Any) -> None:
        self.responde(status, {"type": f"https://comanda.dev/problemas/{slug}", "status": status, **extras})
