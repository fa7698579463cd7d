"""The short way: for the plain case the same as the framework, and for all else the framework."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Literal
from uuid import UUID

import httpx2
import pytest
from fastapi import APIRouter, Cookie, Depends, Header, Query, Request, Response
from pydantic import BaseModel

from comanda.common.database import DatabaseUnavailable
from comanda.common.direct import DirectRoutes, direct
from comanda.common.problems import NoEncontrado
from comanda.common.requests import Body, Integer, document, router
from comanda.common.security import allow
from comanda.common.tokens import Principal
from comanda.testing import Issuer, fields, problem

Start = Callable[..., Awaitable[httpx2.AsyncClient]]
CAFE = "/cosas/00000000-0000-7000-8000-00000000cafe"


class Cosa(Body):
    cantidad: Integer


class CosaDocumento(BaseModel):
    id: UUID
    cantidad: int
    quien: str
    nota: str | None


class CosasDocumento(BaseModel):
    limite: int
    activa: bool | None
    orden: str
    nota: tuple[str, ...]


async def _nota(
    quien: Annotated[str, Query(max_length=5)] = "-", x_nota: Annotated[str | None, Header()] = None
) -> tuple[str, ...]:
    if quien == "nadie":
        raise NoEncontrado
    return (quien, x_nota or "")


async def _path(request: Request) -> str:
    return str(request.scope["path"])


@pytest.fixture(autouse=True)
def _routes(routes: APIRouter) -> None:
    @routes.put("/cosas/{cosa_id}", response_model=CosaDocumento)
    @direct
    async def poner(
        cosa_id: UUID,
        datos: Cosa,
        request: Request,
        caller: Annotated[Principal, allow("cosas:escribir")],
        path: Annotated[str, Depends(_path)],
        nota: Annotated[str | None, Header(alias="X-Nota")] = None,
    ) -> Response:
        assert path == request.scope["path"]
        if datos.cantidad == 404:
            raise NoEncontrado
        if datos.cantidad == 503:
            raise DatabaseUnavailable("away")
        if datos.cantidad == 500:
            raise RuntimeError("SELECT secreto")
        cosa = CosaDocumento(id=cosa_id, cantidad=datos.cantidad, quien=caller.subject, nota=nota)
        return document(cosa, {"ETag": '"1"'})

    @routes.get("/cosas", response_model=CosasDocumento)
    @direct
    async def listar(
        limite: Annotated[int, Query(ge=1, le=9)] = 5,
        activa: bool | None = None,
        orden: Literal["a", "b"] = "a",
        nota: Annotated[tuple[str, ...], Depends(_nota)] = (),
    ) -> Response:
        return document(CosasDocumento(limite=limite, activa=activa, orden=orden, nota=nota), {})


@pytest.fixture
async def client(start: Start, issuer: Issuer) -> httpx2.AsyncClient:
    client = await start()
    client.headers.update(issuer.headers("cosas:escribir", subject="ana"))
    return client


async def put(client: httpx2.AsyncClient, path: str = CAFE, **options: Any) -> httpx2.Response:
    return await client.put(path, **({"json": {"cantidad": 5}} | options))


class TestPlain:
    async def test_answers(self, client: httpx2.AsyncClient) -> None:
        response = await put(client, headers={"X-Nota": "deprisa", "X-Request-Id": "r-1"})
        assert response.status_code == 200
        assert response.json() == {"id": CAFE[7:], "cantidad": 5, "quien": "ana", "nota": "deprisa"}
        assert (response.headers["etag"], response.headers["x-request-id"]) == ('"1"', "r-1")
        assert response.headers["content-type"] == "application/json"

    async def test_counts_as_its_route(self, client: httpx2.AsyncClient) -> None:
        await put(client)
        metrics = (await client.get("/metrics")).text
        assert 'ruta="/cosas/{cosa_id}"' in metrics

    async def test_does_not_take_the_framework(self, client: httpx2.AsyncClient, monkeypatch: Any) -> None:
        async def no(*_: Any) -> None:
            raise AssertionError("the framework was asked")

        monkeypatch.setattr("fastapi.routing.APIRoute.handle", no)
        assert (await put(client)).status_code == 200

    async def test_is_described_like_any_other(self, client: httpx2.AsyncClient) -> None:
        operation = (await client.get("/openapi.json")).json()["paths"]["/cosas/{cosa_id}"]["put"]
        assert {parameter["name"] for parameter in operation["parameters"]} == {"cosa_id", "X-Nota"}
        assert operation["requestBody"]["required"]
        assert operation["security"]


QUERIES: Any = [
    ("", {"limite": 5, "activa": None, "orden": "a", "nota": ["-", ""]}),
    ("limite=9&activa=true&orden=b&quien=ana", {"limite": 9, "activa": True, "orden": "b", "nota": ["ana", ""]}),
    ("activa=0&otra=1&quien=%C3%B1%20+", {"limite": 5, "activa": False, "orden": "a", "nota": ["ñ  ", ""]}),
    ("limite=10", {"limite"}),
    ("limite=x&orden=c&activa=quizas&quien=demasiado", {"limite", "orden", "activa", "quien"}),
    ("limite=", {"limite"}),
    ("limite=1&limite=2", {"limite": 2, "activa": None, "orden": "a", "nota": ["-", ""]}),
    ("quien=nadie", None),
]


class TestQuery:
    @pytest.mark.parametrize(("query", "expected"), QUERIES)
    @pytest.mark.parametrize("way", ["short", "framework"])
    async def test_is_answered_alike(
        self, client: httpx2.AsyncClient, monkeypatch: Any, way: str, query: str, expected: Any
    ) -> None:
        if way == "framework":
            monkeypatch.setattr(DirectRoutes, "answer", _for_the_framework)
        response = await client.get(f"/cosas?{query}")
        if expected is None:
            assert problem(response) == "no-encontrado"
        elif isinstance(expected, set):
            assert (response.status_code, fields(response)) == (422, expected)
        else:
            assert response.json() == expected

    async def test_does_not_take_the_framework(self, client: httpx2.AsyncClient, monkeypatch: Any) -> None:
        async def no(*_: Any) -> None:
            raise AssertionError("the framework was asked")

        monkeypatch.setattr("fastapi.routing.APIRoute.handle", no)
        headers = {"X-Nota": "eh"}
        answer = (await client.get("/cosas?limite=9&activa=true&quien=ana", headers=headers)).json()
        assert answer == {"limite": 9, "activa": True, "orden": "a", "nota": ["ana", "eh"]}


async def _for_the_framework(*_: Any) -> None:
    """Nothing goes the short way."""


class TestUnusual:
    @pytest.mark.parametrize(
        ("options", "status", "slug"),
        [
            ({"json": {"cantidad": "5"}}, 422, "datos-invalidos"),
            ({"json": {"cantidad": 5, "otra": 1}}, 422, "datos-invalidos"),
            ({"json": []}, 422, "datos-invalidos"),
            ({"json": {"cantidad": 404}}, 404, "no-encontrado"),
            ({"json": {"cantidad": 503}}, 503, "servicio-no-disponible"),
            ({"json": {"cantidad": 500}}, 500, "error-interno"),
            ({"json": None, "content": b"{"}, 415, "tipo-no-admitido"),
            ({"json": None, "content": b"{", "headers": {"Content-Type": "application/json"}}, 400, "json-invalido"),
            ({"json": None}, 400, "json-invalido"),
            ({"path": "/cosas/cafe"}, 422, "datos-invalidos"),
            ({"path": "/cosas/"}, 404, "no-encontrado"),
            ({"path": CAFE + "/"}, 404, "no-encontrado"),
            ({"path": "/cosas"}, 405, "metodo-no-permitido"),
            ({"headers": {"Authorization": "Bearer x"}}, 401, "no-autenticado"),
            ({"headers": {"Authorization": ""}}, 401, "no-autenticado"),
        ],
    )
    async def test_is_answered_as_ever(
        self, client: httpx2.AsyncClient, options: dict[str, Any], status: int, slug: str
    ) -> None:
        response = await put(client, **options)
        assert (response.status_code, problem(response)) == (status, slug)

    async def test_says_where_it_is_wrong(self, client: httpx2.AsyncClient) -> None:
        assert fields(await put(client, json={"cantidad": 5.5})) == {"cantidad"}
        assert fields(await put(client, path="/cosas/cafe")) == {"cosa_id"}

    async def test_without_permission_nobody_looks_at_the_body(
        self, client: httpx2.AsyncClient, issuer: Issuer
    ) -> None:
        response = await put(client, headers=issuer.headers("otra:cosa"), json={"cantidad": "5"})
        assert (response.status_code, problem(response)) == (403, "no-autorizado")

    async def test_a_query_that_nobody_knows(self, client: httpx2.AsyncClient) -> None:
        assert (await put(client, params={"x": "1"})).status_code == 200

    async def test_a_header_given_twice(self, client: httpx2.AsyncClient, issuer: Issuer) -> None:
        headers = [*issuer.headers("cosas:escribir").items(), ("X-Nota", "a"), ("X-Nota", "b")]
        assert (await put(client, headers=headers)).status_code == 200

    async def test_another_method(self, client: httpx2.AsyncClient) -> None:
        assert (await client.delete(CAFE)).status_code == 405


class TestRefused:
    """What the short way cannot resolve is found when the service starts."""

    @staticmethod
    def refused(endpoint: Callable[..., Awaitable[Response]], what: str, path: str = "/x", **options: Any) -> None:
        routes = router(**options)
        routes.post(path, status_code=200)(direct(endpoint))
        with pytest.raises(TypeError, match=what):
            DirectRoutes([routes])

    def test_a_cookie(self) -> None:
        async def leer(sesion: Annotated[str, Cookie()]) -> Response:
            return Response(sesion)

        self.refused(leer, "sesion")

    def test_a_list(self) -> None:
        async def leer(valores: Annotated[list[str], Query()]) -> Response:
            return Response(valores[0])

        self.refused(leer, "valores")

    def test_a_body_that_may_be_missing(self) -> None:
        async def leer(datos: Cosa | None = None) -> Response:
            return Response(str(datos))

        self.refused(leer, "Cosa")

    def test_a_dependency_that_does_not_await(self) -> None:
        def needs(request: Request) -> str:
            return str(request)

        async def leer(value: Annotated[str, Depends(needs)]) -> Response:
            return Response(value)

        self.refused(leer, "needs")

    def test_the_answer_to_be_filled(self) -> None:
        async def leer(response: Response) -> Response:
            return response

        self.refused(leer, "response")

    def test_a_dependency_of_the_whole_router(self) -> None:
        async def leer() -> Response:
            return Response()

        self.refused(leer, "_path", dependencies=[Depends(_path)])

    @pytest.mark.parametrize("path", ["/x/{numero:int}", "/x/{numero}/{otra}"])
    def test_a_part_of_the_path_that_is_more_than_a_name(self, path: str) -> None:
        async def leer(numero: int) -> Response:
            return Response(str(numero))

        self.refused(leer, "converters", path)
