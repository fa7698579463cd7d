"""The contract of pedidos, with the real productos and inventario behind it."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest
from contract.system import System

from comanda.testing import FakeClock, problem


class TestCrear:
    async def test_reservado(self, system: System) -> None:
        cafe, te = await system.producto(10, "19.90", nombre="Café"), await system.producto(5, "0.05", nombre="Té")
        response = await system.pedir((cafe, 3), (te, 1), total_esperado="59.75")
        assert response.status_code == 201
        pedido = response.json()
        assert (pedido["estado"], pedido["total"], pedido["moneda"]) == ("PENDIENTE", "59.75", "EUR")
        assert [(linea["nombre"], linea["importe"]) for linea in pedido["lineas"]] == [
            ("Café", "59.70"),
            ("Té", "0.05"),
        ]
        assert pedido["reserva_expira_en"] == "2026-01-01T12:15:00Z"
        assert await system.existencias(cafe) == (10, 3)
        assert await system.existencias(te) == (5, 1)
        assert await system.reserva(pedido["id"]) == "ACTIVA"
        leido = await system.pedidos.get(response.headers["Location"], headers=system.cliente())
        assert (leido.json(), leido.headers["ETag"]) == (pedido, response.headers["ETag"])

    @pytest.mark.parametrize("databases", ["sqlite"], indirect=True)
    async def test_cien_lineas(self, system: System) -> None:
        ids = [await system.producto(1) for _ in range(100)]
        response = await system.pedir(*((producto_id, 1) for producto_id in ids))
        assert response.status_code == 201
        assert response.json()["total"] == "250.00"

    async def test_producto_desconocido_o_retirado(self, system: System) -> None:
        cafe, retirado, desconocido = await system.producto(), await system.producto(), str(uuid4())
        await system.productos.delete(f"/productos/{retirado}", headers=system.admin)
        response = await system.pedir((cafe, 1), (desconocido, 1), (retirado, 1), key="k1")
        assert (response.status_code, problem(response)) == (422, "producto-no-disponible")
        assert response.json()["productos"] == [desconocido, retirado]
        assert await system.todos() == []
        await system.pedir_ok((cafe, 1), key="k1")  # the key was not bound

    async def test_total_distinto(self, system: System) -> None:
        cafe = await system.producto(10, "2.50")
        response = await system.pedir((cafe, 2), total_esperado="4.99", key="k1")
        assert (response.status_code, problem(response)) == (409, "total-distinto")
        assert response.json()["total"] == "5.00"
        assert await system.todos() == []
        assert await system.existencias(cafe) == (10, 0)
        await system.pedir_ok((cafe, 2), total_esperado="5.00", key="k1")

    async def test_existencias_insuficientes(self, system: System) -> None:
        cafe, te, sin_fila = await system.producto(10), await system.producto(1), await system.producto(None)
        response = await system.pedir((cafe, 1), (te, 2), (sin_fila, 3), key="k1")
        assert (response.status_code, problem(response)) == (409, "existencias-insuficientes")
        assert response.json()["faltantes"] == [
            {"producto_id": te, "solicitado": 2, "disponible": 1},
            {"producto_id": sin_fila, "solicitado": 3, "disponible": 0},
        ]
        pedido_id = response.json()["pedido_id"]
        assert await system.estado(pedido_id) == ("CANCELADO", "existencias-insuficientes")
        assert await system.existencias(cafe) == (10, 0)
        movimiento = {"tipo": "ENTRADA", "cantidad": 100}
        await system.inventario.post(f"/inventario/{te}/movimientos", json=movimiento, headers=system.admin)
        again = await system.pedir((cafe, 1), (te, 2), (sin_fila, 3), key="k1")
        assert (again.status_code, again.content) == (409, response.content)
        assert again.headers["Idempotent-Replayed"] == "true"

    async def test_copia_nombre_y_precio(self, system: System) -> None:
        cafe = await system.producto(10, "2.50")
        pedido_id = await system.pedir_ok((cafe, 2))
        changes = {"precio": "9.99", "nombre": "Otro"}
        await system.productos.patch(f"/productos/{cafe}", json=changes, headers=system.admin)
        await system.productos.delete(f"/productos/{cafe}", headers=system.admin)
        assert (await system.completar(pedido_id)).json()["total"] == "5.00"
        [linea] = (await system.pedido(pedido_id))["lineas"]
        assert (linea["nombre"], linea["precio_unitario"]) == ("Café", "2.50")

    async def test_nunca_se_vende_de_mas(self, system: System) -> None:
        cafe = await system.producto(5)
        responses = await asyncio.gather(*(system.pedir((cafe, 1), cliente=f"c{n}") for n in range(8)))
        assert sorted(response.status_code for response in responses) == [201] * 5 + [409] * 3
        assert await system.existencias(cafe) == (5, 5)


class TestTopes:
    @pytest.mark.parametrize("tope", [{"max_open_orders": 3}, {"max_open_units": 6}])
    async def test_a_la_vez(self, arrancar: Any, tope: dict[str, int]) -> None:
        system = await arrancar(**tope)
        cafe = await system.producto(100)
        responses = await asyncio.gather(*(system.pedir((cafe, 2), key=f"k{n}") for n in range(8)))
        assert sorted(response.status_code for response in responses) == [201] * 3 + [429] * 5
        rejected = next(response for response in responses if response.status_code == 429)
        assert problem(rejected) == "demasiados-pendientes"
        assert await system.existencias(cafe) == (100, 6)
        await system.pedir_ok((cafe, 2), cliente="otro")
        await system.cancelar(next(response.json()["id"] for response in responses if response.status_code == 201))
        refused = responses.index(rejected)
        await system.pedir_ok((cafe, 2), key=f"k{refused}")  # the refusal did not bind the key


class TestCompletar:
    async def test_sale_del_almacen(self, system: System) -> None:
        cafe = await system.producto(10)
        pedido_id = await system.pedir_ok((cafe, 4))
        for _ in range(2):
            response = await system.completar(pedido_id)
            assert (response.status_code, response.json()["estado"]) == (200, "COMPLETADO")
            assert await system.existencias(cafe) == (6, 0)
        path = f"/inventario/{cafe}/movimientos"
        movimientos = (await system.inventario.get(path, headers=system.admin)).json()["elementos"]
        assert [(m["tipo"], m["cantidad"], m["pedido_id"]) for m in movimientos] == [
            ("ENTRADA", 10, None),
            ("VENTA", -4, pedido_id),
        ]
        assert problem(await system.cancelar(pedido_id)) == "transicion-invalida"

    async def test_expirado_y_aun_sin_barrer(self, system: System) -> None:
        """inventario's clock decides, under the lock of the row, whether its sweeper has come by or not."""
        cafe = await system.producto(10)
        pedido_id = await system.pedir_ok((cafe, 4))
        system.advance(900)
        for _ in range(2):
            response = await system.completar(pedido_id)
            assert (response.status_code, problem(response)) == (409, "reserva-expirada")
        assert await system.estado(pedido_id) == ("CANCELADO", "expirado")
        assert await system.existencias(cafe) == (10, 0)

    async def test_en_el_ultimo_momento(self, system: System) -> None:
        cafe = await system.producto(10)
        pedido_id = await system.pedir_ok((cafe, 4))
        system.advance(899.999)
        assert (await system.completar(pedido_id)).status_code == 200

    async def test_solicitado(self, system: System) -> None:
        cafe = await system.producto(10)
        system.red.caer("inventario")
        pedido_id = (await system.pedir((cafe, 1))).json()["pedido_id"]
        response = await system.completar(pedido_id)
        assert (response.status_code, problem(response)) == (409, "transicion-invalida")
        assert response.json()["fase"] == "SOLICITADO"
        system.red.volver("inventario")

    async def test_con_inventario_caido_se_acaba_solo(self, system: System) -> None:
        cafe = await system.producto(10)
        pedido_id = await system.pedir_ok((cafe, 4))
        system.red.caer("inventario")
        response = await system.completar(pedido_id)
        assert (response.status_code, problem(response)) == (503, "servicio-no-disponible")
        assert response.json()["servicio"] == "inventario"
        assert (await system.pedido(pedido_id))["fase"] == "COMPLETANDO"
        assert problem(await system.cancelar(pedido_id)) == "transicion-invalida"
        system.red.volver("inventario")
        assert await system.recuperar() == 1
        assert await system.estado(pedido_id) == ("COMPLETADO", None)
        assert await system.existencias(cafe) == (6, 0)


class TestCancelar:
    async def test_vuelve_al_almacen(self, system: System) -> None:
        cafe = await system.producto(10)
        pedido_id = await system.pedir_ok((cafe, 4))
        for motivo in ("me arrepentí", "otra vez"):
            response = await system.cancelar(pedido_id, motivo=motivo)
            assert (response.status_code, response.json()["motivo"]) == (200, "me arrepentí")
            assert await system.existencias(cafe) == (10, 0)
        assert problem(await system.completar(pedido_id)) == "transicion-invalida"

    async def test_con_inventario_caido_se_acaba_solo(self, system: System) -> None:
        cafe = await system.producto(10)
        pedido_id = await system.pedir_ok((cafe, 4))
        system.red.caer("inventario")
        response = await system.cancelar(pedido_id)
        assert (response.status_code, problem(response)) == (503, "servicio-no-disponible")
        pedido = await system.pedido(pedido_id)
        assert (pedido["estado"], pedido["fase"]) == ("PENDIENTE", "CANCELANDO")
        system.red.volver("inventario")
        assert await system.recuperar() == 1
        assert await system.estado(pedido_id) == ("CANCELADO", "cancelado")
        assert await system.existencias(cafe) == (10, 0)

    async def test_un_rechazado(self, system: System) -> None:
        refused = await system.pedir((await system.producto(1), 2))
        response = await system.cancelar(refused.json()["pedido_id"])
        assert (response.status_code, response.json()["motivo"]) == (200, "existencias-insuficientes")


class TestExpirar:
    async def test_acaba_cancelado(self, system: System) -> None:
        cafe = await system.producto(10)
        pedido_id = await system.pedir_ok((cafe, 4))
        system.advance(901)
        await system.barrer()
        assert await system.existencias(cafe) == (10, 0)
        assert await system.recuperar() == 1
        assert await system.estado(pedido_id) == ("CANCELADO", "expirado")
        assert problem(await system.completar(pedido_id)) == "reserva-expirada"

    async def test_hasta_que_inventario_no_lo_dice_no(self, system: System) -> None:
        cafe = await system.producto(10)
        pedido_id = await system.pedir_ok((cafe, 4))
        system.advance(901)
        assert await system.recuperar() == 1
        assert await system.estado(pedido_id) == ("PENDIENTE", None)
        await system.barrer()
        system.advance(2)
        assert await system.recuperar() == 1
        assert await system.estado(pedido_id) == ("CANCELADO", "expirado")


class TestPorSiSolo:
    @pytest.fixture
    def clock(self) -> FakeClock:
        return FakeClock()

    async def test_nada_se_queda_a_medias(self, system: System) -> None:
        """Nobody calls anything any more: the background loops bring every order to its end."""
        cafe = await system.producto(10)
        expira, completa = await system.pedir_ok((cafe, 1)), await system.pedir_ok((cafe, 2))
        cancela = await system.pedir_ok((cafe, 3))
        system.red.caer("inventario")
        abandona = (await system.pedir((cafe, 4))).json()["pedido_id"]
        assert (await system.completar(completa)).status_code == 503
        assert (await system.cancelar(cancela)).status_code == 503
        system.red.volver("inventario")
        seconds = 300 + 60 + 30 + 900
        for pedido_id, estado in {
            completa: "COMPLETADO",
            cancela: "CANCELADO",
            abandona: "CANCELADO",
            expira: "CANCELADO",
        }.items():
            await system.eventualmente(pedido_id, estado, seconds=seconds)
        assert [(await system.estado(one))[1] for one in (expira, abandona)] == ["expirado", "abandonado"]
        assert await system.existencias(cafe) == (8, 0)
