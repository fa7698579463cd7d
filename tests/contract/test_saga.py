"""Interleavings of the saga with the real inventario: whatever arrives late, twice or never, the stock adds up."""

import asyncio
from typing import Any

import pytest
from contract.system import System

from comanda.testing import problem

ENDS = [
    ["SOLICITADO", "RESERVADO", "COMPLETANDO", "COMPLETADO"],
    ["SOLICITADO", "RESERVADO", "CANCELANDO", "CANCELADO"],
]


async def en_vuelo(system: System, cafe: str, *, antes: bool) -> tuple[Any, Any, str]:
    """(the client's request, its stopped PUT, the order's id)"""
    pausa = system.red.pausar("inventario", "PUT", antes=antes)
    request = asyncio.create_task(system.pedir((cafe, 4), key="k1"))
    await pausa.llegada.wait()
    [pedido] = await system.todos()
    return request, pausa, pedido["id"]


class TestReservarEnVuelo:
    @pytest.mark.parametrize("antes", [True, False])
    async def test_el_cliente_cancela(self, system: System, antes: bool) -> None:
        cafe = await system.producto(10)
        request, pausa, pedido_id = await en_vuelo(system, cafe, antes=antes)
        assert (await system.cancelar(pedido_id, motivo="tarde")).json()["estado"] == "CANCELADO"
        pausa.seguir.set()
        for response in (await request, await system.pedir((cafe, 4), key="k1")):
            assert (response.status_code, problem(response)) == (409, "pedido-cancelado")
            assert (response.json()["pedido_id"], response.json()["motivo"]) == (pedido_id, "tarde")
        assert await system.existencias(cafe) == (10, 0)
        assert await system.fases(pedido_id) == ["SOLICITADO", "CANCELANDO", "CANCELADO"]

    @pytest.mark.parametrize("antes", [True, False])
    async def test_recovery_lo_abandona(self, system: System, antes: bool) -> None:
        """The late PUT leaves nothing held, and the client is never told that it has an order.

        A call that has been under way for so long carries a token that is no longer valid: its answer says nothing.
        """
        cafe = await system.producto(10)
        request, pausa, pedido_id = await en_vuelo(system, cafe, antes=antes)
        system.advance(300)
        assert await system.recuperar() == 1
        pausa.seguir.set()
        late = await request
        assert problem(late) == ("respuesta-invalida" if antes else "pedido-cancelado")
        assert late.json()["pedido_id"] == pedido_id
        final = await system.pedir((cafe, 4), key="k1")
        assert (final.status_code, problem(final)) == (409, "pedido-cancelado")
        assert final.json()["motivo"] == "abandonado"
        assert await system.existencias(cafe) == (10, 0)

    async def test_recovery_aun_no_lo_ha_liberado(self, system: System) -> None:
        """The 201 of inventario is real and arrives first: even so the client is told that the order is cancelled."""
        cafe = await system.producto(10)
        request, pausa, pedido_id = await en_vuelo(system, cafe, antes=False)
        system.advance(300)
        liberar = system.red.pausar("inventario", "POST", antes=True)
        recovery = asyncio.create_task(system.recuperar())
        await liberar.llegada.wait()
        pausa.seguir.set()
        assert problem(await request) == "pedido-cancelado"
        assert await system.existencias(cafe) == (10, 4)
        liberar.seguir.set()
        await recovery
        assert await system.estado(pedido_id) == ("CANCELADO", "abandonado")
        assert await system.existencias(cafe) == (10, 0)


class TestReservarTarde:
    async def test_mas_alla_de_su_propio_rechazo(self, system: System) -> None:
        """A copy of the PUT arrives when there is stock again: the refusal is stored, so it is refused for ever."""
        cafe = await system.producto(1)
        refused = await system.pedir((cafe, 2))
        pedido_id = refused.json()["pedido_id"]
        entrada = {"tipo": "ENTRADA", "cantidad": 100}
        await system.inventario.post(f"/inventario/{cafe}/movimientos", json=entrada, headers=system.admin)
        late = await system.red.entregar_tarde("PUT", f"/reservas/{pedido_id}")
        assert problem(late) == "existencias-insuficientes"
        assert late.json()["faltantes"] == refused.json()["faltantes"]
        assert await system.existencias(cafe) == (101, 0)

    async def test_despues_de_liberar(self, system: System) -> None:
        """The PUT never arrived, the order was cancelled: the tombstone refuses the PUT that arrives now."""
        cafe = await system.producto(10)
        system.red.caer("inventario")
        pedido_id = (await system.pedir((cafe, 4))).json()["pedido_id"]
        system.red.volver("inventario")
        assert (await system.cancelar(pedido_id)).status_code == 200
        late = await system.red.entregar_tarde("PUT", f"/reservas/{pedido_id}")
        assert problem(late) == "reserva-cerrada"
        assert await system.existencias(cafe) == (10, 0)

    async def test_despues_de_completar_o_expirar(self, system: System) -> None:
        cafe = await system.producto(10)
        vendido, expirado = await system.pedir_ok((cafe, 4)), await system.pedir_ok((cafe, 1))
        await system.completar(vendido)
        assert (await system.red.entregar_tarde("PUT", f"/reservas/{vendido}")).status_code == 200
        assert await system.existencias(cafe) == (6, 1)
        system.inventario_clock.set_wall(900)
        await system.barrer()
        system.inventario_clock.set_wall(-900)
        late = await system.red.entregar_tarde("PUT", f"/reservas/{expirado}")
        assert problem(late) == "reserva-cerrada"
        assert await system.existencias(cafe) == (6, 0)


class TestRespuestasPerdidas:
    async def test_una_vez(self, system: System) -> None:
        """The retry below finds what the first try left: held once, sold once."""
        cafe = await system.producto(10)
        system.red.perder_respuestas("inventario", "PUT", 1)
        pedido_id = await system.pedir_ok((cafe, 4))
        assert await system.existencias(cafe) == (10, 4)
        system.red.perder_respuestas("inventario", "POST", 1)
        assert (await system.completar(pedido_id)).status_code == 200
        assert await system.existencias(cafe) == (6, 0)

    async def test_todas_al_reservar(self, system: System) -> None:
        cafe = await system.producto(10)
        system.red.perder_respuestas("inventario", "PUT")
        pedido_id = (await system.pedir((cafe, 4), key="k1")).json()["pedido_id"]
        assert await system.existencias(cafe) == (10, 4)
        assert await system.pedir_ok((cafe, 4), key="k1") == pedido_id
        assert await system.existencias(cafe) == (10, 4)

    async def test_todas_al_reservar_y_nadie_vuelve(self, system: System) -> None:
        cafe = await system.producto(10)
        system.red.perder_respuestas("inventario", "PUT")
        pedido_id = (await system.pedir((cafe, 4), key="k1")).json()["pedido_id"]
        system.advance(300)
        assert await system.recuperar() == 1
        assert await system.estado(pedido_id) == ("CANCELADO", "abandonado")
        assert await system.existencias(cafe) == (10, 0)

    async def test_todas_al_completar(self, system: System) -> None:
        cafe = await system.producto(10)
        pedido_id = await system.pedir_ok((cafe, 4))
        system.red.perder_respuestas("inventario", "POST")
        assert (await system.completar(pedido_id)).status_code == 503
        assert await system.existencias(cafe) == (6, 0)
        system.advance(10_000)  # whatever the clock says meanwhile: what was sold stays sold
        await system.barrer()
        assert await system.recuperar() == 1
        assert await system.estado(pedido_id) == ("COMPLETADO", None)
        assert await system.existencias(cafe) == (6, 0)

    async def test_todas_al_cancelar(self, system: System) -> None:
        cafe = await system.producto(10)
        pedido_id = await system.pedir_ok((cafe, 4))
        system.red.perder_respuestas("inventario", "POST")
        assert (await system.cancelar(pedido_id)).status_code == 503
        assert await system.recuperar() == 1
        assert await system.estado(pedido_id) == ("CANCELADO", "cancelado")
        assert await system.existencias(cafe) == (10, 0)
