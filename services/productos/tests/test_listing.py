"""Pages and searches of the catalogue."""

import itertools
import random
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest

from comanda.testing import FakeClock, fields

numbers = itertools.count(1)

before_the_database = pytest.mark.parametrize("databases", ["sqlite"], indirect=True)
"""For what is refused, or decided, before either database is asked."""


async def crear(client: httpx2.AsyncClient, **campos: Any) -> dict[str, Any]:
    datos = {"sku": f"S-{next(numbers)}", "nombre": "Silla", "precio": "1.00"} | campos
    response = await client.post("/productos", json=datos)
    assert response.status_code == 201, response.text
    documento: dict[str, Any] = response.json()
    return documento


async def skus(client: httpx2.AsyncClient, **params: Any) -> list[str]:
    response = await client.get("/productos", params=params)
    assert response.status_code == 200, response.text
    return [producto["sku"] for producto in response.json()["elementos"]]


class TestListar:
    async def test_pagina(self, client: httpx2.AsyncClient) -> None:
        for nombre in ("b", "Á", "c"):
            await crear(client, nombre=nombre)
        response = await client.get("/productos", params={"limite": 2})
        pagina = response.json()
        assert [producto["nombre"] for producto in pagina["elementos"]] == ["Á", "b"]
        enlace = response.headers["Link"]
        assert enlace.startswith("</productos?limite=2&cursor=")
        assert enlace.endswith('>; rel="next"')
        ultima = await client.get(enlace[1 : enlace.index(">")])
        assert [producto["nombre"] for producto in ultima.json()["elementos"]] == ["c"]
        assert ultima.json()["siguiente"] is None
        assert "Link" not in ultima.headers

    async def test_el_enlace_conserva_los_filtros(self, client: httpx2.AsyncClient) -> None:
        for nombre in ("café & té 1", "café & té 2", "otro"):
            await crear(client, nombre=nombre)
        response = await client.get("/productos", params={"buscar": "CAFE & té", "limite": 1, "activo": "true"})
        enlace = response.headers["Link"]
        siguiente = await client.get(enlace[1 : enlace.index(">")])
        assert [producto["nombre"] for producto in siguiente.json()["elementos"]] == ["café & té 2"]
        assert siguiente.json()["siguiente"] is None

    @pytest.mark.parametrize("ordenar", ["nombre", "precio", "creado_en"])
    async def test_se_recorre_sin_huecos_ni_repeticiones(
        self, client: httpx2.AsyncClient, clock: FakeClock, ordenar: str
    ) -> None:
        azar = random.Random(ordenar)  # noqa: S311  # reproducible on purpose
        for _ in range(60):
            await crear(client, nombre=azar.choice(["Ñ", "ñ", "a", "A b", "_", "Ω"]), precio=azar.choice([1, 2.5, 100]))
            clock.advance(azar.choice([0, 0, 0.000001, 1]))
        esperado = await skus(client, ordenar=ordenar, limite=200)
        for limite in (1, 7, 59, 60):
            visto: list[str] = []
            params: dict[str, Any] = {"ordenar": ordenar, "limite": limite}
            while True:
                pagina = (await client.get("/productos", params=params)).json()
                visto += [producto["sku"] for producto in pagina["elementos"]]
                if pagina["siguiente"] is None:
                    break
                params["cursor"] = pagina["siguiente"]
            assert visto == esperado
        assert len(set(esperado)) == 60

    async def test_por_precio_y_fecha(self, client: httpx2.AsyncClient, clock: FakeClock) -> None:
        for sku, precio in (("a", "10.00"), ("b", "9.00"), ("c", "10.00")):
            await crear(client, sku=sku, precio=precio)
            clock.advance(1)
        assert await skus(client, ordenar="precio") == ["b", "a", "c"]
        assert await skus(client, ordenar="creado_en") == ["a", "b", "c"]

    async def test_activos_o_retirados(self, client: httpx2.AsyncClient) -> None:
        await crear(client, sku="a")
        retirado = await crear(client, sku="b")
        await client.delete(f"/productos/{retirado['id']}")
        assert await skus(client, activo="true") == ["a"]
        assert await skus(client, activo="false") == ["b"]
        assert sorted(await skus(client)) == ["a", "b"]
        assert await skus(client, activo="false", buscar="silla") == ["b"]

    async def test_por_ids(self, client: httpx2.AsyncClient) -> None:
        ids = [(await crear(client))["id"] for _ in range(60)]
        pedidos = [*ids, *(str(uuid4()) for _ in range(140))]
        pagina = (await client.get("/productos", params={"ids": ",".join(pedidos)})).json()
        assert {producto["id"] for producto in pagina["elementos"]} == set(ids)
        assert pagina["siguiente"] is None

    async def test_por_ids_con_limite_y_busqueda(self, client: httpx2.AsyncClient) -> None:
        ids = [(await crear(client, nombre=nombre))["id"] for nombre in ("mesa", "silla", "silla")]
        pagina = (await client.get("/productos", params={"ids": ",".join(ids), "limite": 2})).json()
        assert len(pagina["elementos"]) == 2
        assert pagina["siguiente"]
        assert len(await skus(client, ids=",".join(ids[:2]), buscar="sil")) == 1

    async def test_ningun_id(self, client: httpx2.AsyncClient) -> None:
        await crear(client)
        assert await skus(client, ids="") == []

    @before_the_database
    @pytest.mark.parametrize("ids", ["x", "1,2", ",".join(str(UUID(int=n)) for n in range(201)), "0" * 8001])
    async def test_ids_no_validos(self, client: httpx2.AsyncClient, ids: str) -> None:
        assert fields(await client.get("/productos", params={"ids": ids})) == {"ids"}

    @before_the_database
    @pytest.mark.parametrize(
        ("campo", "valor"),
        [
            ("limite", "0"),
            ("limite", "201"),
            ("limite", "-1"),
            ("limite", "1.5"),
            ("limite", "9" * 5000),
            ("limite", ""),
            ("activo", "quizás"),
            ("ordenar", "sku"),
            ("buscar", "x" * 101),
            ("buscar", "a\0b"),
            ("cursor", "x" * 1001),
        ],
    )
    async def test_parametro_no_valido(self, client: httpx2.AsyncClient, campo: str, valor: str) -> None:
        assert fields(await client.get("/productos", params={campo: valor})) == {campo}

    @pytest.mark.parametrize("limite", [1, 200])
    async def test_limites_extremos(self, client: httpx2.AsyncClient, limite: int) -> None:
        assert (await client.get("/productos", params={"limite": limite})).status_code == 200

    async def test_cursor_de_otro_orden(self, client: httpx2.AsyncClient) -> None:
        for _ in range(2):
            await crear(client)
        cursor = (await client.get("/productos", params={"limite": 1})).json()["siguiente"]
        assert fields(await client.get("/productos", params={"cursor": cursor, "ordenar": "precio"})) == {"cursor"}


class TestBuscar:
    @pytest.fixture(autouse=True)
    async def _catalogo(self, client: httpx2.AsyncClient) -> None:
        await crear(client, sku="N", nombre="Café solo")
        await crear(client, sku="D", descripcion="con leche, como un CAFÉ")
        await crear(client, sku="Café-7", nombre="Molinillo")
        await crear(client, sku="X", nombre='100%_"raro"\\/*', descripcion="AND OR NOT (a) ^b:c -d")

    @pytest.mark.parametrize("buscar", ["cafe", "CAFÉ", "Cafe\u0301", "caf", "afé"])
    async def test_en_los_tres_campos_sin_acentos_ni_mayusculas(self, client: httpx2.AsyncClient, buscar: str) -> None:
        assert sorted(await skus(client, buscar=buscar)) == ["Café-7", "D", "N"]

    async def test_el_texto_es_literal(self, client: httpx2.AsyncClient) -> None:
        esperado: dict[str, set[str]] = {
            "é": {"Café-7", "D", "N"},
            "fé": {"Café-7", "D", "N"},
            "-7": {"Café-7"},
            "qx": set(),
            "zzz": set(),
            "%": {"X"},
            "_": {"X"},
            "%_": {"X"},
            '%_"': {"X"},
            '"raro"': {"X"},
            '""': set(),
            '"': {"X"},
            "\\/*": {"X"},
            "\\": {"X"},
            "c%e": set(),
            "c_fe": set(),
            "caf*": set(),
            "AND OR NOT": {"X"},
            "cafe OR leche": set(),
            "(a) ^b:c -d": {"X"},
            "solo n": set(),
        }
        assert {buscar: set(await skus(client, buscar=buscar)) for buscar in esperado} == esperado

    async def test_vacio_es_todo(self, client: httpx2.AsyncClient) -> None:
        assert len(await skus(client, buscar="")) == 4

    async def test_sigue_a_los_cambios(self, client: httpx2.AsyncClient) -> None:
        producto = (await client.get("/productos", params={"buscar": "molinillo"})).json()["elementos"][0]
        await client.patch(f"/productos/{producto['id']}", json={"nombre": "Prensa", "sku": "P"})
        assert await skus(client, buscar="molinillo") == []
        assert await skus(client, buscar="prensa") == ["P"]

    async def test_frecuente_con_pagina_siguiente(self, client: httpx2.AsyncClient) -> None:
        pagina = (await client.get("/productos", params={"buscar": "af", "limite": 2})).json()
        resto = (await client.get("/productos", params={"buscar": "af", "cursor": pagina["siguiente"]})).json()
        hallados = [producto["sku"] for producto in pagina["elementos"] + resto["elementos"]]
        assert hallados == ["N", "Café-7", "D"]
        assert resto["siguiente"] is None
