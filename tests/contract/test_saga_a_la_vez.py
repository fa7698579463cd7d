"""Requests on one order at the same time, and clocks that disagree: the stock adds up."""

import asyncio
from typing import Any

import pytest
from contract.system import LEASE_SECONDS, System

from comanda.testing import problem

ENDS = [
    ["SOLICITADO", "RESERVADO", "COMPLETANDO", "COMPLETADO"],
    ["SOLICITADO", "RESERVADO", "CANCELANDO", "CANCELADO"],
]


class TestALaVez:
    async def test_completar_dos_veces(self, system: System) -> None:
        cafe = await system.producto(10)
        pedido_id = await system.pedir_ok((cafe, 4))
        replica = await system.replica()
        responses = await asyncio.gather(*(one.completar(pedido_id) for one in (system, replica, system)))
        assert {response.status_code for response in responses} == {200}
        assert len({response.content for response in responses}) == 1
        assert await system.existencias(cafe) == (6, 0)

    async def test_completar_y_cancelar(self, system: System) -> None:
        cafe = await system.producto(10)
        replica = await system.replica()
        for _ in range(3):
            pedido_id = await system.pedir_ok((cafe, 1))
            completar, cancelar = await asyncio.gather(system.completar(pedido_id), replica.cancelar(pedido_id))
            assert {completar.status_code, cancelar.status_code} == {200, 409}
            loser = completar if completar.status_code == 409 else cancelar
            assert problem(loser) == "transicion-invalida"
            assert await system.fases(pedido_id) in ENDS

    async def test_cancelar_mientras_se_completa(self, system: System) -> None:
        cafe = await system.producto(10)
        pedido_id = await system.pedir_ok((cafe, 4))
        pausa = system.red.pausar("inventario", "POST", antes=True)
        completar = asyncio.create_task(system.completar(pedido_id))
        await pausa.llegada.wait()
        response = await system.cancelar(pedido_id)
        assert (response.status_code, problem(response)) == (409, "transicion-invalida")
        pausa.seguir.set()
        assert (await completar).status_code == 200

    async def test_recovery_y_el_reintento_del_cliente(self, system: System) -> None:
        """Either may win; the answer says what is true, and the stock agrees."""
        cafe = await system.producto(10)
        system.red.caer("inventario")
        pedido_id = (await system.pedir((cafe, 4), key="k1")).json()["pedido_id"]
        system.red.volver("inventario")
        system.advance(300)
        _, response = await asyncio.gather(system.recuperar(), system.pedir((cafe, 4), key="k1"))
        estado, motivo = await system.estado(pedido_id)
        if response.status_code == 201:
            assert (response.json()["id"], estado) == (pedido_id, "PENDIENTE")
            assert await system.existencias(cafe) == (10, 4)
        else:
            assert (problem(response), estado, motivo) == ("pedido-cancelado", "CANCELADO", "abandonado")
            assert await system.existencias(cafe) == (10, 0)

    async def test_dos_recovery(self, system: System) -> None:
        cafe = await system.producto(10)
        pedido_id = await system.pedir_ok((cafe, 4))
        system.red.caer("inventario")
        replica = await system.replica()
        await system.completar(pedido_id)
        system.red.volver("inventario")
        sent = len(system.red.peticiones)
        assert sorted(await asyncio.gather(system.recuperar(), replica.recuperar())) == [0, 1]
        assert len(system.red.peticiones) == sent + 1
        assert await system.fases(pedido_id) == ENDS[0]

    async def test_una_replica_dormida_despierta_tarde(self, system: System) -> None:
        """Its lease has been taken over: its call is answered as before, its write loses."""
        cafe = await system.producto(10)
        pedido_id = await system.pedir_ok((cafe, 4))
        system.red.caer("inventario")
        await system.completar(pedido_id)
        system.red.volver("inventario")
        pausa = system.red.pausar("inventario", "POST", antes=True)
        dormida = asyncio.create_task(system.recuperar())
        await pausa.llegada.wait()
        replica = await system.replica()
        assert await replica.recuperar() == 0
        system.advance(LEASE_SECONDS)
        assert await replica.recuperar() == 1
        assert await system.estado(pedido_id) == ("COMPLETADO", None)
        pausa.seguir.set()
        await dormida
        assert await system.fases(pedido_id) == ENDS[0]
        assert await system.existencias(cafe) == (6, 0)


class TestElTiempo:
    async def test_confirmar_llega_tras_expirar(self, system: System) -> None:
        cafe = await system.producto(10)
        pedido_id = await system.pedir_ok((cafe, 4))
        pausa = system.red.pausar("inventario", "POST", antes=True)
        completar = asyncio.create_task(system.completar(pedido_id))
        await pausa.llegada.wait()
        system.inventario_clock.set_wall(900)
        await system.barrer()
        system.inventario_clock.set_wall(-900)  # so that the token of the call is still good
        pausa.seguir.set()
        response = await completar
        assert (response.status_code, problem(response)) == (409, "reserva-expirada")
        assert await system.estado(pedido_id) == ("CANCELADO", "expirado")
        assert await system.existencias(cafe) == (10, 0)

    async def test_pedidos_caido_durante_horas(self, system: System) -> None:
        """inventario has expired the reservations, and three days later forgotten them."""
        cafe = await system.producto(10)
        pedido_id = await system.pedir_ok((cafe, 4), key="k1")
        system.advance(900)
        await system.barrer()
        system.advance(73 * 3600)
        await system.barrer()
        assert await system.reserva(pedido_id) is None
        await system.reiniciar_pedidos()  # its recovery looks around at once
        assert await system.estado(pedido_id) == ("CANCELADO", "expirado")
        assert await system.existencias(cafe) == (10, 0)

    async def test_pedidos_caido_durante_horas_a_medio_completar(self, system: System) -> None:
        cafe = await system.producto(10)
        pedido_id = await system.pedir_ok((cafe, 4))
        system.red.caer("inventario")
        await system.completar(pedido_id)
        system.red.volver("inventario")
        system.advance(900)
        await system.barrer()
        system.advance(73 * 3600)
        await system.barrer()
        await system.reiniciar_pedidos()  # its recovery looks around at once
        assert (await system.estado(pedido_id))[0] == "CANCELADO"
        assert problem(await system.completar(pedido_id)) == "reserva-expirada"

    @pytest.mark.parametrize("seconds", [60, 25, -25])
    async def test_relojes_distintos(self, arrancar: Any, seconds: float) -> None:
        """inventario's clock is ahead or behind: it alone judges, so nobody is told two things."""
        system = await arrancar(relojes=2)
        cafe = await system.producto(10)
        system.inventario_clock.set_wall(seconds)
        vendido, expira = await system.pedir_ok((cafe, 4)), await system.pedir_ok((cafe, 1))
        system.advance(890)
        assert (await system.completar(vendido)).status_code == 200
        assert await system.existencias(cafe) == (6, 1)
        system.advance(11 + max(seconds, 0))  # pedidos asks when the time is over by its own clock
        await system.barrer()
        assert await system.recuperar() == 1
        assert await system.estado(expira) == ("CANCELADO", "expirado")
        assert await system.existencias(cafe) == (6, 0)

    async def test_un_minuto_de_adelanto_no_se_admite_y_no_hace_dano(self, arrancar: Any) -> None:
        """pedidos is a minute ahead: its tokens are not valid yet for inventario. It is resumed once clocks agree."""
        system = await arrancar(relojes=2)
        cafe = await system.producto(10)
        pendiente = await system.pedir_ok((cafe, 1))
        system.advance(40)  # so that the next call has to sign a new token
        system.inventario_clock.set_wall(-60)
        response = await system.pedir((cafe, 4), key="k1")
        assert (response.status_code, problem(response)) == (502, "respuesta-invalida")
        assert (await system.completar(pendiente)).status_code == 502
        assert await system.existencias(cafe) == (10, 1)
        system.inventario_clock.set_wall(60)
        assert await system.pedir_ok((cafe, 4), key="k1") == response.json()["pedido_id"]
        assert await system.recuperar() == 1
        assert await system.estado(pendiente) == ("COMPLETADO", None)
        assert await system.existencias(cafe) == (9, 4)
