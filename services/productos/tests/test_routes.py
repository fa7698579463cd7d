"""The contract of productos, as a client meets it."""

import itertools
import json
import random
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest

from comanda.common.testing import FakeClock, Issuer, fields, problem

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


async def skus(client: httpx2.AsyncClient, **params: Any) -> list[str]:
    response = await client.get("/productos", params=params)
    assert response.status_code == 200, response.text
    return [producto["sku"] for producto in response.json()["elementos"]]


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
        nombre = "Кофе ☕ 咖啡 👩‍🍳"
        assert (await crear(client, nombre=nombre, descripcion="a\tb\nc"))["nombre"] == nombre
        assert len(await skus(client, buscar="咖啡")) == 1
        assert len(await skus(client, buscar="КОФЕ ☕")) == 1


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

    @pytest.mark.parametrize(
        ("buscar", "hallados"),
        [
            ("é", {"Café-7", "D", "N"}),
            ("fé", {"Café-7", "D", "N"}),
            ("-7", {"Café-7"}),
            ("qx", set()),
            ("zzz", set()),
            ("%", {"X"}),
            ("_", {"X"}),
            ("%_", {"X"}),
            ('%_"', {"X"}),
            ('"raro"', {"X"}),
            ('""', set()),
            ('"', {"X"}),
            ("\\/*", {"X"}),
            ("\\", {"X"}),
            ("c%e", set()),
            ("c_fe", set()),
            ("caf*", set()),
            ("AND OR NOT", {"X"}),
            ("cafe OR leche", set()),
            ("(a) ^b:c -d", {"X"}),
            ("solo n", set()),
        ],
    )
    async def test_el_texto_es_literal(self, client: httpx2.AsyncClient, buscar: str, hallados: set[str]) -> None:
        assert set(await skus(client, buscar=buscar)) == hallados

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

    @pytest.mark.parametrize("campo", ["sku", "nombre", "precio", "activo"])
    async def test_null_no_quita_lo_demas(self, client: httpx2.AsyncClient, campo: str) -> None:
        producto = await crear(client)
        assert fields(await client.patch(f"/productos/{producto['id']}", json={campo: None})) == {campo}

    @pytest.mark.parametrize(
        ("campo", "valor"), [("id", str(uuid4())), ("moneda", "USD"), ("activo", 1), ("activo", "true"), ("sku", "")]
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

    @pytest.mark.parametrize("etiquetas", ['"2"', 'W/"1"', '"1 "'.replace(" ", "x"), '"a,1"'])
    async def test_version_obsoleta(self, client: httpx2.AsyncClient, etiquetas: str) -> None:
        url = f"/productos/{(await crear(client))['id']}"
        response = await client.patch(url, json={"nombre": "Mesa"}, headers={"If-Match": etiquetas})
        assert (response.status_code, problem(response)) == (412, "version-obsoleta")
        assert response.headers["ETag"] == '"1"'
        assert (await client.get(url)).json()["nombre"] == "Silla"

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
@pytest.mark.parametrize(("metodo", "ruta", "permiso"), OPERACIONES[2:4])
class TestCuerpo:
    @pytest.mark.parametrize("cuerpo", CUERPOS_ILEGIBLES.values(), ids=CUERPOS_ILEGIBLES.keys())
    async def test_no_es_json(
        self, client: httpx2.AsyncClient, metodo: str, ruta: str, permiso: str, cuerpo: bytes
    ) -> None:
        response = await client.request(metodo, ruta, content=cuerpo, headers={"Content-Type": "application/json"})
        assert (response.status_code, problem(response)) == (400, "json-invalido")

    async def test_sin_cuerpo_ni_tipo(self, client: httpx2.AsyncClient, metodo: str, ruta: str, permiso: str) -> None:
        assert problem(await client.request(metodo, ruta)) == "json-invalido"

    @pytest.mark.parametrize("cuerpo", CUERPOS_DE_OTRA_FORMA)
    async def test_otra_forma(
        self, client: httpx2.AsyncClient, metodo: str, ruta: str, permiso: str, cuerpo: bytes
    ) -> None:
        response = await client.request(metodo, ruta, content=cuerpo, headers={"Content-Type": "application/json"})
        assert (response.status_code, problem(response)) == (422, "datos-invalidos")

    @pytest.mark.parametrize("tipo", ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", ""])
    async def test_otro_tipo(self, client: httpx2.AsyncClient, metodo: str, ruta: str, permiso: str, tipo: str) -> None:
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
