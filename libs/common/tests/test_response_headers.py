"""What browsers are told with every answer, and which pages of others may read it."""

import re
from base64 import b64encode
from collections.abc import Awaitable, Callable
from hashlib import sha256
from typing import Any

import httpx2
import pytest
from fastapi import APIRouter
from starlette.responses import Response

from comanda.common.database import DatabaseUnavailable
from comanda.testing import Issuer, problem

Start = Callable[..., Awaitable[httpx2.AsyncClient]]
SHOP = "https://tienda.es"
ALWAYS = {
    "content-security-policy": "default-src 'none'; base-uri 'none'; frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


@pytest.fixture(autouse=True)
def _routes(routes: APIRouter) -> None:
    @routes.get("/hola")
    async def hola() -> str:
        return "hola"

    @routes.get("/guardable")
    async def guardable() -> Response:
        return Response("x", headers={"Cache-Control": "public, max-age=300", "Content-Security-Policy": "sandbox"})

    @routes.get("/roto")
    async def roto() -> None:
        raise RuntimeError

    @routes.get("/sin-base")
    async def sin_base() -> None:
        raise DatabaseUnavailable("x")


class TestSecurityHeaders:
    @pytest.mark.parametrize(
        "path", ["/hola", "/nada", "/roto", "/sin-base", "/livez", "/readyz", "/metrics", "/openapi.json"]
    )
    async def test_on_every_answer(self, start: Start, path: str) -> None:
        response = await (await start()).get(path)
        assert {name: response.headers.get_list(name) for name in ALWAYS} == {n: [v] for n, v in ALWAYS.items()}
        assert "server" not in response.headers

    async def test_an_answer_has_the_last_word(self, start: Start, issuer: Issuer) -> None:
        response = await (await start()).get("/guardable", headers=issuer.headers())
        assert response.headers.get_list("cache-control") == ["public, max-age=300"]
        assert response.headers.get_list("content-security-policy") == ["sandbox"]
        assert response.headers["x-frame-options"] == "DENY"

    async def test_what_callers_get_is_not_kept(self, start: Start, issuer: Issuer) -> None:
        client = await start()
        assert "cache-control" not in (await client.get("/hola")).headers
        for path in ("/hola", "/nada"):
            assert (await client.get(path, headers=issuer.headers())).headers["cache-control"] == "no-store"

    async def test_https_for_ever_where_the_issuer_has_it(self, start: Start) -> None:
        assert "strict-transport-security" not in (await (await start()).get("/hola")).headers
        client = await start(auth_issuer="https://id.tienda.es")
        response = await client.get("/hola")
        assert response.headers["strict-transport-security"] == "max-age=31536000; includeSubDomains"


class TestDocs:
    async def test_its_script_may_run_and_no_other(self, start: Start) -> None:
        response = await (await start()).get("/docs")
        [script] = re.findall(r"<script>(.*?)</script>", response.text, re.DOTALL)
        policy = dict(part.split(" ", 1) for part in response.headers["content-security-policy"].split("; "))
        known = b64encode(sha256(script.encode()).digest()).decode()
        assert policy["script-src"] == f"'self' 'sha256-{known}'"
        assert policy["default-src"] == policy["frame-ancestors"] == "'none'"

    async def test_all_it_loads_is_ours(self, start: Start) -> None:
        client = await start()
        page = (await client.get("/docs")).text
        for address in re.findall(r'(?:src|href)="([^"]+)"', page):
            assert address.startswith("/docs/assets/")
            assert (await client.get(address)).status_code == 200


class TestCors:
    async def test_closed_by_default(self, start: Start) -> None:
        client = await start()
        response = await client.get("/hola", headers={"Origin": SHOP})
        assert not [name for name in response.headers if name.startswith("access-control-")]
        assert (await self.preflight(client)).status_code == 405

    @pytest.mark.parametrize("path", ["/hola", "/nada", "/roto", "/sin-base"])
    async def test_answers_and_errors_for_an_origin_that_may(self, start: Start, path: str) -> None:
        response = await (await start(cors_origins=f"{SHOP}, http://localhost:3000")).get(
            path, headers={"Origin": SHOP}
        )
        assert response.headers["access-control-allow-origin"] == SHOP
        assert response.headers["vary"] == "Origin"
        assert "access-control-allow-credentials" not in response.headers
        exposed = set(response.headers["access-control-expose-headers"].split(", "))
        assert exposed == {
            "ETag",
            "Link",
            "Location",
            "Retry-After",
            "X-Request-Id",
            "Idempotent-Replayed",
            "WWW-Authenticate",
        }
        assert response.headers["x-content-type-options"] == "nosniff"

    @pytest.mark.parametrize("origin", ["https://mala.es", "http://tienda.es", "https://tienda.es:8443", "null"])
    async def test_no_other_origin(self, start: Start, origin: str) -> None:
        client = await start(cors_origins=SHOP)
        response = await client.get("/hola", headers={"Origin": origin})
        assert "access-control-allow-origin" not in response.headers
        assert (await self.preflight(client, origin)).status_code == 400

    async def test_preflight(self, start: Start) -> None:
        response = await self.preflight(await start(cors_origins=SHOP))
        assert response.status_code == 200
        assert response.headers["access-control-allow-origin"] == SHOP
        assert "PATCH" in response.headers["access-control-allow-methods"]
        assert {"Idempotency-Key", "Last-Event-ID"} <= set(response.headers["access-control-allow-headers"].split(", "))
        assert response.headers["x-request-id"]
        assert response.headers["x-frame-options"] == "DENY"

    async def test_in_development_any_but_without_credentials(self, start: Start) -> None:
        response = await (await start(cors_origins="*")).get("/hola", headers={"Origin": SHOP})
        assert response.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in response.headers

    async def preflight(self, client: httpx2.AsyncClient, origin: str = SHOP) -> Any:
        asked = {"Access-Control-Request-Method": "PATCH", "Access-Control-Request-Headers": "idempotency-key"}
        return await client.options("/hola", headers={"Origin": origin, **asked})


class TestHost:
    async def test_another_name(self, start: Start) -> None:
        response = await (await start()).get("/hola", headers={"Host": "mala.es"})
        assert (response.status_code, problem(response)) == (421, "host-no-admitido")
        assert response.headers["x-content-type-options"] == "nosniff"

    async def test_none(self, start: Start) -> None:
        response = await (await start()).get("/hola", headers={"Host": ""})
        assert (response.status_code, problem(response)) == (400, "sin-host")

    @pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics"])
    async def test_probes_call_by_address(self, start: Start, path: str) -> None:
        assert (await (await start()).get(path, headers={"Host": "10.1.2.3:8001"})).status_code == 200
