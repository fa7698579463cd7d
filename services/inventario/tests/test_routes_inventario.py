"""The contract of `/inventario`, as a client meets it; that of `/reservas` is in test_routes_reservas."""

import asyncio
import json
from base64 import urlsafe_b64decode
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from inventario_examples import AHORA, ID, alta, before_the_database

from comanda.testing import FakeClock, fields, problem


class TestCrear:
    async def test_creado(self, tienda: Any) -> None:
        response = await tienda.http.post("/inventario", json=alta(10))
        assert response.status_code == 201
        documento = {"producto_id": ID, "fisico": 10, "reservado": 0, "disponible": 10, "actualizado_en": AHORA}
        assert response.json() == documento
        assert response.headers["ETag"] == '"1"'
        leido = await tienda.http.get(response.headers["Location"])
        assert (leido.json(), leido.headers["ETag"]) == (documento, '"1"')

    async def test_lo_que_hay_al_empezar_es_la_primera_linea_del_libro(self, tienda: Any) -> None:
        assert await tienda.libro(await tienda.alta(10)) == [("ENTRADA", 10)]

    async def test_puede_empezar_sin_nada(self, tienda: Any) -> None:
        assert await tienda.existencias(await tienda.alta(0)) == (0, 0)

    async def test_ya_existe(self, tienda: Any, vecinos: Any) -> None:
        producto = await tienda.alta(10)
        vecinos.cut()
        response = await tienda.http.post("/inventario", json=alta(5, producto))
        assert (response.status_code, problem(response)) == (409, "inventario-existente")
        assert await tienda.existencias(producto) == (10, 0)

    async def test_muchos_a_la_vez_con_el_mismo_producto(self, tienda: Any) -> None:
        responses = await asyncio.gather(*(tienda.http.post("/inventario", json=alta(10)) for _ in range(8)))
        assert sorted(response.status_code for response in responses) == [201] + [409] * 7
        assert await tienda.libro(ID) == [("ENTRADA", 10)]

    @before_the_database
    @pytest.mark.parametrize(
        "cuerpo",
        [
            alta(-1),
            alta(1_000_000_001),
            alta("10"),
            alta(10.0),
            alta(1.5),
            alta(True),
            alta(None),
            {"producto_id": ID},
        ],
    )
    async def test_cantidad_no_valida(self, tienda: Any, cuerpo: dict[str, Any]) -> None:
        assert fields(await tienda.http.post("/inventario", json=cuerpo)) == {"cantidad"}

    @before_the_database
    async def test_la_cantidad_puede_ser_grande(self, tienda: Any) -> None:
        assert await tienda.existencias(await tienda.alta(1_000_000_000)) == (1_000_000_000, 0)


@before_the_database
class TestCrearPreguntaAProductos:
    async def test_por_ese_producto_y_en_nombre_propio(self, tienda: Any, vecinos: Any) -> None:
        await tienda.http.post("/inventario", json=alta(), headers={"X-Request-Id": "peticion-7"})
        [request] = vecinos.sent
        assert (request.method, str(request.url)) == ("GET", f"http://productos/productos/{ID}")
        assert request.headers["X-Request-Id"] == "peticion-7"
        scheme, _, token = request.headers["Authorization"].partition(" ")
        header = urlsafe_b64decode(token.partition(".")[0] + "==")
        assert (scheme, json.loads(header)["typ"]) == ("Bearer", "svc+jwt")  # the administrator's goes no further

    async def test_uno_inactivo_cuenta_como_existente(self, tienda: Any, vecinos: Any) -> None:
        assert json.loads(vecinos.answers["productos"].content) == {"activo": False}
        assert await tienda.existencias(await tienda.alta(3)) == (3, 0)

    async def test_producto_inexistente(self, tienda: Any, vecinos: Any) -> None:
        vecinos.answer(404)
        response = await tienda.http.post("/inventario", json=alta())
        assert (response.status_code, problem(response)) == (422, "producto-inexistente")
        assert problem(await tienda.http.get(f"/inventario/{ID}")) == "no-encontrado"

    async def test_productos_no_responde(self, tienda: Any, vecinos: Any) -> None:
        vecinos.cut()
        response = await tienda.http.post("/inventario", json=alta())
        assert (response.status_code, problem(response)) == (503, "servicio-no-disponible")
        assert response.json()["servicio"] == "productos"
        assert int(response.headers["Retry-After"]) >= 1
        assert vecinos.requests["productos"] == 4
        assert await tienda.todas("/inventario") == []

    @pytest.mark.parametrize("status", [429, 503])
    async def test_productos_pide_esperar(self, tienda: Any, vecinos: Any, status: int) -> None:
        vecinos.answer(status, **{"Retry-After": "7"})
        response = await tienda.http.post("/inventario", json=alta())
        assert (response.status_code, problem(response)) == (503, "servicio-no-disponible")
        assert (response.json()["servicio"], response.headers["Retry-After"]) == ("productos", "7")
        assert vecinos.requests["productos"] == 1

    @pytest.mark.parametrize("status", [500, 502, 401, 403, 422])
    async def test_productos_responde_otra_cosa(self, tienda: Any, vecinos: Any, status: int) -> None:
        vecinos.answer(status)
        response = await tienda.http.post("/inventario", json=alta())
        assert (response.status_code, problem(response)) == (502, "respuesta-invalida")
        assert response.json()["servicio"] == "productos"
        assert await tienda.todas("/inventario") == []

    async def test_con_el_circuito_abierto_ya_no_se_le_llama(self, tienda: Any, vecinos: Any) -> None:
        producto = await tienda.alta(10)
        vecinos.cut()
        for _ in range(5):
            assert problem(await tienda.http.post("/inventario", json=alta())) == "servicio-no-disponible"
        [circuito] = (await tienda.http.get("/circuitos")).json()
        assert (circuito["nombre"], circuito["estado"]) == ("productos", "ABIERTO")
        sends = vecinos.requests["productos"]
        response = await tienda.http.post("/inventario", json=alta())
        assert (response.status_code, response.headers["Retry-After"]) == (503, "60")
        assert vecinos.requests["productos"] == sends
        assert (await tienda.mover(producto, "ENTRADA", 5)).status_code == 201


class TestConsultar:
    async def test_inexistente(self, tienda: Any) -> None:
        response = await tienda.http.get(f"/inventario/{uuid4()}")
        assert (response.status_code, problem(response)) == (404, "no-encontrado")

    @pytest.mark.parametrize("tag", ['"1"', 'W/"1"', '"7", "1"', "*"])
    @before_the_database
    async def test_sin_cambios(self, tienda: Any, tag: str) -> None:
        producto = await tienda.alta()
        response = await tienda.http.get(f"/inventario/{producto}", headers={"If-None-Match": tag})
        assert (response.status_code, response.content, response.headers["ETag"]) == (304, b"", '"1"')

    async def test_todo_cambio_da_otra_etiqueta(self, tienda: Any, clock: FakeClock) -> None:
        producto, pedido = await tienda.alta(10), clock.new_id()
        tags = []
        for change in (
            tienda.mover(producto, "ENTRADA", 1),
            tienda.reservar(pedido, {producto: 2}),
            tienda.confirmar(pedido),
        ):
            clock.advance(1)
            assert (await change).status_code < 300
            response = await tienda.http.get(f"/inventario/{producto}", headers={"If-None-Match": '"1"'})
            assert response.status_code == 200
            assert response.json()["actualizado_en"] == clock.now().isoformat().replace("+00:00", "Z")
            tags.append(response.headers["ETag"])
        assert len(set(tags)) == 3

    async def test_ni_una_negativa_ni_una_repeticion_la_cambian(self, tienda: Any, clock: FakeClock) -> None:
        producto, pedido = await tienda.alta(10), clock.new_id()
        await tienda.reservar(pedido, {producto: 2})
        before = (await tienda.http.get(f"/inventario/{producto}")).headers["ETag"]
        await tienda.reservar(pedido, {producto: 2})
        await tienda.reservar(clock.new_id(), {producto: 9})
        await tienda.mover(producto, "SALIDA", 9)
        assert (await tienda.http.get(f"/inventario/{producto}")).headers["ETag"] == before


class TestListar:
    async def test_pagina_a_pagina(self, tienda: Any) -> None:
        productos = [await tienda.alta(n) for n in range(5)]
        first = await tienda.http.get("/inventario?limite=2")
        assert [fila["fisico"] for fila in first.json()["elementos"]] == [
            productos.index(producto) for producto in sorted(productos)[:2]
        ]
        link, _, relation = first.headers["Link"].partition("; ")
        assert relation == 'rel="next"'
        second = await tienda.http.get(link.strip("<>"))
        by_hand = await tienda.http.get("/inventario", params={"limite": 2, "cursor": first.json()["siguiente"]})
        assert second.json() == by_hand.json()
        last = await tienda.http.get("/inventario", params={"limite": 2, "cursor": second.json()["siguiente"]})
        assert last.json()["siguiente"] is None
        assert "Link" not in last.headers
        everything = [fila for page in (first, second, last) for fila in page.json()["elementos"]]
        assert [fila["producto_id"] for fila in everything] == sorted(productos)
        assert await tienda.todas("/inventario") == everything

    async def test_nada(self, tienda: Any) -> None:
        assert (await tienda.http.get("/inventario")).json() == {"elementos": [], "siguiente": None}


class TestDisponibilidad:
    async def preguntar(self, tienda: Any, **lineas: Any) -> httpx2.Response:
        cuerpo = {"lineas": [{"producto_id": p, "cantidad": c} for p, c in lineas.items()]}
        response: httpx2.Response = await tienda.http.post("/inventario/disponibilidad", json=cuerpo)
        return response

    async def test_hay_de_todo(self, tienda: Any, clock: FakeClock) -> None:
        uno, otro = await tienda.alta(10), await tienda.alta(5)
        await tienda.reservar(clock.new_id(), {uno: 4})
        response = await self.preguntar(tienda, **{uno: 6, otro: 5})
        assert (response.status_code, response.json()) == (200, {"disponible": True, "faltantes": []})

    async def test_falta_algo(self, tienda: Any, clock: FakeClock) -> None:
        uno, otro, desconocido = await tienda.alta(10), await tienda.alta(5), str(uuid4())
        await tienda.reservar(clock.new_id(), {uno: 4})
        response = await self.preguntar(tienda, **{uno: 7, otro: 5, desconocido: 1})
        assert response.json() == {
            "disponible": False,
            "faltantes": [
                {"producto_id": uno, "solicitado": 7, "disponible": 6},
                {"producto_id": desconocido, "solicitado": 1, "disponible": 0},
            ],
        }

    async def test_no_aparta_nada(self, tienda: Any) -> None:
        producto = await tienda.alta(10)
        for _ in range(2):
            assert (await self.preguntar(tienda, **{producto: 10})).json()["disponible"]
        assert await tienda.existencias(producto) == (10, 0)
