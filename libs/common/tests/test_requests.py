from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Annotated, Any

import httpx2
import pytest
from fastapi import APIRouter, Form
from pydantic import Field

from comanda.common.problems import JsonInvalido
from comanda.common.requests import Body, Boolean, Integer, Line, Text, parse_json
from comanda.testing import fields, problem


class TestParseJson:
    @pytest.mark.parametrize(
        ("raw", "value"),
        [
            (b'{"a": [1, true, null]}', {"a": [1, True, None]}),
            (b"0.1", Decimal("0.1")),
            (b"1e400", Decimal("1e400")),
            (b'"\\ud83d\\ude00"', "😀"),
            ('"é"'.encode(), "é"),
            (b"[" * 500 + b"]" * 500, None),
        ],
    )
    def test_exact(self, raw: bytes, value: Any) -> None:
        parsed = parse_json(raw)
        assert value is None or parsed == value

    @pytest.mark.parametrize(
        "raw",
        [
            b"",
            b"{",
            b"{'a': 1}",
            b"NaN",
            b"[Infinity]",
            b"-Infinity",
            b"\xff",
            b"\xed\xa0\x80",
            b'"\\ud800"',
            b'{"\\udfff": 1}',
            b'["\\ude00\\ud83d"]',
            b"1" * 5000,
            b"[" * 100_000,
            b'{"a":' * 100_000,
            b"1e99999999999999999999999",
            b'"a\0b"',
            b'{"a": 1, "a": 1}',
            b'[{"\\u0061": {}, "a": {}}]',
        ],
    )
    def test_refused(self, raw: bytes) -> None:
        with pytest.raises(JsonInvalido):
            parse_json(raw)


class Linea(Body):
    nombre: Line = "x"
    texto: Text = ""
    cantidad: Annotated[Integer, Field(ge=1, le=9)] = 1
    activo: Boolean = True
    partes: Annotated[list[Integer], Field(max_length=2, min_length=1)] = [1]  # noqa: RUF012  # a pydantic field


@pytest.fixture
async def client(routes: APIRouter, start: Callable[..., Awaitable[httpx2.AsyncClient]]) -> httpx2.AsyncClient:
    @routes.post("/linea")
    async def linea(datos: Linea) -> Linea:
        return datos

    @routes.post("/opcional")
    async def opcional(datos: Linea | None = None) -> bool:
        return datos is not None

    @routes.post("/formulario")
    async def formulario(campo: Annotated[str, Form()]) -> str:
        return campo

    return await start()


class TestStrictRoute:
    @pytest.mark.parametrize(
        ("datos", "errores"),
        [
            ({"cantidad": "5"}, {"cantidad": "Debe ser un número entero."}),
            ({"cantidad": 5.0}, {"cantidad": "Debe ser un número entero."}),
            ({"cantidad": True}, {"cantidad": "Debe ser un número entero."}),
            ({"cantidad": 10}, {"cantidad": "Debe ser 9 o menos."}),
            ({"cantidad": 10**1000}, {"cantidad": "Debe ser 9 o menos."}),
            ({"activo": 1}, {"activo": "Debe ser true o false."}),
            ({"nombre": 1}, {"nombre": "Debe ser un texto."}),
            ({"nombre": "a\nb"}, {"nombre": "No puede contener caracteres de control."}),
            ({"texto": "a\x00b"}, {"texto": "No puede contener caracteres de control."}),
            ({"partes": []}, {"partes": "Debe tener 1 elementos o más."}),
            ({"partes": [1, 2, 3]}, {"partes": "Debe tener 2 elementos o menos."}),
            ({"partes": [1, "x"]}, {"partes.1": "Debe ser un número entero."}),
            ({"otro": 1}, {"otro": "Campo desconocido."}),
            ([], {"body": "Debe ser un objeto JSON."}),
        ],
    )
    async def test_errors_in_words_of_our_own(
        self, client: httpx2.AsyncClient, datos: Any, errores: dict[str, str]
    ) -> None:
        response = await client.post("/linea", json=datos)
        assert fields(response) == set(errores)
        assert {error["campo"]: error["mensaje"] for error in response.json()["errores"]} == errores

    @pytest.mark.parametrize("number", [b"1.5", b"1e400", b"7", b"-0.0"])
    async def test_a_number_is_no_document(self, client: httpx2.AsyncClient, number: bytes) -> None:
        for path in ("/linea", "/opcional"):
            response = await client.post(path, content=number, headers={"Content-Type": "application/json"})
            assert fields(response) == {"body"}, number
            assert response.json()["errores"][0]["mensaje"] == "Debe ser un objeto JSON."

    async def test_at_most_fifty_errors(self, client: httpx2.AsyncClient) -> None:
        response = await client.post("/linea", json={f"x{n}" * 200: 1 for n in range(100)})
        assert len(response.json()["errores"]) == 50
        assert max(len(error["campo"]) for error in response.json()["errores"]) == 200

    async def test_text_may_have_lines(self, client: httpx2.AsyncClient) -> None:
        assert (await client.post("/linea", json={"texto": "a\n\tb\r\n"})).json()["texto"] == "a\n\tb\r\n"

    @pytest.mark.parametrize(
        "kind", ["application/json", "Application/JSON; charset=utf-8", "application/merge-patch+json"]
    )
    async def test_media_type(self, client: httpx2.AsyncClient, kind: str) -> None:
        assert (await client.post("/linea", content=b"{}", headers={"Content-Type": kind})).status_code == 200

    @pytest.mark.parametrize("kind", ["text/plain", "application/jsonp", "multipart/form-data; boundary=x"])
    async def test_other_media_type(self, client: httpx2.AsyncClient, kind: str) -> None:
        response = await client.post("/linea", content=b"{}", headers={"Content-Type": kind})
        assert (response.status_code, problem(response)) == (415, "tipo-no-admitido")

    async def test_no_body(self, client: httpx2.AsyncClient) -> None:
        assert problem(await client.post("/linea")) == "json-invalido"
        assert (await client.post("/opcional")).json() is False
        assert (await client.post("/opcional", json={})).json() is True

    async def test_form(self, client: httpx2.AsyncClient) -> None:
        assert (await client.post("/formulario", data={"campo": "a"})).json() == "a"
        assert fields(await client.post("/formulario", data={})) == {"campo"}

    async def test_broken_form(self, client: httpx2.AsyncClient) -> None:
        response = await client.post(
            "/formulario", content=b"--x\r\nbroken", headers={"Content-Type": "multipart/form-data"}
        )
        assert (response.status_code, problem(response)) == (400, "peticion-ilegible")
