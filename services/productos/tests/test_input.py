"""Whatever a client sends, it gets a 2xx or a 4xx that says why."""

import json
from uuid import UUID

import httpx2
import pytest

from comanda.testing import fields, problem

CAFE = {"sku": "CAF-1", "nombre": "Café molido", "descripcion": "Tueste natural", "precio": "19.90"}

before_the_database = pytest.mark.parametrize("databases", ["sqlite"], indirect=True)
"""For what is refused, or decided, before either database is asked."""


OPERACIONES = [("POST", "/productos"), ("PATCH", f"/productos/{UUID(int=1)}")]


@before_the_database
class TestPrecio:
    @pytest.mark.parametrize(
        ("enviado", "guardado"),
        [
            ('"19.90"', "19.90"),
            ("19.9", "19.90"),
            ("19", "19.00"),
            ("0", "0.00"),
            ("0.1", "0.10"),
            ("1.10e1", "11.00"),
            ("1000000.00", "1000000.00"),
            ("999999.99", "999999.99"),  # as a float times 100 this is 99999998.99999999
            ("4.35", "4.35"),  # and this 434.99999999999994
            ("19.9000000000000000000000000000000000000", "19.90"),
        ],
    )
    async def test_exacto(self, client: httpx2.AsyncClient, enviado: str, guardado: str) -> None:
        cuerpo = json.dumps(CAFE).replace('"19.90"', enviado)
        response = await client.post("/productos", content=cuerpo, headers={"Content-Type": "application/json"})
        assert response.json()["precio"] == guardado

    @pytest.mark.parametrize(
        "enviado",
        [
            "19.999",
            '"19.999"',
            "19.90000000000000000000000000000000001",
            "1e400",
            "1e-400",
            "1e999999999",
            "-1",
            '"-1"',
            "-0.01",
            "true",
            "1000000.01",
            '"1000000.01"',
            '""',
            '"1,50"',
            '"1e2"',
            '" 1"',
            '"1\\n"',
            '"１"',
            '"NaN"',
            "[]",
            "{}",
            "9" * 4000,
        ],
    )
    async def test_no_valido(self, client: httpx2.AsyncClient, enviado: str) -> None:
        cuerpo = json.dumps(CAFE).replace('"19.90"', enviado)
        response = await client.post("/productos", content=cuerpo, headers={"Content-Type": "application/json"})
        assert fields(response) == {"precio"}

    @pytest.mark.parametrize("enviado", ["NaN", "Infinity", "-Infinity", "1" * 5001, "01", "1."])
    async def test_no_es_json(self, client: httpx2.AsyncClient, enviado: str) -> None:
        cuerpo = json.dumps(CAFE).replace('"19.90"', enviado)
        response = await client.post("/productos", content=cuerpo, headers={"Content-Type": "application/json"})
        assert (response.status_code, problem(response)) == (400, "json-invalido")


DEEP = 10_000
CUERPOS_ILEGIBLES = {
    "vacío": b"",
    "cortado": b'{"sku": ',
    "no utf-8": b'{"sku": "\xff"}',
    "bom": b'\xef\xbb\xbf{"sku": "x"}',
    "substituto en un valor": b'{"sku": "\\ud800"}',
    "substituto en una clave": b'{"\\udfff": 1}',
    "muy anidado": b"[" * DEEP + b"]" * DEEP,
    "objetos anidados": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "número enorme": b'{"precio": ' + b"9" * 5000 + b"}",
    "dos valores": b"{} {}",
}
CUERPOS_DE_OTRA_FORMA = [b"[]", b"null", b"1", b'"x"', b'{"sku": {"a": [1]}}', b'{"otro": 1e999999999}']


@before_the_database
@pytest.mark.parametrize(("metodo", "ruta"), OPERACIONES)
class TestCuerpo:
    @pytest.mark.parametrize("cuerpo", CUERPOS_ILEGIBLES.values(), ids=CUERPOS_ILEGIBLES.keys())
    async def test_no_es_json(self, client: httpx2.AsyncClient, metodo: str, ruta: str, cuerpo: bytes) -> None:
        response = await client.request(metodo, ruta, content=cuerpo, headers={"Content-Type": "application/json"})
        assert (response.status_code, problem(response)) == (400, "json-invalido")

    async def test_sin_cuerpo_ni_tipo(self, client: httpx2.AsyncClient, metodo: str, ruta: str) -> None:
        assert problem(await client.request(metodo, ruta)) == "json-invalido"

    @pytest.mark.parametrize("cuerpo", CUERPOS_DE_OTRA_FORMA)
    async def test_otra_forma(self, client: httpx2.AsyncClient, metodo: str, ruta: str, cuerpo: bytes) -> None:
        response = await client.request(metodo, ruta, content=cuerpo, headers={"Content-Type": "application/json"})
        assert (response.status_code, problem(response)) == (422, "datos-invalidos")

    @pytest.mark.parametrize("tipo", ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", ""])
    async def test_otro_tipo(self, client: httpx2.AsyncClient, metodo: str, ruta: str, tipo: str) -> None:
        response = await client.request(metodo, ruta, content=json.dumps(CAFE), headers={"Content-Type": tipo})
        assert (response.status_code, problem(response)) == (415, "tipo-no-admitido")


@before_the_database
class TestRuta:
    @pytest.mark.parametrize("metodo", ["GET", "PATCH", "DELETE"])
    @pytest.mark.parametrize("id_", ["x", "0" * 5000, "%00", "%F0%9F%98%80", "%0d%0aX-Otra:%201", "%ED%A0%80"])
    async def test_id_no_valido(self, client: httpx2.AsyncClient, metodo: str, id_: str) -> None:
        response = await client.request(metodo, f"/productos/{id_}", json={} if metodo == "PATCH" else None)
        assert fields(response) == {"producto_id"}

    async def test_metodo_no_permitido(self, client: httpx2.AsyncClient) -> None:
        response = await client.put("/productos", json={})
        assert (response.status_code, problem(response)) == (405, "metodo-no-permitido")
        assert response.headers["Allow"] == "GET, POST"

    async def test_ruta_desconocida(self, client: httpx2.AsyncClient) -> None:
        assert problem(await client.get("/nada")) == "no-encontrado"
