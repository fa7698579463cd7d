"""The contract of `/inventario/{id}/movimientos`: moving stock, once per key, and the ledger."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest
from inventario_examples import AHORA, ID, before_the_database

from comanda.testing import FakeClock, fields, problem


def clave(valor: str, **headers: str) -> dict[str, str]:
    return {"Idempotency-Key": valor, **headers}


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
