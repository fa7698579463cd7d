"""Who may call, and whom a service trusts."""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated

import httpx2
import pytest
from fastapi import APIRouter

from comanda.common import trust
from comanda.common.problems import (
    NoAutenticado,
)
from comanda.common.requests import Body
from comanda.common.security import allow
from comanda.common.settings import ServiceSettings
from comanda.common.tokens import Principal, ServiceSigner, SigningKey
from comanda.testing import FakeClock, Issuer, problem

Start = Callable[..., Awaitable[httpx2.AsyncClient]]


class TestAllow:
    async def test_any_of_the_scopes(self, routes: APIRouter, start: Start, issuer: Issuer) -> None:
        @routes.get("/mio")
        async def mio(caller: Annotated[Principal, allow("a", "b")]) -> str:
            return caller.subject

        client = await start()
        assert (await client.get("/mio", headers=issuer.headers("b", "c", subject="ana"))).json() == "ana"
        assert (await client.get("/mio", headers={"Authorization": f"bearer  {issuer.token('a')}"})).status_code == 200
        assert problem(await client.get("/mio", headers=issuer.headers("c"))) == "no-autorizado"
        assert problem(await client.get("/mio", headers=issuer.headers())) == "no-autorizado"

    @pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Basic YTpi", "Bearer a.b.c", "Bearer a b"])
    async def test_no_token(self, routes: APIRouter, start: Start, header: str | None) -> None:
        @routes.get("/mio")
        async def mio(caller: Annotated[Principal, allow()]) -> str:
            return caller.subject

        response = await (await start()).get("/mio", headers={} if header is None else {"Authorization": header})
        assert (response.status_code, problem(response)) == (401, "no-autenticado")
        assert response.headers["WWW-Authenticate"] == "Bearer"

    async def test_a_token_for_nothing_is_told_how_to_get_one_for_more(
        self, routes: APIRouter, start: Start, issuer: Issuer
    ) -> None:
        @routes.get("/mio")
        async def mio(caller: Annotated[Principal, allow("a")]) -> str:
            return caller.subject

        client = await start()
        for scopes, told in ((("b",), False), ((), True)):
            answer = await client.get("/mio", headers=issuer.headers(*scopes))
            assert (answer.status_code, problem(answer)) == (403, "no-autorizado")
            assert ("segundo factor" in answer.json()["detail"]) is told

    @pytest.mark.parametrize("content", [b"", b"{", b'{"x": 1}'])
    async def test_is_judged_before_the_body(self, routes: APIRouter, start: Start, content: bytes) -> None:
        class Cosa(Body):
            nombre: str

        @routes.post("/mio")
        async def mio(cosa: Cosa, caller: Annotated[Principal, allow("a")]) -> str:
            return cosa.nombre + caller.subject

        client = await start()
        assert problem(await client.post("/mio", content=content)) == "no-autenticado"


class TestTrust:
    async def test_a_service_by_the_key_it_leaves_in_the_data_folder(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, issuer: Issuer, clock: FakeClock
    ) -> None:
        monkeypatch.setenv("COMANDA_DATA", str(tmp_path))
        settings = ServiceSettings(port=0, database_url="sqlite:///x", auth_jwks=json.dumps(issuer.jwks))
        signer = trust.signer("pedidos", "", clock)
        assert trust.key_path("pedidos", "").parent == tmp_path / "keys"
        verifier = trust.verifier(settings, "inventario", clock, {"pedidos": ("", ["reservas:escribir"])})
        caller = await verifier.verify(signer.token("inventario"))
        assert (caller.subject, caller.scopes, caller.is_service) == ("pedidos", {"reservas:escribir"}, True)
        assert not (await verifier.verify(issuer.token("a"))).is_service
        with pytest.raises(NoAutenticado):
            await verifier.verify(signer.token("productos"))

    async def test_a_service_by_a_configured_key_set(self, issuer: Issuer, clock: FakeClock, tmp_path: Path) -> None:
        key = SigningKey.load_or_create(trust.key_path("pedidos", str(tmp_path / "k.pem")))
        settings = ServiceSettings(port=0, database_url="sqlite:///x", auth_jwks=json.dumps(issuer.jwks))
        keys = json.dumps({"keys": [key.public_jwk()]})
        verifier = trust.verifier(settings, "inventario", clock, {"pedidos": (keys, ["a"])})
        assert (await verifier.verify(ServiceSigner("pedidos", key, clock).token("inventario"))).has("a")
