import json
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import httpx2
from fastapi import APIRouter, Form

from comanda.common.problems import (
    NoEncontrado,
    Problem,
    describe,
)
from comanda.common.requests import Body
from comanda.common.security import allow
from comanda.common.tokens import Principal

ANYWHERE = {"200", "400", "408", "414", "421", "431", "500", "503"}
Start = Callable[..., Awaitable[httpx2.AsyncClient]]


class Dato(Body):
    n: int = 0


class Ocupado(Problem):
    status, slug, title = 503, "ocupado", "Ocupado"
    extra_schema = {"hasta": {"type": "string"}}  # noqa: RUF012


class TestOpenapi:
    async def test_shared_answers_are_merged_with_the_routes_own(self, routes: APIRouter, start: Start) -> None:
        @routes.post("/x/{n}", responses=describe(Ocupado, NoEncontrado))
        async def x(n: int, datos: Dato, caller: Annotated[Principal, allow("a")]) -> Dato:
            return datos

        @routes.post("/z")
        async def z(campo: Annotated[str, Form()]) -> str:
            return campo

        @routes.get("/y", responses={503: {"description": "own words"}})
        async def y() -> int:
            return 1

        schema = (await (await start()).get("/openapi.json")).json()
        answers = schema["paths"]["/x/{n}"]["post"]["responses"]
        assert answers.keys() == ANYWHERE | {"401", "403", "404", "413", "415", "422"}
        merged = answers["503"]["content"]["application/problem+json"]["schema"]["properties"]
        slugs = [kind.rsplit("/", 1)[1] for kind in merged["type"]["enum"]]
        assert slugs == ["ocupado", "servicio-no-disponible", "servicio-saturado"]
        assert {"hasta", "servicio"} <= merged.keys()
        assert "peticion-ilegible" in json.dumps(schema["paths"]["/z"]["post"]["responses"]["400"])
        assert "peticion-ilegible" not in json.dumps(answers["400"])
        plain = schema["paths"]["/y"]["get"]["responses"]
        assert plain.keys() == ANYWHERE
        assert plain["503"] == {"description": "own words"}
        assert "HTTPValidationError" not in json.dumps(schema)

    async def test_made_once(self, routes: APIRouter, start: Start) -> None:
        client = await start()
        assert (await client.get("/openapi.json")).json() == (await client.get("/openapi.json")).json()

    async def test_security_of_a_route(self, start: Start) -> None:
        schema: dict[str, Any] = (await (await start()).get("/openapi.json")).json()
        assert schema["paths"]["/circuitos"]["get"]["security"] == [{"token": []}]
        assert "security" not in schema["paths"]["/livez"]["get"]
