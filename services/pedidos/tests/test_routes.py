"""The interface of pedidos: who may call what, what it takes, and how its answers look."""

import json
from typing import Any
from uuid import UUID

import httpx2
import pytest

from comanda.common.testing import FakeClock, Issuer, fields, problem, running
from comanda.pedidos.app import build

ADMIN = ("pedidos:leer", "pedidos:gestionar", "operaciones:leer")

before_the_database = pytest.mark.parametrize("databases", ["sqlite"], indirect=True)
"""For what is refused, or decided, before either database is asked."""


@pytest.fixture
def admin(issuer: Issuer) -> dict[str, str]:
    return issuer.headers(*ADMIN, subject="jefa")


@pytest.fixture
def luis(issuer: Issuer) -> dict[str, str]:
    return issuer.headers("pedidos:crear", "pedidos:propios", subject="luis")


def lineas(*pares: tuple[Any, Any]) -> dict[str, Any]:
    return {"lineas": [{"producto_id": producto_id, "cantidad": cantidad} for producto_id, cantidad in pares]}


async def pedir(client: httpx2.AsyncClient, vecinos: Any, **options: Any) -> dict[str, Any]:
    response = await client.post("/pedidos", json=lineas((vecinos.producto(), 2)), **options)
    assert response.status_code == 201, response.text
    documento: dict[str, Any] = response.json()
    return documento


class TestCrear:
    async def test_creado(self, client: httpx2.AsyncClient, vecinos: Any) -> None:
        cafe, te = vecinos.producto("19.90", sku="CAF-1"), vecinos.producto("0.05", sku="TE-1", nombre="Té «verde»")
        response = await client.post("/pedidos", json=lineas((cafe, 3), (te, 1)))
        assert response.status_code == 201
        documento = response.json()
        assert UUID(documento["id"]).version == 7
        linea = {"producto_id": cafe, "sku": "CAF-1", "nombre": "Café", "precio_unitario": "19.90", "cantidad": 3}
        assert documento == {
            "id": documento["id"],
            "cliente_id": "ana",
            "estado": "PENDIENTE",
            "fase": "RESERVADO",
            "lineas": [
                linea | {"importe": "59.70"},
                {
                    "producto_id": te,
                    "sku": "TE-1",
                    "nombre": "Té «verde»",
                    "precio_unitario": "0.05",
                    "cantidad": 1,
                    "importe": "0.05",
                },
            ],
            "total": "59.75",
            "moneda": "EUR",
            "motivo": None,
            "reserva_expira_en": "2026-01-01T12:15:00Z",
            "creado_en": "2026-01-01T12:00:00Z",
            "actualizado_en": "2026-01-01T12:00:00Z",
        }
        assert response.headers["Location"] == f"/pedidos/{documento['id']}"
        leido = await client.get(response.headers["Location"])
        assert leido.json() == documento
        assert leido.headers["ETag"] == response.headers["ETag"]

    @pytest.mark.parametrize("count", [1, 100])
    async def test_de_una_a_cien_lineas(self, client: httpx2.AsyncClient, vecinos: Any, count: int) -> None:
        response = await client.post("/pedidos", json=lineas(*((vecinos.producto(), 1) for _ in range(count))))
        assert response.status_code == 201
        assert len(response.json()["lineas"]) == count

    async def test_la_mayor_cantidad(self, client: httpx2.AsyncClient, vecinos: Any) -> None:
        caro = vecinos.producto("1000000.00")
        response = await client.post(
            "/pedidos", json=lineas((caro, 1_000_000)) | {"total_esperado": "1000000000000.00"}
        )
        assert response.json()["total"] == "1000000000000.00"

    @pytest.mark.parametrize("total", ["5.00", "5.0", "5", 5, 5.0])
    async def test_total_esperado_en_cualquier_forma(
        self, client: httpx2.AsyncClient, vecinos: Any, total: Any
    ) -> None:
        body = lineas((vecinos.producto("2.50"), 2)) | {"total_esperado": total}
        assert (await client.post("/pedidos", json=body)).status_code == 201

    @pytest.mark.parametrize("total", ["4.99", 5.01, 0, 10**14])
    async def test_total_distinto(self, client: httpx2.AsyncClient, vecinos: Any, total: Any) -> None:
        body = lineas((vecinos.producto("2.50"), 2)) | {"total_esperado": total}
        response = await client.post("/pedidos", json=body)
        assert (response.status_code, problem(response)) == (409, "total-distinto")
        assert response.json()["total"] == "5.00"

    @before_the_database
    @pytest.mark.parametrize("total", ["5.001", -1, "-1", "", "cinco", "1e3", True, [], 10**30, "9" * 16])
    async def test_total_esperado_imposible(self, client: httpx2.AsyncClient, vecinos: Any, total: Any) -> None:
        body = lineas((vecinos.producto(), 2)) | {"total_esperado": total}
        assert fields(await client.post("/pedidos", json=body)) == {"total_esperado"}

    @before_the_database
    @pytest.mark.parametrize("cantidad", [0, -1, 1_000_001, 1.5, 2.0, "2", True, None, 10**400])
    async def test_cantidad_imposible(self, client: httpx2.AsyncClient, vecinos: Any, cantidad: Any) -> None:
        response = await client.post("/pedidos", json=lineas((vecinos.producto(), cantidad)))
        assert fields(response) == {"lineas.0.cantidad"}

    @before_the_database
    @pytest.mark.parametrize("producto_id", ["", "café", 5, None, "0" * 40])
    async def test_producto_id_imposible(self, client: httpx2.AsyncClient, producto_id: Any) -> None:
        assert fields(await client.post("/pedidos", json=lineas((producto_id, 1)))) == {"lineas.0.producto_id"}

    @before_the_database
    @pytest.mark.parametrize("count", [0, 101])
    async def test_ni_cero_ni_mas_de_cien_lineas(self, client: httpx2.AsyncClient, vecinos: Any, count: int) -> None:
        body = lineas(*((vecinos.producto(), 1) for _ in range(count)))
        assert fields(await client.post("/pedidos", json=body)) == {"lineas"}
        assert vecinos.peticiones == []

    @before_the_database
    async def test_un_producto_dos_veces(self, client: httpx2.AsyncClient, vecinos: Any) -> None:
        cafe = vecinos.producto()
        assert fields(await client.post("/pedidos", json=lineas((cafe, 1), (cafe.upper(), 2)))) == {"lineas"}

    @before_the_database
    @pytest.mark.parametrize("body", [{}, {"lineas": None}, {"lineas": {}}, [], "x", 5, None])
    async def test_sin_lineas(self, client: httpx2.AsyncClient, body: Any) -> None:
        response = await client.post("/pedidos", content=json.dumps(body), headers={"Content-Type": "application/json"})
        assert (response.status_code, problem(response)) == (422, "datos-invalidos")

    @before_the_database
    async def test_campos_desconocidos(self, client: httpx2.AsyncClient, vecinos: Any) -> None:
        body = lineas((vecinos.producto(), 1)) | {"descuento": 5}
        body["lineas"][0]["precio"] = "0.01"
        assert fields(await client.post("/pedidos", json=body)) == {"descuento", "lineas.0.precio"}


class TestQuienPuede:
    @before_the_database
    @pytest.mark.parametrize(
        ("method", "path", "scopes"),
        [
            ("POST", "/pedidos", {"pedidos:crear"}),
            ("GET", "/pedidos", {"pedidos:propios", "pedidos:leer"}),
            ("GET", "/pedidos/{id}", {"pedidos:propios", "pedidos:leer"}),
            ("GET", "/pedidos/{id}/historial", {"pedidos:propios", "pedidos:leer"}),
            ("POST", "/pedidos/{id}/completar", {"pedidos:gestionar"}),
            ("POST", "/pedidos/{id}/cancelar", {"pedidos:propios", "pedidos:gestionar"}),
            ("GET", "/circuitos", {"operaciones:leer"}),
        ],
    )
    async def test_con_un_permiso_y_no_con_otro(
        self, client: httpx2.AsyncClient, issuer: Issuer, method: str, path: str, scopes: set[str]
    ) -> None:
        path = path.format(id="019b796d-d600-7000-8000-000000000000")
        body = lineas((path, 1)) if path == "/pedidos" and method == "POST" else None
        del client.headers["Authorization"]
        response = await client.request(method, path, json=body)
        assert (response.status_code, problem(response)) == (401, "no-autenticado")
        assert response.headers["WWW-Authenticate"] == "Bearer"
        for scope in ("pedidos:crear", "pedidos:propios", "pedidos:leer", "pedidos:gestionar", "operaciones:leer"):
            response = await client.request(method, path, json=body, headers=issuer.headers(scope))
            assert (response.status_code == 403) == (scope not in scopes), (scope, response.text)


class TestListar:
    async def test_solo_los_propios(
        self, client: httpx2.AsyncClient, vecinos: Any, admin: dict[str, str], luis: dict[str, str]
    ) -> None:
        de_ana, de_luis = await pedir(client, vecinos), await pedir(client, vecinos, headers=luis)
        assert (await client.get("/pedidos")).json() == {"elementos": [de_ana], "siguiente": None}
        assert (await client.get("/pedidos?cliente_id=luis")).json()["elementos"] == []
        assert (await client.get("/pedidos?cliente_id=ana")).json()["elementos"] == [de_ana]
        todos = (await client.get("/pedidos", headers=admin)).json()["elementos"]
        assert {pedido["id"] for pedido in todos} == {de_ana["id"], de_luis["id"]}
        assert (await client.get("/pedidos?cliente_id=luis", headers=admin)).json()["elementos"] == [de_luis]

    async def test_por_paginas_el_mas_nuevo_primero(
        self, client: httpx2.AsyncClient, vecinos: Any, clock: FakeClock
    ) -> None:
        ids = []
        for _ in range(5):
            ids.append((await pedir(client, vecinos))["id"])
            clock.advance(1)
        seen: list[str] = []
        url = "/pedidos?limite=2&estado=PENDIENTE"
        while url:
            page = await client.get(url)
            assert len(page.json()["elementos"]) <= 2
            seen += [pedido["id"] for pedido in page.json()["elementos"]]
            url = page.links.get("next", {}).get("url", "")
            assert bool(url) == (page.json()["siguiente"] is not None)
        assert seen == ids[::-1]

    async def test_por_estado_y_fecha(self, client: httpx2.AsyncClient, vecinos: Any, clock: FakeClock) -> None:
        viejo = await pedir(client, vecinos)
        clock.advance(60)
        nuevo = await pedir(client, vecinos)
        await client.post(f"/pedidos/{viejo['id']}/cancelar")

        async def ids(**params: str) -> list[str]:
            response = await client.get("/pedidos", params=params)
            assert response.status_code == 200, response.text
            return [pedido["id"] for pedido in response.json()["elementos"]]

        assert await ids(estado="CANCELADO") == [viejo["id"]]
        assert await ids(estado="PENDIENTE") == [nuevo["id"]]
        assert await ids(estado="COMPLETADO") == []
        assert await ids(desde="2026-01-01T12:01:00Z") == [nuevo["id"]]
        assert await ids(desde="2026-01-01T13:01:00+01:00") == [nuevo["id"]]
        assert await ids(hasta="2026-01-01T12:01:00Z") == [viejo["id"]]
        assert await ids(desde="2026-01-01T12:00:00Z", hasta="2026-01-01T12:00:00Z") == []
        assert await ids(desde="0001-01-01T00:00:00+14:00", hasta="9999-12-31T23:59:59-14:00") == [
            nuevo["id"],
            viejo["id"],
        ]

    @before_the_database
    @pytest.mark.parametrize(
        ("query", "campo"),
        [
            ("limite=0", "limite"),
            ("limite=201", "limite"),
            ("limite=x", "limite"),
            ("limite=" + "9" * 5000, "limite"),
            ("estado=RESERVADO", "estado"),
            ("estado=", "estado"),
            ("desde=ayer", "desde"),
            ("desde=2026-01-01T12:00:00", "desde"),
            ("hasta=2026-13-01T12:00:00Z", "hasta"),
            ("hasta=" + "9" * 400, "hasta"),
            ("cliente_id=a%00b", "cliente_id"),
            ("cliente_id=" + "x" * 201, "cliente_id"),
            ("cursor=x", "cursor"),
            ("cursor=%00", "cursor"),
            ("cursor=W10", "cursor"),
            ("cursor=WyJwZWRpZG9zIiw1XQ", "cursor"),
            ("cursor=WyJvdHJhIiwiMSJd", "cursor"),
            ("cursor=" + "A" * 1001, "cursor"),
        ],
    )
    async def test_lo_que_no_se_puede_preguntar(self, client: httpx2.AsyncClient, query: str, campo: str) -> None:
        assert fields(await client.get(f"/pedidos?{query}")) == {campo}


class TestConsultar:
    async def test_lo_ajeno_no_existe(
        self, client: httpx2.AsyncClient, vecinos: Any, admin: dict[str, str], luis: dict[str, str]
    ) -> None:
        pedido = await pedir(client, vecinos)
        for path in (f"/pedidos/{pedido['id']}", f"/pedidos/{pedido['id']}/historial"):
            response = await client.get(path, headers=luis)
            assert (response.status_code, problem(response)) == (404, "no-encontrado")
            assert (await client.get(path, headers=admin)).status_code == 200
        response = await client.post(f"/pedidos/{pedido['id']}/cancelar", headers=luis)
        assert (response.status_code, problem(response)) == (404, "no-encontrado")

    async def test_sin_cambios(self, client: httpx2.AsyncClient, vecinos: Any) -> None:
        path = f"/pedidos/{(await pedir(client, vecinos))['id']}"
        tag = (await client.get(path)).headers["ETag"]
        for header in (tag, f"W/{tag}", f'"x", {tag}', "*"):
            response = await client.get(path, headers={"If-None-Match": header})
            assert (response.status_code, response.content, response.headers["ETag"]) == (304, b"", tag)
        await client.post(f"{path}/cancelar")
        response = await client.get(path, headers={"If-None-Match": tag})
        assert response.status_code == 200
        assert response.headers["ETag"] != tag

    @before_the_database
    @pytest.mark.parametrize("pedido_id", ["x", "123", "019b796d-d600-7000-8000-00000000000g", "%00", "%F0%9F%98%80"])
    async def test_un_id_imposible(self, client: httpx2.AsyncClient, pedido_id: str) -> None:
        for path in (f"/pedidos/{pedido_id}", f"/pedidos/{pedido_id}/historial"):
            assert fields(await client.get(path)) == {"pedido_id"}

    @before_the_database
    async def test_un_etag_imposible(self, client: httpx2.AsyncClient, vecinos: Any) -> None:
        path = f"/pedidos/{(await pedir(client, vecinos))['id']}"
        assert fields(await client.get(path, headers={"If-None-Match": "2"})) == {"If-None-Match"}


class TestHistorial:
    async def test_lo_que_ha_pasado(
        self, client: httpx2.AsyncClient, vecinos: Any, clock: FakeClock, admin: dict[str, str]
    ) -> None:
        pedido = await pedir(client, vecinos)
        clock.advance(60)
        await client.post(f"/pedidos/{pedido['id']}/completar", headers=admin)
        response = await client.get(f"/pedidos/{pedido['id']}/historial")
        antes, despues = "2026-01-01T12:00:00Z", "2026-01-01T12:01:00Z"
        assert response.json() == [
            {"en": antes, "de": None, "a": "SOLICITADO", "causa": "pedido recibido"},
            {"en": antes, "de": "SOLICITADO", "a": "RESERVADO", "causa": "existencias reservadas"},
            {"en": despues, "de": "RESERVADO", "a": "COMPLETANDO", "causa": "completar"},
            {"en": despues, "de": "COMPLETANDO", "a": "COMPLETADO", "causa": "reserva confirmada"},
        ]


class TestCompletar:
    async def test_completado(self, client: httpx2.AsyncClient, vecinos: Any, admin: dict[str, str]) -> None:
        pedido = await pedir(client, vecinos)
        for _ in range(2):
            response = await client.post(f"/pedidos/{pedido['id']}/completar", headers=admin)
            assert response.status_code == 200
            assert response.json() == pedido | {"estado": "COMPLETADO", "fase": "COMPLETADO"}
            assert response.headers["ETag"] == '"4"'

    async def test_transicion_invalida(self, client: httpx2.AsyncClient, vecinos: Any, admin: dict[str, str]) -> None:
        path = f"/pedidos/{(await pedir(client, vecinos))['id']}"
        await client.post(f"{path}/cancelar")
        response = await client.post(f"{path}/completar", headers=admin)
        assert (response.status_code, problem(response)) == (409, "transicion-invalida")
        assert response.json()["estado"] == "CANCELADO"
        assert response.json()["instance"] == f"{path}/completar"


class TestCancelar:
    @pytest.mark.parametrize(
        ("body", "motivo"),
        [(None, "cancelado"), ({}, "cancelado"), ({"motivo": None}, "cancelado"), ({"motivo": "tarde 🐌"}, "tarde 🐌")],
    )
    async def test_motivo(self, client: httpx2.AsyncClient, vecinos: Any, body: Any, motivo: str) -> None:
        pedido = await pedir(client, vecinos)
        response = await client.post(f"/pedidos/{pedido['id']}/cancelar", json=body)
        assert response.status_code == 200
        assert response.json() == pedido | {"estado": "CANCELADO", "fase": "CANCELADO", "motivo": motivo}
        assert response.headers["ETag"] == '"4"'

    async def test_por_el_administrador(
        self, client: httpx2.AsyncClient, vecinos: Any, issuer: Issuer, admin: dict[str, str]
    ) -> None:
        pedido = await pedir(client, vecinos)
        lector = issuer.headers("pedidos:leer", subject="contable")
        assert (await client.post(f"/pedidos/{pedido['id']}/cancelar", headers=lector)).status_code == 403
        assert (await client.post(f"/pedidos/{pedido['id']}/cancelar", headers=admin)).json()["estado"] == "CANCELADO"

    @before_the_database
    @pytest.mark.parametrize("motivo", ["", "x" * 501, "a\0b", "a\nb", "a\x7f", 5, []])
    async def test_motivo_imposible(self, client: httpx2.AsyncClient, vecinos: Any, motivo: Any) -> None:
        pedido = await pedir(client, vecinos)
        response = await client.post(f"/pedidos/{pedido['id']}/cancelar", json={"motivo": motivo})
        assert fields(response) == {"motivo"}
        assert (await client.get(f"/pedidos/{pedido['id']}")).json() == pedido


class TestIfMatch:
    @pytest.mark.parametrize("operacion", ["completar", "cancelar"])
    async def test_version_obsoleta(
        self, client: httpx2.AsyncClient, vecinos: Any, admin: dict[str, str], operacion: str
    ) -> None:
        path = f"/pedidos/{(await pedir(client, vecinos))['id']}"
        for tags in ('"1"', '"1", "7"', 'W/"2"'):
            response = await client.post(f"{path}/{operacion}", headers=admin | {"If-Match": tags})
            assert (response.status_code, problem(response)) == (412, "version-obsoleta")
            assert response.headers["ETag"] == '"2"'
        assert (await client.get(path)).json()["fase"] == "RESERVADO"
        response = await client.post(f"{path}/{operacion}", headers=admin | {"If-Match": '"1", "2"'})
        assert response.status_code == 200

    @pytest.mark.parametrize("operacion", ["completar", "cancelar"])
    async def test_cualquiera(
        self, client: httpx2.AsyncClient, vecinos: Any, admin: dict[str, str], operacion: str
    ) -> None:
        path = f"/pedidos/{(await pedir(client, vecinos))['id']}"
        assert (await client.post(f"{path}/{operacion}", headers=admin | {"If-Match": "*"})).status_code == 200

    @before_the_database
    @pytest.mark.parametrize("tags", ["2", "", "'2'", '"2', "nada"])
    async def test_lo_que_no_es_un_etag(
        self, client: httpx2.AsyncClient, vecinos: Any, admin: dict[str, str], tags: str
    ) -> None:
        path = f"/pedidos/{(await pedir(client, vecinos))['id']}"
        response = await client.post(f"{path}/completar", headers=admin | {"If-Match": tags})
        assert fields(response) == {"If-Match"}


class TestTopes:
    @pytest.fixture
    def ajustes(self) -> dict[str, Any]:
        return {"max_open_orders": 1}

    async def test_demasiados_pendientes(self, client: httpx2.AsyncClient, vecinos: Any) -> None:
        pedido = await pedir(client, vecinos)
        response = await client.post("/pedidos", json=lineas((vecinos.producto(), 1)))
        assert (response.status_code, problem(response)) == (429, "demasiados-pendientes")
        assert int(response.headers["Retry-After"]) > 0
        await client.post(f"/pedidos/{pedido['id']}/cancelar")
        await pedir(client, vecinos)


class TestBuild:
    @before_the_database
    async def test_con_lo_que_dice_el_entorno(
        self, database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
    ) -> None:
        monkeypatch.setenv("COMANDA_DATA", str(tmp_path))
        monkeypatch.setenv("PEDIDOS_DATABASE_URL", database_url)
        monkeypatch.setattr("comanda.pedidos.app.prepare_process", lambda *_: None)
        async with running(build()) as client:
            assert (await client.get("/readyz")).status_code == 200
            assert "/pedidos/{pedido_id}/completar" in (await client.get("/openapi.json")).json()["paths"]
