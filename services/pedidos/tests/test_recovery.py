"""Orders that nobody moves on move by themselves: abandoned, expired, half-completed, whoever died meanwhile."""

from typing import Any

import pytest
from pedidos_faults import SIN_VEREDICTO
from pedidos_world import LONG, vencido

from comanda.common.conditional import Precondition
from comanda.common.database import DatabaseUnavailable
from comanda.common.problems import ServicioNoDisponible
from comanda.pedidos.domain import Fase


class TestSolicitado:
    @pytest.mark.parametrize("llego", [True, False])
    async def test_se_abandona_y_nada_queda_reservado(self, mundo: Any, llego: bool) -> None:
        """Whether its PUT ever reached inventario or not; a tombstone refuses one that is still on its way."""
        pedido = await vencido(mundo, Fase.SOLICITADO)
        if llego:
            mundo.inventario.reservas[pedido.id] = "ACTIVA"
        assert await mundo.recuperar() == 1
        cancelado = await mundo.leer(pedido.id)
        assert (cancelado.fase, cancelado.motivo) == (Fase.CANCELADO, "abandonado")
        assert mundo.inventario.reservas == {pedido.id: "LIBERADA"}
        assert await mundo.fases(pedido.id) == ["SOLICITADO", "CANCELANDO", "CANCELADO"]
        assert mundo.inventario.llamadas_a("reservar") == 0

    async def test_sin_inventario_queda_cancelandose(self, mundo: Any) -> None:
        pedido = await vencido(mundo, Fase.SOLICITADO)
        mundo.inventario.caido = True
        await mundo.recuperar()
        assert (await mundo.leer(pedido.id)).fase is Fase.CANCELANDO
        mundo.inventario.caido = False
        mundo.clock.advance(2)
        assert await mundo.recuperar() == 1
        assert (await mundo.leer(pedido.id)).motivo == "abandonado"

    async def test_el_cliente_lo_reserva_a_tiempo(self, mundo: Any) -> None:
        """Its retry wins between the lease and the intent: recovery leaves the order alone."""
        pedido = await vencido(mundo, Fase.SOLICITADO)
        original = mundo.saga.intend

        async def tarde(*arguments: Any, **options: Any) -> Any:
            mundo.saga.intend = original
            await mundo.saga.advance(pedido)
            return await original(*arguments, **options)

        mundo.saga.intend = tarde
        assert await mundo.recuperar() == 1
        assert (await mundo.leer(pedido.id)).fase is Fase.RESERVADO
        assert mundo.inventario.llamadas_a("liberar") == 0


class TestIntentos:
    @pytest.mark.parametrize(
        ("fase", "final", "reserva"),
        [(Fase.COMPLETANDO, Fase.COMPLETADO, "CONFIRMADA"), (Fase.CANCELANDO, Fase.CANCELADO, "LIBERADA")],
    )
    async def test_se_acaban(self, mundo: Any, fase: Fase, final: Fase, reserva: str) -> None:
        pedido = await vencido(mundo, fase)
        assert await mundo.recuperar() == 1
        assert (await mundo.leer(pedido.id)).fase is final
        assert mundo.inventario.reservas == {pedido.id: reserva}
        assert await mundo.recuperar() == 0

    async def test_completar_una_reserva_que_expiro_entretanto(self, mundo: Any) -> None:
        pedido = await vencido(mundo, Fase.COMPLETANDO)
        mundo.inventario.reservas[pedido.id] = "EXPIRADA"
        await mundo.recuperar()
        cancelado = await mundo.leer(pedido.id)
        assert (cancelado.fase, cancelado.motivo) == (Fase.CANCELADO, "expirado")

    @pytest.mark.parametrize("fallo", SIN_VEREDICTO)
    @pytest.mark.parametrize("fase", [Fase.COMPLETANDO, Fase.CANCELANDO])
    async def test_sin_veredicto_se_vuelve_a_intentar(self, mundo: Any, fase: Fase, fallo: Exception) -> None:
        pedido = await vencido(mundo, fase)
        mundo.inventario.fallos = [fallo]
        assert await mundo.recuperar() == 1
        assert await mundo.leer(pedido.id) == pedido
        assert await mundo.recuperar() == 0
        mundo.clock.advance(2)
        assert await mundo.recuperar() == 1
        assert (await mundo.leer(pedido.id)).fase in (Fase.COMPLETADO, Fase.CANCELADO)


class TestReservado:
    @pytest.mark.parametrize(
        ("reserva", "motivo"),
        [("EXPIRADA", "expirado"), ("LIBERADA", "reserva-cerrada"), ("RECHAZADA", "reserva-cerrada")],
    )
    async def test_cerrada_por_inventario(self, mundo: Any, reserva: str, motivo: str) -> None:
        pedido = await vencido(mundo, Fase.RESERVADO)
        mundo.inventario.reservas[pedido.id] = reserva
        assert await mundo.recuperar() == 1
        cancelado = await mundo.leer(pedido.id)
        assert (cancelado.fase, cancelado.motivo) == (Fase.CANCELADO, motivo)
        assert mundo.inventario.llamadas_a("liberar") == 0

    async def test_aun_activa_solo_inventario_juzga(self, mundo: Any) -> None:
        """Our clock is ahead of inventario's, or its sweeper is late: nothing is cancelled, it is asked again."""
        pedido = await vencido(mundo, Fase.RESERVADO)
        assert await mundo.recuperar() == 1
        assert await mundo.leer(pedido.id) == pedido
        assert await mundo.recuperar() == 0
        mundo.clock.advance(2)
        mundo.inventario.reservas[pedido.id] = "EXPIRADA"
        await mundo.recuperar()
        assert (await mundo.leer(pedido.id)).motivo == "expirado"

    async def test_pedidos_estuvo_caido_horas_y_inventario_ya_la_olvido(self, mundo: Any) -> None:
        pedido = await vencido(mundo, Fase.RESERVADO)
        mundo.inventario.reservas.clear()
        assert await mundo.recuperar() == 1
        cancelado = await mundo.leer(pedido.id)
        assert (cancelado.fase, cancelado.motivo) == (Fase.CANCELADO, "expirado")
        assert mundo.inventario.reservas == {pedido.id: "LIBERADA"}  # so that nothing can hold stock for it any more

    async def test_todas_en_una_pregunta(self, mundo: Any) -> None:
        pedidos = [await mundo.en_fase(Fase.RESERVADO) for _ in range(4)]
        mundo.clock.advance(LONG)
        for pedido, reserva in zip(pedidos, ["EXPIRADA", "ACTIVA", "EXPIRADA", None], strict=True):
            if reserva:
                mundo.inventario.reservas[pedido.id] = reserva
            else:
                del mundo.inventario.reservas[pedido.id]
        assert await mundo.recuperar() == 4
        assert [(await mundo.leer(pedido.id)).fase for pedido in pedidos] == [
            Fase.CANCELADO,
            Fase.RESERVADO,
            Fase.CANCELADO,
            Fase.CANCELADO,
        ]

    async def test_un_estado_desconocido_no_decide_nada(self, mundo: Any) -> None:
        pedido = await vencido(mundo, Fase.RESERVADO)
        mundo.inventario.reservas[pedido.id] = "EN_TRANSITO"
        assert await mundo.recuperar() == 1
        assert await mundo.leer(pedido.id) == pedido

    async def test_una_que_falla_no_detiene_a_las_demas(self, mundo: Any) -> None:
        pedidos = [await mundo.en_fase(Fase.RESERVADO) for _ in range(3)]
        mundo.clock.advance(LONG)
        olvidada, *expiradas = pedidos
        del mundo.inventario.reservas[olvidada.id]
        mundo.inventario.reservas.update(dict.fromkeys([pedido.id for pedido in expiradas], "EXPIRADA"))
        original = mundo.inventario.liberar

        async def falla(_: Any) -> Any:
            raise ServicioNoDisponible("inventario")

        mundo.inventario.liberar = falla
        await mundo.recuperar()
        fases = [(await mundo.leer(pedido.id)).fase for pedido in pedidos]
        assert fases == [Fase.CANCELANDO, Fase.CANCELADO, Fase.CANCELADO]
        mundo.inventario.liberar = original
        mundo.clock.advance(LONG)
        await mundo.recuperar()
        assert (await mundo.leer(olvidada.id)).fase is Fase.CANCELADO

    @pytest.mark.parametrize("fallo", SIN_VEREDICTO)
    async def test_sin_veredicto_no_se_cancela(self, mundo: Any, fallo: Exception) -> None:
        pedido = await vencido(mundo, Fase.RESERVADO)
        mundo.inventario.reservas[pedido.id] = "EXPIRADA"
        mundo.inventario.fallos = [fallo]
        await mundo.recuperar()
        assert await mundo.leer(pedido.id) == pedido
        mundo.clock.advance(2)
        await mundo.recuperar()
        assert (await mundo.leer(pedido.id)).fase is Fase.CANCELADO

    async def test_olvidada_y_completandose_a_la_vez(self, mundo: Any) -> None:
        """The administrator's intent is committed first: recovery must not release what is being confirmed."""
        pedido = await vencido(mundo, Fase.RESERVADO)
        del mundo.inventario.reservas[pedido.id]
        original = mundo.saga.intend

        async def tarde(*arguments: Any, **options: Any) -> Any:
            mundo.saga.intend = original
            await original(pedido, pedido.completar(mundo.clock.now()), "completar")
            return await original(*arguments, **options)

        mundo.saga.intend = tarde
        await mundo.recuperar()
        assert (await mundo.leer(pedido.id)).fase is Fase.COMPLETANDO
        assert mundo.inventario.llamadas_a("liberar") == 0


class TestEspera:
    async def test_crece_y_tiene_tope(self, mundo: Any) -> None:
        await vencido(mundo, Fase.CANCELANDO)
        mundo.inventario.caido = True
        await mundo.recuperar()
        for seconds in (2, 4, 8, 16, 30, 30, 30):
            mundo.clock.advance(seconds - 0.001)
            assert await mundo.recuperar() == 0
            mundo.clock.advance(0.001)
            assert await mundo.recuperar() == 1

    async def test_empieza_de_nuevo_en_cada_fase(self, mundo: Any) -> None:
        pedido = await vencido(mundo, Fase.RESERVADO)
        for seconds in (0, 2, 4):
            mundo.clock.advance(seconds)
            await mundo.recuperar()
        mundo.inventario.caido = True
        with pytest.raises(ServicioNoDisponible):
            await mundo.servicio.cancelar(pedido.id, None, "x", Precondition())
        assert await mundo.recuperar() == 1
        mundo.clock.advance(2)
        assert await mundo.recuperar() == 1

    async def test_sin_base_de_datos_acaba_el_arriendo(self, mundo: Any) -> None:
        pedido = await vencido(mundo, Fase.CANCELANDO)
        mundo.inventario.caido = True

        async def falla(*_: Any, **__: Any) -> None:
            raise DatabaseUnavailable("lost")

        mundo.repository.reprogramar = falla
        assert await mundo.recuperar() == 1
        mundo.inventario.caido = False
        mundo.clock.advance(27.999)
        assert await mundo.recuperar() == 0
        mundo.clock.advance(0.001)
        assert await mundo.recuperar() == 1
        assert (await mundo.leer(pedido.id)).fase is Fase.CANCELADO


class TestFallosImprevistos:
    """A bug that strikes one order is logged as an error; the order backs off, and the others are moved on."""

    async def test_al_mover_uno(self, mundo: Any) -> None:
        pedidos = [await mundo.en_fase(Fase.CANCELANDO) for _ in range(3)]
        mundo.clock.advance(LONG)
        mundo.inventario.fallos = [RuntimeError("a bug")]
        assert await mundo.recuperar() == 3
        fases = [(await mundo.leer(pedido.id)).fase for pedido in pedidos]
        assert sorted(fases) == [Fase.CANCELADO, Fase.CANCELADO, Fase.CANCELANDO]
        mundo.clock.advance(2)
        assert await mundo.recuperar() == 1
        assert {(await mundo.leer(pedido.id)).fase for pedido in pedidos} == {Fase.CANCELADO}

    async def test_al_preguntar(self, mundo: Any) -> None:
        reservado, cancelandose = await mundo.en_fase(Fase.RESERVADO), await mundo.en_fase(Fase.CANCELANDO)
        mundo.clock.advance(LONG)

        async def falla(_ids: Any) -> Any:
            raise RuntimeError("a bug")

        mundo.inventario.estados = falla
        assert await mundo.recuperar() == 2
        assert await mundo.leer(reservado.id) == reservado
        assert (await mundo.leer(cancelandose.id)).fase is Fase.CANCELADO
        assert await mundo.recuperar() == 0
