"""The interface of pedidos: who may call what, what it takes, and how its answers look."""

import json
from typing import Any
from uuid import UUID

import httpx2
import pytest
from pedidos_requests import before_the_database, lineas, pedir

from comanda.pedidos.app import build
from comanda.testing import Issuer, fields, problem, running


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
