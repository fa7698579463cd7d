"""Who may call which route of inventario."""

from typing import Any

import pytest
from inventario_examples import ID, before_the_database

from comanda.testing import problem

ESCRIBEN = [("POST", "/inventario"), ("POST", f"/inventario/{ID}/movimientos")]


LEEN = [("GET", "/inventario"), ("GET", f"/inventario/{ID}"), ("POST", "/inventario/disponibilidad")]


LIBRO = [("GET", f"/inventario/{ID}/movimientos")]


RESERVAN = [
    ("PUT", f"/reservas/{ID}"),
    ("POST", f"/reservas/{ID}/confirmar"),
    ("POST", f"/reservas/{ID}/liberar"),
    ("PUT", f"/reservas/{ID}/venta"),
]


LEEN_RESERVAS = [("GET", "/reservas"), ("GET", f"/reservas/{ID}")]


OPERAN = [("GET", "/circuitos"), ("GET", "/operacion")]


TODAS = ESCRIBEN + LEEN + LIBRO + RESERVAN + LEEN_RESERVAS + OPERAN


@before_the_database
class TestPermisos:
    async def assert_allowed(self, tienda: Any, headers: dict[str, str], allowed: list[tuple[str, str]]) -> None:
        for method, path in TODAS:
            response = await tienda.http.request(method, path, json=None if method == "GET" else {}, headers=headers)
            if (method, path) in allowed:
                assert response.status_code not in (401, 403), (method, path)
            else:
                assert (response.status_code, problem(response)) == (403, "no-autorizado"), (method, path)

    async def test_admin(self, tienda: Any) -> None:
        await self.assert_allowed(tienda, {}, ESCRIBEN + LEEN + LIBRO + LEEN_RESERVAS + OPERAN)

    async def test_cliente(self, tienda: Any) -> None:
        headers = tienda.usuario("productos:leer", "inventario:leer", "pedidos:crear", "pedidos:propios")
        await self.assert_allowed(tienda, headers, LEEN)

    async def test_pedidos(self, tienda: Any) -> None:
        await self.assert_allowed(tienda, tienda.vecino("pedidos"), LEEN + RESERVAN + LEEN_RESERVAS)

    async def test_operador(self, tienda: Any) -> None:
        await self.assert_allowed(tienda, tienda.vecino("operador"), LEEN + LIBRO + LEEN_RESERVAS + OPERAN)

    @pytest.mark.parametrize("authorization", ["", "Bearer ", "Bearer x.y.z", "Basic YTpi"])
    async def test_sin_token_valido(self, tienda: Any, authorization: str) -> None:
        for method, path in TODAS:
            cuerpo = None if method == "GET" else {}
            response = await tienda.http.request(method, path, json=cuerpo, headers={"Authorization": authorization})
            assert (response.status_code, problem(response)) == (401, "no-autenticado"), (method, path)
            assert response.headers["WWW-Authenticate"] == "Bearer"

    async def test_otro_servicio(self, tienda: Any) -> None:
        response = await tienda.http.get("/inventario", headers=tienda.vecino("productos"))
        assert problem(response) == "no-autenticado"
