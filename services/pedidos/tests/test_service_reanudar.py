"""Placing an order again, and losing it to somebody else meanwhile: every interleaving is drawn by hand."""

import asyncio
import json
from typing import Any

import pytest
from pedidos_faults import NADA, SIN_VEREDICTO, documento, fault_at, waits_for_a_lock

from comanda.common.database import DatabaseUnavailable
from comanda.common.problems import (
    PeticionEnCurso,
    ServicioNoDisponible,
)
from comanda.pedidos.domain import (
    Fase,
    PedidoCancelado,
)


class TestReanudar:
    @pytest.mark.parametrize("fallo", SIN_VEREDICTO)
    async def test_la_misma_clave_sigue_con_el_mismo_pedido(self, mundo: Any, fallo: Any) -> None:
        cafe = mundo.producto(250)
        mundo.inventario.fallos = [fallo]
        with pytest.raises(type(fallo)) as fault:
            await mundo.crear((cafe, 2), key=mundo.clave(), total_esperado=500)
        mundo.producto(999)
        mundo.productos.catalogo.clear()
        answer, replayed = await mundo.crear((cafe, 2), key=mundo.clave(), total_esperado=500)
        body = json.loads(answer.body)
        assert (body["id"], body["total"], replayed) == (fault.value.extras["pedido_id"], "5.00", False)
        assert await mundo.crear((cafe, 2), key=mundo.clave(), total_esperado=500) == (answer, True)

    async def test_aplaza_el_abandono(self, mundo: Any) -> None:
        mundo.inventario.caido = True
        for _ in range(3):
            with pytest.raises(ServicioNoDisponible):
                await mundo.crear(key=mundo.clave())
            mundo.clock.advance(299)
            assert await mundo.recuperar() == 0

    async def test_la_peticion_cancelada_suelta_la_clave(self, mundo: Any) -> None:
        pausa = mundo.inventario.pausar("reservar", antes=False)
        primera = asyncio.create_task(mundo.crear(key=mundo.clave()))
        await pausa.llegada.wait()
        primera.cancel()
        with pytest.raises(asyncio.CancelledError):
            await primera
        answer, replayed = await mundo.crear(key=mundo.clave())
        assert (answer.status, replayed) == (201, False)
        assert len(await mundo.todos()) == 1

    async def test_tras_una_caida_cuando_el_arriendo_acaba(self, mundo: Any, replica: Any) -> None:
        """The first process dies in the middle of its call: it neither answers nor releases anything."""
        pausa = mundo.inventario.pausar("reservar", antes=False)
        muerta = asyncio.create_task(mundo.crear(key=mundo.clave()))
        await pausa.llegada.wait()
        nueva = replica()
        mundo.clock.advance(27.999)
        with pytest.raises(PeticionEnCurso):
            await nueva.crear(key=mundo.clave())
        mundo.clock.advance(0.001)
        answer, _ = await nueva.crear(key=mundo.clave())
        assert answer.status == 201
        # … and if it was only paused, its late answer is the one that the client got meanwhile.
        pausa.seguir.set()
        assert await muerta == (answer, True)
        assert await mundo.fases(json.loads(answer.body)["id"]) == ["SOLICITADO", "RESERVADO"]

    async def test_dos_reintentos_a_la_vez(self, mundo: Any, replica: Any) -> None:
        mundo.inventario.fallos = [ServicioNoDisponible("inventario")]
        with pytest.raises(ServicioNoDisponible):
            await mundo.crear(key=mundo.clave())
        results = await asyncio.gather(
            *(one.crear(key=mundo.clave()) for one in (mundo, replica())), return_exceptions=True
        )
        answers = [result for result in results if not isinstance(result, BaseException)]
        assert {answer.status for answer, _ in answers} == {201}
        assert all(isinstance(result, PeticionEnCurso) for result in results if isinstance(result, BaseException))
        assert len(await mundo.todos()) == 1

    async def test_la_base_de_datos_falla_tras_el_veredicto(self, mundo: Any) -> None:
        """inventario holds the stock, nobody wrote it down: the same key finds the same reservation again."""
        with fault_at(mundo.database, 2), pytest.raises(DatabaseUnavailable):
            await mundo.crear(key=mundo.clave())
        [pedido] = await mundo.todos()
        assert pedido.fase is Fase.SOLICITADO
        answer, replayed = await mundo.crear(key=mundo.clave())
        assert (json.loads(answer.body)["id"], replayed) == (str(pedido.id), False)
        assert mundo.inventario.reservas == {pedido.id: "ACTIVA"}

    async def test_sin_base_de_datos_el_arriendo_acaba_solo(self, mundo: Any) -> None:
        with fault_at(mundo.database, 2, 3), pytest.raises(DatabaseUnavailable):
            await mundo.crear(key=mundo.clave())
        with pytest.raises(PeticionEnCurso):
            await mundo.crear(key=mundo.clave())
        mundo.clock.advance(28)
        assert (await mundo.crear(key=mundo.clave()))[0].status == 201

    async def test_el_pedido_guardado_cuyo_commit_no_se_supo(self, mundo: Any) -> None:
        """The order and its key are there although the client got 503: its retry goes on with them at once."""
        with fault_at(mundo.database, 1, after=True), pytest.raises(DatabaseUnavailable):
            await mundo.crear(key=mundo.clave())
        [pedido] = await mundo.todos()
        answer, replayed = await mundo.crear(key=mundo.clave())
        assert (documento((answer, replayed))["id"], replayed) == (str(pedido.id), False)
        assert len(await mundo.todos()) == 1

    async def test_el_pedido_sin_clave_cuyo_commit_no_se_supo(self, mundo: Any) -> None:
        """Nobody can come back for it, so it is abandoned."""
        with fault_at(mundo.database, 1, after=True), pytest.raises(DatabaseUnavailable):
            await mundo.crear()
        [pedido] = await mundo.todos()
        mundo.clock.advance(300)
        assert await mundo.recuperar() == 1
        assert (await mundo.leer(pedido.id)).motivo == "abandonado"

    async def test_la_respuesta_guardada_cuyo_commit_no_se_supo(self, mundo: Any) -> None:
        """COMMIT took effect but its answer was lost: the client gets 503, and its retry the original answer."""
        with fault_at(mundo.database, 2, after=True), pytest.raises(DatabaseUnavailable):
            await mundo.crear(key=mundo.clave())
        answer, replayed = await mundo.crear(key=mundo.clave())
        assert (answer.status, replayed) == (201, True)
        assert len(await mundo.todos()) == 1


class TestPierdeElPedido:
    """Somebody else moves the order on while its PUT is in flight."""

    async def en_vuelo(self, mundo: Any, *, antes: bool) -> tuple[Any, Any, Any]:
        """(the request, its stopped PUT, the order)"""
        pausa = mundo.inventario.pausar("reservar", antes=antes)
        task = asyncio.create_task(mundo.crear(key=mundo.clave()))
        await pausa.llegada.wait()
        [pedido] = await mundo.todos()
        return task, pausa, pedido

    @pytest.mark.parametrize("antes", [True, False])
    async def test_el_cliente_cancela(self, mundo: Any, antes: bool) -> None:
        task, pausa, pedido = await self.en_vuelo(mundo, antes=antes)
        cancelado = await mundo.servicio.cancelar(pedido.id, "ana", "me arrepentí", NADA)
        assert cancelado.fase is Fase.CANCELADO
        pausa.seguir.set()
        with pytest.raises(PedidoCancelado) as refusal:
            await task
        assert refusal.value.extras == {"pedido_id": str(pedido.id), "motivo": "me arrepentí"}
        assert mundo.inventario.reservas == {pedido.id: "LIBERADA"}
        assert await mundo.fases(pedido.id) == ["SOLICITADO", "CANCELANDO", "CANCELADO"]

    async def test_la_misma_clave_lo_dice_enseguida(self, mundo: Any) -> None:
        """The request is over, so its key is not running any more: no 409 `peticion-en-curso` until the lease ends."""
        task, pausa, pedido = await self.en_vuelo(mundo, antes=True)
        await mundo.servicio.cancelar(pedido.id, "ana", "me arrepentí", NADA)
        pausa.seguir.set()
        for request in (task, mundo.crear(key=mundo.clave())):
            with pytest.raises(PedidoCancelado):
                await request

    @pytest.mark.parametrize("antes", [True, False])
    async def test_recovery_lo_abandona(self, mundo: Any, antes: bool) -> None:
        task, pausa, pedido = await self.en_vuelo(mundo, antes=antes)
        mundo.clock.advance(300)
        assert await mundo.recuperar() == 1
        pausa.seguir.set()
        with pytest.raises(PedidoCancelado) as refusal:
            await task
        assert refusal.value.extras["motivo"] == "abandonado"
        assert mundo.inventario.reservas == {pedido.id: "LIBERADA"}

    async def test_recovery_lo_abandona_y_aun_no_lo_ha_liberado(self, mundo: Any) -> None:
        """The late 201 of inventario is real; the client must not be told so, and the stock must not stay held."""
        task, pausa, pedido = await self.en_vuelo(mundo, antes=False)
        mundo.clock.advance(300)
        liberar = mundo.inventario.pausar("liberar", antes=True)
        recovery = asyncio.create_task(mundo.recuperar())
        await liberar.llegada.wait()
        pausa.seguir.set()
        with pytest.raises(PedidoCancelado):
            await task
        assert (await mundo.leer(pedido.id)).fase is Fase.CANCELANDO
        liberar.seguir.set()
        await recovery
        assert (await mundo.leer(pedido.id)).fase is Fase.CANCELADO
        assert mundo.inventario.reservas == {pedido.id: "LIBERADA"}

    async def test_el_reintento_llega_con_recovery_ya_en_marcha(self, mundo: Any) -> None:
        mundo.inventario.fallos = [ServicioNoDisponible("inventario")]
        with pytest.raises(ServicioNoDisponible):
            await mundo.crear(key=mundo.clave())
        mundo.clock.advance(300)
        liberar = mundo.inventario.pausar("liberar", antes=True)
        recovery = asyncio.create_task(mundo.recuperar())
        await liberar.llegada.wait()
        with pytest.raises(PedidoCancelado):
            await mundo.crear(key=mundo.clave())
        liberar.seguir.set()
        await recovery
        with pytest.raises(PedidoCancelado):
            await mundo.crear(key=mundo.clave())

    async def test_sin_clave(self, mundo: Any) -> None:
        pausa = mundo.inventario.pausar("reservar", antes=False)
        task = asyncio.create_task(mundo.crear())
        await pausa.llegada.wait()
        [pedido] = await mundo.todos()
        await mundo.servicio.cancelar(pedido.id, "ana", "x", NADA)
        pausa.seguir.set()
        with pytest.raises(PedidoCancelado):
            await task

    @pytest.mark.parametrize("databases", ["postgresql"], indirect=True)
    async def test_un_veredicto_tardio_y_un_reintento_no_se_bloquean(
        self, mundo: Any, replica: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Both transactions lock the order and its key. In one order, or PostgreSQL would have to kill one of them."""
        dentro, seguir = asyncio.Event(), asyncio.Event()

        lenta = replica()
        mover = lenta.repository._move.execute

        async def mover_despacio(*arguments: Any) -> None:
            dentro.set()
            await seguir.wait()
            await mover(*arguments)

        monkeypatch.setattr(lenta.repository._move, "execute", mover_despacio)
        tardia = asyncio.create_task(lenta.crear(key=mundo.clave()))
        await dentro.wait()
        mundo.clock.advance(28)
        reintento = asyncio.create_task(mundo.crear(key=mundo.clave()))
        await waits_for_a_lock(lenta.database)
        seguir.set()
        answer, replayed = await tardia
        assert (answer.status, replayed) == (201, False)
        with pytest.raises(PeticionEnCurso):
            await reintento
        assert await mundo.crear(key=mundo.clave()) == (answer, True)
