"""The contract of productos, as a client meets it: one product. Lists are in test_listing, bad input in test_input."""

import itertools
import json
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest

from comanda.testing import FakeClock, Issuer, fields, problem

CAFE = {"sku": "CAF-1", "nombre": "Café molido", "descripcion": "Tueste natural", "precio": "19.90"}
numbers = itertools.count(1)

before_the_database = pytest.mark.parametrize("databases", ["sqlite"], indirect=True)
"""For what is refused, or decided, before either database is asked."""


async def crear(client: httpx2.AsyncClient, **campos: Any) -> dict[str, Any]:
    datos = {"sku": f"S-{next(numbers)}", "nombre": "Silla", "precio": "1.00"} | campos
    response = await client.post("/productos", json=datos)
    assert response.status_code == 201, response.text
    documento: dict[str, Any] = response.json()
    return documento


class TestCrear:
    async def test_creado(self, client: httpx2.AsyncClient) -> None:
        response = await client.post("/productos", json=CAFE)
        assert response.status_code == 201
        documento = response.json()
        assert UUID(documento["id"]).version == 7
        assert documento == CAFE | {
            "id": documento["id"],
            "moneda": "EUR",
            "activo": True,
            "creado_en": "2026-01-01T12:00:00Z",
            "actualizado_en": "2026-01-01T12:00:00Z",
        }
        assert response.headers["ETag"] == '"1"'
        leido = await client.get(response.headers["Location"])
        assert leido.json() == documento
        assert leido.headers["ETag"] == '"1"'

    async def test_sin_descripcion(self, client: httpx2.AsyncClient) -> None:
        assert (await crear(client))["descripcion"] == ""

    async def test_sku_en_uso(self, client: httpx2.AsyncClient) -> None:
        await crear(client, sku="CAF-1")
        response = await client.post("/productos", json=CAFE)
        assert (response.status_code, problem(response)) == (409, "sku-en-uso")

    async def test_sku_de_un_producto_retirado_sigue_en_uso(self, client: httpx2.AsyncClient) -> None:
        producto = await crear(client, sku="CAF-1")
        await client.delete(f"/productos/{producto['id']}")
        assert problem(await client.post("/productos", json=CAFE)) == "sku-en-uso"

    @before_the_database
    @pytest.mark.parametrize(
        ("campo", "valor"),
        [
            ("sku", ""),
            ("sku", "x" * 65),
            ("sku", " x"),
            ("sku", "a\nb"),
            ("sku", 5),
            ("sku", None),
            ("nombre", "x" * 201),
            ("nombre", "a\0b"),
            ("nombre", "a\x7f"),
            ("descripcion", "x" * 5001),
            ("descripcion", "a\0b"),
            ("descripcion", ["a"]),
            ("precio", None),
            ("otro", 1),
            ("activo", False),
        ],
    )
    async def test_campo_no_valido(self, client: httpx2.AsyncClient, campo: str, valor: Any) -> None:
        response = await client.post("/productos", json=CAFE | {campo: valor})
        assert fields(response) == {campo}

    async def test_el_mensaje_dice_que_se_espera(self, client: httpx2.AsyncClient) -> None:
        response = await client.post("/productos", json=CAFE | {"sku": "x" * 65})
        assert response.json()["errores"] == [{"campo": "sku", "mensaje": "Debe tener 64 caracteres o menos."}]

    async def test_faltan_campos(self, client: httpx2.AsyncClient) -> None:
        assert fields(await client.post("/productos", json={})) == {"sku", "nombre", "precio"}

    async def test_cualquier_alfabeto(self, client: httpx2.AsyncClient) -> None:
        nombre = 'Кофе ☕ 咖啡 👩‍🍳 "}, {\\u0022 </script>'
        assert (await crear(client, nombre=nombre, descripcion="a\tb\nc"))["nombre"] == nombre
        for buscar in ("咖啡", "КОФЕ ☕"):
            assert len((await client.get("/productos", params={"buscar": buscar})).json()["elementos"]) == 1


class TestConsultar:
    async def test_desconocido(self, client: httpx2.AsyncClient) -> None:
        response = await client.get(f"/productos/{uuid4()}")
        assert (response.status_code, problem(response)) == (404, "no-encontrado")

    async def test_sin_cambios(self, client: httpx2.AsyncClient) -> None:
        url = f"/productos/{(await crear(client))['id']}"
        for etiquetas in ('"1"', 'W/"1"', '"7", "1"', "*"):
            response = await client.get(url, headers={"If-None-Match": etiquetas})
            assert (response.status_code, response.content, response.headers["ETag"]) == (304, b"", '"1"')

    async def test_con_cambios(self, client: httpx2.AsyncClient) -> None:
        url = f"/productos/{(await crear(client))['id']}"
        assert (await client.get(url, headers={"If-None-Match": '"2", "a,b"'})).status_code == 200


class TestModificar:
    async def test_algunos_campos(self, client: httpx2.AsyncClient, clock: FakeClock) -> None:
        producto = await crear(client, descripcion="vieja")
        clock.advance(1.5)
        cambios = {"nombre": "Mesa", "precio": 2.5, "activo": False}
        response = await client.patch(
            f"/productos/{producto['id']}",
            content=json.dumps(cambios),
            headers={"Content-Type": "application/merge-patch+json"},
        )
        esperado = producto | cambios | {"precio": "2.50", "actualizado_en": "2026-01-01T12:00:01.500000Z"}
        assert (response.status_code, response.json(), response.headers["ETag"]) == (200, esperado, '"2"')
        assert (await client.get(f"/productos/{producto['id']}")).json() == esperado

    async def test_nada(self, client: httpx2.AsyncClient) -> None:
        producto = await crear(client)
        response = await client.patch(f"/productos/{producto['id']}", json={})
        assert (response.json(), response.headers["ETag"]) == (producto, '"1"')

    async def test_null_quita_la_descripcion(self, client: httpx2.AsyncClient) -> None:
        producto = await crear(client, descripcion="vieja")
        response = await client.patch(f"/productos/{producto['id']}", json={"descripcion": None})
        assert response.json()["descripcion"] == ""

    @before_the_database
    @pytest.mark.parametrize("campo", ["sku", "nombre", "precio", "activo"])
    async def test_null_no_quita_lo_demas(self, client: httpx2.AsyncClient, campo: str) -> None:
        producto = await crear(client)
        assert fields(await client.patch(f"/productos/{producto['id']}", json={campo: None})) == {campo}

    @before_the_database
    @pytest.mark.parametrize(
        ("campo", "valor"), [("id", str(UUID(int=1))), ("moneda", "USD"), ("activo", 1), ("sku", "")]
    )
    async def test_campo_no_valido(self, client: httpx2.AsyncClient, campo: str, valor: Any) -> None:
        producto = await crear(client)
        assert fields(await client.patch(f"/productos/{producto['id']}", json={campo: valor})) == {campo}

    async def test_sku_en_uso(self, client: httpx2.AsyncClient) -> None:
        await crear(client, sku="CAF-1")
        otro = await crear(client)
        response = await client.patch(f"/productos/{otro['id']}", json={"sku": "CAF-1"})
        assert (response.status_code, problem(response)) == (409, "sku-en-uso")

    async def test_desconocido(self, client: httpx2.AsyncClient) -> None:
        assert problem(await client.patch(f"/productos/{uuid4()}", json={})) == "no-encontrado"

    @pytest.mark.parametrize("etiquetas", ['"1"', "*", '"9", "1"', '"a,b", "1"'])
    async def test_version_esperada(self, client: httpx2.AsyncClient, etiquetas: str) -> None:
        url = f"/productos/{(await crear(client))['id']}"
        response = await client.patch(url, json={"nombre": "Mesa"}, headers={"If-Match": etiquetas})
        assert response.status_code == 200

    @pytest.mark.parametrize("etiquetas", ['"2"', 'W/"1"', '"1x"', '"a,1"'])
    async def test_version_obsoleta(self, client: httpx2.AsyncClient, etiquetas: str) -> None:
        url = f"/productos/{(await crear(client))['id']}"
        response = await client.patch(url, json={"nombre": "Mesa"}, headers={"If-Match": etiquetas})
        assert (response.status_code, problem(response)) == (412, "version-obsoleta")
        assert response.headers["ETag"] == '"1"'
        assert (await client.get(url)).json()["nombre"] == "Silla"

    @before_the_database
    @pytest.mark.parametrize("etiquetas", ["1", '"1', "", "*, *", '"1" 2'])
    async def test_if_match_mal_escrito(self, client: httpx2.AsyncClient, etiquetas: str) -> None:
        url = f"/productos/{(await crear(client))['id']}"
        assert fields(await client.patch(url, json={}, headers={"If-Match": etiquetas})) == {"If-Match"}
        response = await client.get(url, headers={"If-None-Match": etiquetas})
        assert fields(response) == {"If-None-Match"}


class TestRetirar:
    async def test_sigue_legible(self, client: httpx2.AsyncClient) -> None:
        producto = await crear(client)
        response = await client.delete(f"/productos/{producto['id']}")
        assert (response.status_code, response.content) == (204, b"")
        assert (await client.get(f"/productos/{producto['id']}")).json()["activo"] is False

    async def test_dos_veces(self, client: httpx2.AsyncClient) -> None:
        url = f"/productos/{(await crear(client))['id']}"
        assert [(await client.delete(url)).status_code for _ in range(2)] == [204, 204]

    async def test_desconocido(self, client: httpx2.AsyncClient) -> None:
        assert problem(await client.delete(f"/productos/{uuid4()}")) == "no-encontrado"

    async def test_version_obsoleta(self, client: httpx2.AsyncClient) -> None:
        url = f"/productos/{(await crear(client))['id']}"
        assert problem(await client.delete(url, headers={"If-Match": '"2"'})) == "version-obsoleta"
        assert (await client.get(url)).json()["activo"] is True


OPERACIONES = [
    ("GET", "/productos", "productos:leer"),
    ("GET", f"/productos/{UUID(int=1)}", "productos:leer"),
    ("POST", "/productos", "productos:escribir"),
    ("PATCH", f"/productos/{UUID(int=1)}", "productos:escribir"),
    ("DELETE", f"/productos/{UUID(int=1)}", "productos:escribir"),
]


@before_the_database
@pytest.mark.parametrize(("metodo", "ruta", "permiso"), OPERACIONES)
class TestPermisos:
    async def test_sin_token(self, client: httpx2.AsyncClient, metodo: str, ruta: str, permiso: str) -> None:
        del client.headers["Authorization"]
        for valor in (None, "Bearer", "Bearer ", "Bearer x.y.z", "Basic YTpi", "Bearer \xff"):
            headers = {} if valor is None else {"Authorization": valor.encode("latin-1")}
            response = await client.request(metodo, ruta, json=CAFE if metodo != "GET" else None, headers=headers)
            assert (response.status_code, problem(response)) == (401, "no-autenticado")
            assert response.headers["WWW-Authenticate"] == "Bearer"

    async def test_sin_permiso(
        self, client: httpx2.AsyncClient, issuer: Issuer, metodo: str, ruta: str, permiso: str
    ) -> None:
        otros = {"productos:leer", "productos:escribir", "pedidos:crear"} - {permiso}
        response = await client.request(
            metodo, ruta, json=CAFE if metodo != "GET" else None, headers=issuer.headers(*otros)
        )
        assert (response.status_code, problem(response)) == (403, "no-autorizado")
