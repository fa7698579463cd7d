"""Sales that a restored database of inventario has forgotten, whatever it has of their reservations."""

import asyncio
from typing import Any
from uuid import UUID

import httpx2
import pytest
from reservas_preparadas import (
    Preparar,
    activa,
    barrida,
    confirmada,
    lapida_de_confirmar,
    lapida_de_liberar,
    vencida,
)

from comanda.testing import problem


async def desconocida(tienda: Any, pedido: UUID, producto: str) -> None: ...


async def vender(tienda: Any, pedido: UUID, lineas: dict[str, int]) -> httpx2.Response:
    cuerpo = {"lineas": [{"producto_id": producto, "cantidad": cantidad} for producto, cantidad in lineas.items()]}
    answer: httpx2.Response = await tienda.http.put(
        f"/reservas/{pedido}/venta", json=cuerpo, headers=tienda.vecino("pedidos")
    )
    return answer


class TestVender:
    @pytest.mark.parametrize(
        "preparar", [desconocida, activa, vencida, barrida, confirmada, lapida_de_liberar, lapida_de_confirmar]
    )
    async def test_se_vende_una_vez(self, tienda: Any, preparar: Preparar) -> None:
        producto, pedido = await tienda.alta(10), tienda.clock.new_id()
        await preparar(tienda, pedido, producto)
        for _ in range(2):
            answer = await vender(tienda, pedido, {producto: 4})
            assert (answer.status_code, answer.json()["estado"]) == (200, "CONFIRMADA")
        assert await tienda.existencias(producto) == (6, 0)
        assert sorted(await tienda.libro(producto)) == [("ENTRADA", 10), ("VENTA", -4)]
        reserva = await tienda.reserva(pedido)
        assert (reserva["estado"], reserva["lineas"]) == ("CONFIRMADA", [{"producto_id": producto, "cantidad": 4}])
        await tienda.cuadra()

    async def test_sin_quitar_lo_que_otros_tienen(self, tienda: Any) -> None:
        """What is not there must have come in after the restored moment: the ledger says so."""
        producto, pedido = await tienda.alta(5), tienda.clock.new_id()
        assert (await tienda.reservar(tienda.clock.new_id(), {producto: 4})).status_code == 201
        assert (await vender(tienda, pedido, {producto: 3})).status_code == 200
        assert await tienda.existencias(producto) == (4, 4)
        assert sorted(await tienda.libro(producto)) == [("AJUSTE", 2), ("ENTRADA", 5), ("VENTA", -3)]
        movimientos = await tienda.todas(f"/inventario/{producto}/movimientos")
        [ajuste] = [movimiento for movimiento in movimientos if movimiento["tipo"] == "AJUSTE"]
        assert (ajuste["pedido_id"], ajuste["motivo"]) == (
            str(pedido),
            "salió con un pedido sin que constara su entrada: contar la mercancía",
        )
        await tienda.cuadra()

    async def test_de_mucho_despues(self, tienda: Any) -> None:
        """A reservation is refused under an id as old as this; a sale is not."""
        producto, pedido = await tienda.alta(5), tienda.clock.new_id()
        tienda.clock.advance(100 * 3600)
        assert (await vender(tienda, pedido, {producto: 3})).status_code == 200

    async def test_otras_lineas(self, tienda: Any) -> None:
        producto, pedido = await tienda.alta(10), tienda.clock.new_id()
        await activa(tienda, pedido, producto)
        assert problem(await vender(tienda, pedido, {producto: 5})) == "reserva-cerrada"
        assert await tienda.existencias(producto) == (10, 4)

    async def test_de_lo_que_nunca_se_conto(self, tienda: Any) -> None:
        """Whether productos still knows it is not asked: it has left."""
        producto, contado, pedido = str(tienda.clock.new_id()), await tienda.alta(5), tienda.clock.new_id()
        assert (await vender(tienda, pedido, {producto: 3, contado: 1})).status_code == 200
        assert [await tienda.existencias(one) for one in (producto, contado)] == [(0, 0), (4, 0)]
        assert sorted(await tienda.libro(producto)) == [("AJUSTE", 3), ("VENTA", -3)]
        await tienda.cuadra()

    async def test_varias_replicas_a_la_vez(self, replicas: Any) -> None:
        producto, pedido = await replicas[0].alta(10), replicas[0].clock.new_id()
        turns = [replicas[n % len(replicas)] for n in range(6)]
        answers = await asyncio.gather(*(vender(one, pedido, {producto: 4}) for one in turns))
        assert {answer.status_code for answer in answers} == {200}
        assert await replicas[0].existencias(producto) == (6, 0)
