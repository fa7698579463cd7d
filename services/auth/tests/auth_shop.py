"""auth behind a proxy that stands at the test's own address, for the tests of throttling."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import httpx2
from auth_internals import EMAIL, PASSWORD
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from comanda.auth.app import create_app
from comanda.testing import FakeClock


class Shop:
    def __init__(self, app: Any, http: httpx2.AsyncClient) -> None:
        self.app, self.http = app, http

    async def register(self) -> dict[str, Any]:
        answer = await self.http.post("/auth/usuarios", json={"email": EMAIL, "password": PASSWORD})
        assert answer.status_code == 201, answer.text
        self.registered = UUID(answer.json()["id"])
        return dict(answer.json())

    async def ask(self, source: str | list[str], password: str = PASSWORD, email: str = EMAIL) -> httpx2.Response:
        hops = [source] if isinstance(source, str) else source
        form = {"grant_type": "password", "username": email, "password": password}
        return await self.http.post("/auth/token", data=form, headers=[("X-Forwarded-For", hop) for hop in hops])

    async def status(self, source: str | list[str], password: str = PASSWORD, email: str = EMAIL) -> int:
        return (await self.ask(source, password, email)).status_code

    async def attack(self, email: str = EMAIL, guesses: int = 30) -> list[int]:
        """Guesses from as many places."""
        return [await self.status(f"203.0.113.{n}", "no es esta", email) for n in range(guesses)]


@asynccontextmanager
async def shop(make_settings: Any, clock: FakeClock, **changes: Any) -> AsyncIterator[Shop]:
    app = create_app(make_settings(**{"login_attempts_per_account_per_hour": 20} | changes), clock=clock)
    async with app.router.lifespan_context(app):
        await app.state.ready.wait()
        transport = httpx2.ASGITransport(app=ProxyHeadersMiddleware(app, "127.0.0.1, 10.0.0.0/8"))
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
            yield Shop(app, client)
