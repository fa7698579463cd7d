"""Many orders and several replicas in recovery: leases are shared, fenced off and taken over."""

import asyncio
from typing import Any

import pytest
from pedidos_world import LONG, vencido

from comanda.common.problems import ServicioNoDisponible
from comanda.pedidos.domain import Fase
from comanda.pedidos.recovery import BATCH
from comanda.testing import FakeClock


class TestVarias:
    """Replicas share the work, and take over that of one who died or sleeps."""

    async def test_dos_a_la_vez_sobre_un_pedido(self, mundo: Any, replica: Any) -> None:
        pedido = await vencido(mundo, Fase.COMPLETANDO)
        worked_on = await asyncio.gather(mundo.recuperar(), replica().recuperar())
        assert sorted(worked_on) == [0, 1]
        assert mundo.inventario.llamadas_a("confirmar") == 1
        assert await mundo.fases(pedido.id) == ["SOLICITADO", "RESERVADO", "COMPLETANDO", "COMPLETADO"]

    async def test_se_reparten_los_pedidos(self, mundo: Any, replica: Any) -> None:
        pedidos = [await mundo.en_fase(Fase.CANCELANDO) for _ in range(6)]
        mundo.clock.advance(LONG)
        assert sum(await asyncio.gather(mundo.recuperar(), replica().recuperar())) == 6
        assert mundo.inventario.llamadas_a("liberar") == 6
        assert {(await mundo.leer(pedido.id)).fase for pedido in pedidos} == {Fase.CANCELADO}

    @pytest.mark.parametrize("fase", [Fase.COMPLETANDO, Fase.CANCELANDO])
    async def test_la_que_duerme_pierde_su_arriendo(self, mundo: Any, replica: Any, fase: Fase) -> None:
        """Its late call is repeated work, its late write is refused, and the history has each step once."""
        pedido = await vencido(mundo, fase)
        operacion = {Fase.COMPLETANDO: "confirmar", Fase.CANCELANDO: "liberar"}[fase]
        pausa = mundo.inventario.pausar(operacion, antes=False)
        dormida = asyncio.create_task(mundo.recuperar())
        await pausa.llegada.wait()
        otra = replica()
        assert await otra.recuperar() == 0
        mundo.clock.advance(28)
        assert await otra.recuperar() == 1
        final = await mundo.leer(pedido.id)
        assert final.fase in (Fase.COMPLETADO, Fase.CANCELADO)
        pausa.seguir.set()
        assert await dormida == 1
        assert await mundo.leer(pedido.id) == final
        assert len(await mundo.fases(pedido.id)) == 4

    async def test_la_que_duerme_no_aplaza_el_trabajo_de_la_otra(self, mundo: Any, replica: Any) -> None:
        """The old holder's call fails late: it may not touch the lease that is somebody else's now."""
        pedido = await vencido(mundo, Fase.CANCELANDO)
        vieja = mundo.inventario.pausar("liberar", antes=True)
        dormida = asyncio.create_task(mundo.recuperar())
        await vieja.llegada.wait()
        mundo.clock.advance(28)
        nueva = mundo.inventario.pausar("liberar", antes=False)
        otra = asyncio.create_task(replica().recuperar())
        await nueva.llegada.wait()
        mundo.inventario.fallos = [ServicioNoDisponible("inventario")]
        vieja.seguir.set()
        await dormida
        mundo.clock.advance(2)
        assert await replica().recuperar() == 0  # still leased by the second one
        nueva.seguir.set()
        await otra
        assert (await mundo.leer(pedido.id)).fase is Fase.CANCELADO

    async def test_la_que_duerme_antes_de_su_intento(self, mundo: Any, replica: Any) -> None:
        """The order is SOLICITADO still, but another has it on lease: the sleeper must not reserve stock for it."""
        pedido = await vencido(mundo, Fase.SOLICITADO)
        original, otra = mundo.saga.intend, replica()
        liberar = mundo.inventario.pausar("liberar", antes=True)

        async def tarde(*arguments: Any, **options: Any) -> Any:
            mundo.clock.advance(28)
            async with otra.database.transaction() as connection:
                ahora = mundo.clock.now()
                [suyo] = await otra.repository.arrendar(connection, ahora, ahora, 1)
            lost = await original(*arguments, **options)
            assert lost.fase is Fase.SOLICITADO
            assert suyo.lease == options["lease"] + 1
            return lost

        mundo.saga.intend = tarde
        await mundo.recuperar()
        assert mundo.inventario.llamadas == []
        liberar.seguir.set()
        await otra.recuperar()
        assert (await mundo.leer(pedido.id)).motivo == "abandonado"


class TestRun:
    async def test_no_descansa_mientras_haya_una_tanda_llena(self, mundo: Any, clock: FakeClock) -> None:
        for _ in range(BATCH + 1):
            await mundo.insertar(mundo.solicitud())
        clock.advance(LONG)
        sleeping = asyncio.Event()

        async def sleep(seconds: float) -> None:
            assert seconds == 1
            sleeping.set()
            await asyncio.Event().wait()

        clock.sleep = sleep  # type: ignore[method-assign]
        running = asyncio.create_task(mundo.recovery.run())
        await sleeping.wait()
        running.cancel()
        assert mundo.inventario.llamadas_a("liberar") == BATCH + 1
        assert {pedido.fase for pedido in await mundo.todos()} == {Fase.CANCELADO}
