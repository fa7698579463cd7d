"""The contract of `/inventario`, as a client meets it; that of `/reservas` is in test_routes_reservas."""

import asyncio
import json
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest

from comanda.common.testing import FakeClock, fields, problem

before_the_database = pytest.mark.parametrize("databases", ["sqlite"], indirect=True)
"""For what is refused, or decided, before either database is asked."""

AHORA = "2026-01-01T12:00:00Z"
ID = "01980000-0000-7000-8000-000000000001"


def alta(cantidad: Any = 10, producto: Any = ID) -> dict[str, Any]:
    return {"producto_id": producto, "cantidad": cantidad}


def clave(valor: str, **headers: str) -> dict[str, str]:
    return {"Idempotency-Key": valor, **headers}


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
        assert request.headers["Authorization"].startswith("Bearer ")

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


class TestMover:
    async def test_entrada(self, tienda: Any, clock: FakeClock) -> None:
        producto = await tienda.alta(10)
        response = await tienda.mover(producto, "ENTRADA", 5, motivo="albarán 12")
        assert response.status_code == 201
        movimiento = response.json()
        assert UUID(movimiento["id"]).version == 7
        assert movimiento == {
            "id": movimiento["id"],
            "producto_id": producto,
            "tipo": "ENTRADA",
            "cantidad": 5,
            "motivo": "albarán 12",
            "pedido_id": None,
            "creado_en": AHORA,
        }
        assert response.headers["ETag"] == (await tienda.http.get(f"/inventario/{producto}")).headers["ETag"] == '"2"'
        assert await tienda.existencias(producto) == (15, 0)

    async def test_salida_de_todo_lo_disponible(self, tienda: Any, clock: FakeClock) -> None:
        producto = await tienda.alta(10)
        await tienda.reservar(clock.new_id(), {producto: 4})
        response = await tienda.mover(producto, "SALIDA", 6)
        assert (response.status_code, response.json()["cantidad"]) == (201, -6)
        assert await tienda.existencias(producto) == (4, 4)

    async def test_salida_de_lo_reservado(self, tienda: Any, clock: FakeClock) -> None:
        producto = await tienda.alta(10)
        await tienda.reservar(clock.new_id(), {producto: 4})
        response = await tienda.mover(producto, "SALIDA", 7)
        assert (response.status_code, problem(response)) == (409, "existencias-insuficientes")
        assert response.json()["faltantes"] == [{"producto_id": producto, "solicitado": 7, "disponible": 6}]
        assert await tienda.existencias(producto) == (10, 4)
        assert await tienda.libro(producto) == [("ENTRADA", 10)]

    @pytest.mark.parametrize(("cantidad", "cambio"), [(7, -3), (10, 0), (25, 15), (0, -10)])
    @before_the_database
    async def test_ajuste(self, tienda: Any, cantidad: int, cambio: int) -> None:
        producto = await tienda.alta(10)
        response = await tienda.mover(producto, "AJUSTE", cantidad, fisico_esperado=10)
        assert (response.status_code, response.json()["cantidad"]) == (201, cambio)
        assert await tienda.existencias(producto) == (cantidad, 0)

    async def test_ajuste_sobre_otra_cifra(self, tienda: Any) -> None:
        producto = await tienda.alta(10)
        for esperado in ({}, {"fisico_esperado": None}, {"fisico_esperado": 9}):
            response = await tienda.mover(producto, "AJUSTE", 12, **esperado)
            assert (response.status_code, problem(response)) == (409, "existencias-cambiadas")
            assert response.json()["fisico"] == 10
        assert await tienda.existencias(producto) == (10, 0)

    async def test_ajuste_por_debajo_de_lo_reservado(self, tienda: Any, clock: FakeClock) -> None:
        producto = await tienda.alta(10)
        await tienda.reservar(clock.new_id(), {producto: 4})
        response = await tienda.mover(producto, "AJUSTE", 3, fisico_esperado=10)
        assert (response.status_code, problem(response)) == (409, "existencias-insuficientes")
        assert response.json()["faltantes"] == [{"producto_id": producto, "solicitado": 7, "disponible": 6}]
        assert (await tienda.mover(producto, "AJUSTE", 4, fisico_esperado=10)).status_code == 201

    async def test_ajuste_de_mas_de_lo_que_cabe_en_un_movimiento(self, tienda: Any) -> None:
        producto = await tienda.alta(1_000_000_000)
        await tienda.mover(producto, "ENTRADA", 1_000_000_000)
        response = await tienda.mover(producto, "AJUSTE", 5, fisico_esperado=2_000_000_000)
        assert (response.status_code, response.json()["cantidad"]) == (201, -1_999_999_995)

    async def test_dos_recuentos_a_la_vez(self, tienda: Any) -> None:
        producto = await tienda.alta(10)
        recuentos = [tienda.mover(producto, "AJUSTE", cantidad, fisico_esperado=10) for cantidad in (7, 8)]
        responses = await asyncio.gather(*recuentos)
        assert sorted(response.status_code for response in responses) == [201, 409]
        await tienda.cuadra()

    async def test_de_un_producto_sin_inventario(self, tienda: Any) -> None:
        response = await tienda.mover(str(uuid4()), "ENTRADA", 5)
        assert (response.status_code, problem(response)) == (404, "no-encontrado")

    async def test_version_obsoleta(self, tienda: Any) -> None:
        producto = await tienda.alta(10)
        assert (await tienda.mover(producto, "ENTRADA", 1, {"If-Match": '"1"'})).status_code == 201
        response = await tienda.mover(producto, "ENTRADA", 1, {"If-Match": '"1"'})
        assert (response.status_code, problem(response)) == (412, "version-obsoleta")
        assert response.headers["ETag"] == '"2"'
        assert (await tienda.mover(producto, "ENTRADA", 1, {"If-Match": "*"})).status_code == 201
        assert await tienda.existencias(producto) == (12, 0)

    @before_the_database
    @pytest.mark.parametrize(
        ("campo", "valor"),
        [
            ("tipo", "VENTA"),
            ("tipo", "entrada"),
            ("tipo", None),
            ("cantidad", -1),
            ("cantidad", 1_000_000_001),
            ("cantidad", 5.0),
            ("cantidad", "5"),
            ("cantidad", None),
            ("fisico_esperado", -1),
            ("fisico_esperado", 1.5),
            ("motivo", "x" * 501),
            ("motivo", "a\0b"),
            ("motivo", "a\nb"),
            ("motivo", 5),
            ("pedido_id", ID),
        ],
    )
    async def test_campo_no_valido(self, tienda: Any, campo: str, valor: Any) -> None:
        cuerpo = {"tipo": "ENTRADA", "cantidad": 5} | {campo: valor}
        assert fields(await tienda.http.post(f"/inventario/{ID}/movimientos", json=cuerpo)) == {campo}


class TestMoverConClave:
    async def test_la_repeticion_recibe_la_primera_respuesta(self, tienda: Any, clock: FakeClock) -> None:
        producto = await tienda.alta(10)
        clock.advance(1)
        first = await tienda.mover(producto, "ENTRADA", 5, clave("k"))
        assert "Idempotent-Replayed" not in first.headers
        clock.advance(3600)
        await tienda.mover(producto, "SALIDA", 15)
        again = await tienda.mover(producto, "ENTRADA", 5, clave("k"))
        assert again.headers["Idempotent-Replayed"] == "true"
        for same in ("status_code", "content"):
            assert getattr(again, same) == getattr(first, same)
        for name in ("ETag", "Content-Type"):
            assert again.headers[name] == first.headers[name]
        assert await tienda.libro(producto) == [("ENTRADA", 10), ("ENTRADA", 5), ("SALIDA", -15)]

    @before_the_database
    async def test_el_mismo_cuerpo_escrito_de_otro_modo(self, tienda: Any) -> None:
        producto = await tienda.alta(10)
        for cuerpo in ('{"tipo":"ENTRADA","cantidad":5}', '{ "cantidad": 5,\n "tipo": "ENTRADA" }'):
            response = await tienda.http.post(
                f"/inventario/{producto}/movimientos",
                content=cuerpo,
                headers=clave("k", **{"Content-Type": "application/json"}),
            )
            assert response.status_code == 201
        assert await tienda.existencias(producto) == (15, 0)

    async def test_se_mira_antes_que_if_match(self, tienda: Any) -> None:
        producto = await tienda.alta(10)
        headers = clave("k", **{"If-Match": '"1"'})
        assert (await tienda.mover(producto, "ENTRADA", 5, headers)).status_code == 201
        again = await tienda.mover(producto, "ENTRADA", 5, headers)
        assert (again.status_code, again.headers["Idempotent-Replayed"]) == (201, "true")

    async def test_con_otro_cuerpo(self, tienda: Any) -> None:
        producto, otro = await tienda.alta(10), await tienda.alta(10)
        await tienda.mover(producto, "ENTRADA", 5, clave("k"))
        for response in (
            await tienda.mover(producto, "ENTRADA", 6, clave("k")),
            await tienda.mover(producto, "ENTRADA", 5, clave("k"), motivo="otra cosa"),
            await tienda.mover(producto, "ENTRADA", 5, clave("k", **{"If-Match": '"1"'}), motivo="otra cosa"),
            await tienda.mover(otro, "ENTRADA", 5, clave("k")),
        ):
            assert (response.status_code, problem(response)) == (422, "clave-idempotencia-reutilizada")
        assert await tienda.existencias(producto) == (15, 0)
        assert await tienda.existencias(otro) == (10, 0)

    async def test_cada_cual_tiene_las_suyas(self, tienda: Any) -> None:
        producto = await tienda.alta(10)
        await tienda.mover(producto, "ENTRADA", 5, clave("k"))
        another = clave("k", **tienda.usuario("inventario:escribir", subject="admin-2"))
        assert (await tienda.mover(producto, "ENTRADA", 6, another)).status_code == 201

    async def test_una_negativa_no_ocupa_la_clave(self, tienda: Any) -> None:
        producto = await tienda.alta(10)
        refused = [
            await tienda.mover(producto, "SALIDA", 11, clave("k")),
            await tienda.mover(producto, "AJUSTE", 5, clave("k"), fisico_esperado=9),
            await tienda.mover(producto, "ENTRADA", 5, clave("k", **{"If-Match": '"9"'})),
            await tienda.mover(str(uuid4()), "ENTRADA", 5, clave("k")),
        ]
        assert [response.status_code for response in refused] == [409, 409, 412, 404]
        response = await tienda.mover(producto, "ENTRADA", 5, clave("k"))
        assert response.status_code == 201
        assert "Idempotent-Replayed" not in response.headers

    async def test_la_misma_a_la_vez_mueve_una_vez(self, replicas: list[Any]) -> None:
        tienda = replicas[0]
        producto = await tienda.alta(10)
        calls = (replicas[n % len(replicas)].mover(producto, "ENTRADA", 5, clave("k")) for n in range(8))
        responses = await asyncio.gather(*calls)
        assert {(response.status_code, response.content) for response in responses} == {(201, responses[0].content)}
        assert sum("Idempotent-Replayed" in response.headers for response in responses) == 7
        assert await tienda.existencias(producto) == (15, 0)

    @before_the_database
    @pytest.mark.parametrize("valor", ["", "a b", "x" * 256, "ñ".encode().decode("latin-1"), "a\x7f"])
    async def test_clave_no_valida(self, tienda: Any, valor: str) -> None:
        response = await tienda.http.post(
            f"/inventario/{ID}/movimientos",
            json={"tipo": "ENTRADA", "cantidad": 5},
            headers=[(b"Idempotency-Key", valor.encode("latin-1"))],
        )
        assert fields(response) == {"Idempotency-Key"}


class TestLibro:
    async def test_cuenta_todo_lo_que_paso_en_orden(self, tienda: Any, clock: FakeClock) -> None:
        producto, vendido, liberado = await tienda.alta(10), clock.new_id(), clock.new_id()
        for change in (
            tienda.reservar(vendido, {producto: 3}),
            tienda.reservar(liberado, {producto: 2}),
            tienda.mover(producto, "ENTRADA", 5),
            tienda.confirmar(vendido),
            tienda.liberar(liberado),
            tienda.mover(producto, "SALIDA", 1),
            tienda.mover(producto, "AJUSTE", 20, fisico_esperado=11),
        ):
            clock.advance(1)
            assert (await change).status_code < 300
        assert await tienda.libro(producto) == [
            ("ENTRADA", 10),
            ("ENTRADA", 5),
            ("VENTA", -3),
            ("SALIDA", -1),
            ("AJUSTE", 9),
        ]
        lineas = await tienda.todas(f"/inventario/{producto}/movimientos", limite=2)
        assert [linea["pedido_id"] for linea in lineas] == [None, None, str(vendido), None, None]
        assert sum(linea["cantidad"] for linea in lineas) == (await tienda.existencias(producto))[0] == 20

    async def test_de_cada_producto_el_suyo(self, tienda: Any) -> None:
        uno, otro = await tienda.alta(1), await tienda.alta(2)
        assert await tienda.libro(uno) == [("ENTRADA", 1)]
        assert await tienda.libro(otro) == [("ENTRADA", 2)]

    async def test_de_un_producto_sin_inventario(self, tienda: Any) -> None:
        assert problem(await tienda.http.get(f"/inventario/{uuid4()}/movimientos")) == "no-encontrado"


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


ESCRIBEN = [("POST", "/inventario"), ("POST", f"/inventario/{ID}/movimientos")]
LEEN = [("GET", "/inventario"), ("GET", f"/inventario/{ID}"), ("POST", "/inventario/disponibilidad")]
LIBRO = [("GET", f"/inventario/{ID}/movimientos")]
RESERVAN = [("PUT", f"/reservas/{ID}"), ("POST", f"/reservas/{ID}/confirmar"), ("POST", f"/reservas/{ID}/liberar")]
LEEN_RESERVAS = [("GET", "/reservas"), ("GET", f"/reservas/{ID}")]
OPERAN = [("GET", "/circuitos")]
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


CON_CUERPO = [
    ("POST", "/inventario", alta()),
    ("POST", "/inventario/disponibilidad", {"lineas": [alta(1)]}),
    ("POST", f"/inventario/{ID}/movimientos", {"tipo": "ENTRADA", "cantidad": 5}),
    ("PUT", f"/reservas/{ID}", {"lineas": [alta(1)]}),
]
CON_ID = [
    ("GET", "/inventario/{}"),
    ("POST", "/inventario/{}/movimientos"),
    ("GET", "/inventario/{}/movimientos"),
    ("PUT", "/reservas/{}"),
    ("POST", "/reservas/{}/confirmar"),
    ("POST", "/reservas/{}/liberar"),
    ("GET", "/reservas/{}"),
]
LISTAS = ["/inventario", f"/inventario/{ID}/movimientos", "/reservas"]


def writer(tienda: Any, path: str) -> dict[str, str]:
    headers: dict[str, str] = tienda.vecino("pedidos") if path.startswith("/reservas") else {}
    return headers


def malformed(valid: dict[str, Any]) -> list[bytes]:
    """Bodies that are no JSON, or JSON that no valid value of this route looks like."""
    text = json.dumps(valid)
    number = json.dumps(valid.get("cantidad", 1))
    return [
        b"",
        b"{",
        b"\xff\xfe{}",
        b"NaN",
        b"null",
        b"5",
        b'"texto"',
        b"[]",
        b"{}",
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b'{"cantidad":' + b"9" * 5000 + b"}",
        text.replace(f'"cantidad": {number}', '"cantidad": ' + "9" * 5000).encode(),
        text.replace(f'"cantidad": {number}', '"cantidad": 1e999999').encode(),
        text.replace(f'"cantidad": {number}', '"cantidad": 1.0').encode(),
        text.replace(f'"cantidad": {number}', '"cantidad": -9223372036854775809').encode(),
        text.replace(f'"cantidad": {number}', '"cantidad": Infinity').encode(),
        text.replace(f'"cantidad": {number}', f'"cantidad": {number}, "otro": 1').encode(),
        text.replace(f'"cantidad": {number}', f'"cantidad": {number}, "a\\u0000b": 1').encode(),
        text.replace(f'"cantidad": {number}', f'"cantidad": {number}, "motivo": "\\ud800"').encode(),
        text.replace(f'"cantidad": {number}', f'"cantidad": {number}, "motivo": "a\\u0000b"').encode(),
        text.replace(ID, "no-es-un-uuid").encode() if ID in text else b"{}",
        text.replace(ID, "\\u0000" * 36).encode() if ID in text else b"{}",
        text[:-1].encode(),
        text.encode() + b"x",
        text.encode("utf-16"),
    ]


@before_the_database
class TestEntradaHostil:
    @pytest.mark.parametrize(("method", "path", "valid"), CON_CUERPO)
    async def test_cuerpo(self, tienda: Any, method: str, path: str, valid: dict[str, Any]) -> None:
        headers = {"Content-Type": "application/json", **writer(tienda, path)}
        for body in malformed(valid):
            response = await tienda.http.request(method, path, content=body, headers=headers)
            assert problem(response) in ("json-invalido", "datos-invalidos"), body[:200]

    @pytest.mark.parametrize(("method", "path", "valid"), CON_CUERPO)
    async def test_tipo_de_contenido(self, tienda: Any, method: str, path: str, valid: dict[str, Any]) -> None:
        headers = {"Content-Type": "text/plain", **writer(tienda, path)}
        response = await tienda.http.request(method, path, content=json.dumps(valid), headers=headers)
        assert problem(response) == "tipo-no-admitido"

    @pytest.mark.parametrize(("method", "path", "valid"), CON_CUERPO)
    async def test_cuerpo_enorme(self, tienda: Any, method: str, path: str, valid: dict[str, Any]) -> None:
        headers = {"Content-Type": "application/json", **writer(tienda, path)}
        response = await tienda.http.request(method, path, content=b" " * 1_048_577, headers=headers)
        assert (response.status_code, problem(response)) == (413, "cuerpo-demasiado-grande")

    @pytest.mark.parametrize(("method", "path"), CON_ID)
    async def test_id(self, tienda: Any, method: str, path: str) -> None:
        cuerpo = None
        if method != "GET":
            cuerpo = {"lineas": [alta(1)]} if method == "PUT" else {"tipo": "ENTRADA", "cantidad": 1}
        for identifier in ("5", "null", "%00", "%ED%A0%80", "%ff", "x" * 5000, ID + "0", ID[:-1] + "g", "..%2f.."):
            url = path.format(identifier)
            response = await tienda.http.request(method, url, json=cuerpo, headers=writer(tienda, path))
            assert problem(response) in ("datos-invalidos", "no-encontrado"), url
            assert 400 <= response.status_code < 500

    @pytest.mark.parametrize("path", LISTAS)
    async def test_pagina(self, tienda: Any, path: str) -> None:
        if ID in path:
            await tienda.alta(producto=ID)
        for campo, valor in [
            ("limite", "0"),
            ("limite", "201"),
            ("limite", "-1"),
            ("limite", "1.5"),
            ("limite", "x"),
            ("limite", "9" * 4000),
            ("cursor", "x"),
            ("cursor", "\0"),
            ("cursor", "bnVsbA"),
            ("cursor", "WyJyZXNlcnZhcyIsNV0"),
            ("cursor", "x" * 1001),
        ]:
            response = await tienda.http.get(path, params={campo: valor})
            assert fields(response) == {campo}, valor[:50]

    async def test_cursor_de_otra_lista(self, tienda: Any) -> None:
        for _ in range(2):
            await tienda.alta()
        cursor = (await tienda.http.get("/inventario?limite=1")).json()["siguiente"]
        assert fields(await tienda.http.get("/reservas", params={"cursor": cursor})) == {"cursor"}

    @pytest.mark.parametrize(
        ("campo", "valor"),
        [
            ("ids", "x"),
            ("ids", "\0"),
            ("ids", f"{ID},{ID[:-1]}"),
            ("ids", ",".join([ID] * 201)),
            ("ids", "x" * 8001),
            ("estado", "activa"),
            ("estado", ""),
            ("estado", "\0"),
        ],
    )
    async def test_filtro_de_reservas(self, tienda: Any, campo: str, valor: str) -> None:
        assert fields(await tienda.http.get("/reservas", params={campo: valor})) == {campo}

    @pytest.mark.parametrize(
        "cuerpo",
        [
            {"lineas": []},
            {"lineas": [{"producto_id": str(UUID(int=n)), "cantidad": 1} for n in range(101)]},
            {"lineas": [alta(1), alta(2)]},
            {"lineas": [alta(1), alta(2, ID.upper())]},
            {"lineas": {"producto_id": ID, "cantidad": 1}},
            {"lineas": None},
            {"lineas": [alta(0)]},
            {"lineas": [alta(-1)]},
            {"lineas": [alta(1_000_001)]},
            {"lineas": [alta(1.0)]},
            {"lineas": [alta("1")]},
            {"lineas": [alta(1) | {"precio": 1}]},
            {"lineas": [alta(1, 5)]},
        ],
    )
    async def test_lineas(self, tienda: Any, cuerpo: dict[str, Any]) -> None:
        for method, path in (("POST", "/inventario/disponibilidad"), ("PUT", f"/reservas/{ID}")):
            response = await tienda.http.request(method, path, json=cuerpo, headers=tienda.vecino("pedidos"))
            assert all(campo.startswith("lineas") for campo in fields(response))
        assert problem(await tienda.http.get(f"/reservas/{ID}")) == "no-encontrado"

    @pytest.mark.parametrize("valor", ["1", "x", '"', '"1" x', "W/"])
    async def test_etiqueta(self, tienda: Any, valor: str) -> None:
        producto = await tienda.alta()
        assert fields(await tienda.mover(producto, "ENTRADA", 1, {"If-Match": valor})) == {"If-Match"}
        response = await tienda.http.get(f"/inventario/{producto}", headers={"If-None-Match": valor})
        assert fields(response) == {"If-None-Match"}
