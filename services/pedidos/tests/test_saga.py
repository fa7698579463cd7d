"""The steps of the saga: what each verdict makes of an order, and who wins when two have one."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from comanda.common.idempotency import Answer
from comanda.common.problems import RespuestaInvalida, ServicioNoDisponible
from comanda.pedidos.domain import Cerrada, Confirmada, Fase, Insuficientes, Liberada, Reservada
from comanda.pedidos.saga import SAGA

ANSWER = Answer(201, "{}", {})
CALLS = {Fase.SOLICITADO: "reservar", Fase.COMPLETANDO: "confirmar", Fase.CANCELANDO: "liberar"}
MOVING = list(CALLS)


class TestPasos:
    def test_toda_fase_que_se_mueve_tiene_el_suyo(self) -> None:
        assert set(SAGA) == set(MOVING)

    @pytest.mark.parametrize("databases", ["sqlite"], indirect=True)
    @pytest.mark.parametrize(
        ("fase", "veredicto", "destino", "motivo"),
        [
            (Fase.SOLICITADO, "reservada", Fase.RESERVADO, None),
            (Fase.SOLICITADO, Insuficientes([]), Fase.CANCELADO, "existencias-insuficientes"),
            (Fase.SOLICITADO, Cerrada("LIBERADA"), Fase.CANCELADO, "reserva-cerrada"),
            (Fase.SOLICITADO, Cerrada("EXPIRADA"), Fase.CANCELADO, "expirado"),
            (Fase.COMPLETANDO, Confirmada(), Fase.COMPLETADO, None),
            (Fase.COMPLETANDO, Cerrada("EXPIRADA"), Fase.CANCELADO, "expirado"),
            (Fase.COMPLETANDO, Cerrada("LIBERADA"), Fase.CANCELADO, "reserva-cerrada"),
            (Fase.CANCELANDO, Liberada(), Fase.CANCELADO, "cancelado"),
        ],
    )
    async def test_cada_veredicto_lleva_a_una_fase(
        self, mundo: Any, fase: Fase, veredicto: Any, destino: Fase, motivo: str | None
    ) -> None:
        pedido = await mundo.en_fase(fase)
        veredicto = Reservada(mundo.clock.now()) if veredicto == "reservada" else veredicto
        despues, _ = SAGA[fase].becomes(pedido, veredicto, mundo.clock.now())
        assert (despues.fase, despues.motivo) == (destino, motivo)


class TestAdvance:
    async def test_guarda_la_transicion_con_su_historia(self, mundo: Any) -> None:
        pedido = await mundo.en_fase(Fase.SOLICITADO)
        despues, veredicto = await mundo.saga.advance(pedido)
        assert despues == await mundo.leer(pedido.id)
        assert isinstance(veredicto, Reservada)
        assert despues.reserva_expira_en == veredicto.expira_en
        [recibido, reservado] = await mundo.servicio.historial(pedido.id, None)
        assert (recibido.de, recibido.a, recibido.causa) == (None, Fase.SOLICITADO, "pedido recibido")
        assert (reservado.de, reservado.a, reservado.causa) == (
            Fase.SOLICITADO,
            Fase.RESERVADO,
            "existencias reservadas",
        )

    @pytest.mark.parametrize("fase", MOVING)
    @pytest.mark.parametrize("fallo", [ServicioNoDisponible("inventario"), RespuestaInvalida("inventario")])
    async def test_sin_veredicto_la_fase_queda(self, mundo: Any, fase: Fase, fallo: Exception) -> None:
        pedido = await mundo.en_fase(fase)
        mundo.inventario.fallos = [fallo]
        with pytest.raises(type(fallo)):
            await mundo.saga.advance(pedido)
        assert await mundo.leer(pedido.id) == pedido

    @pytest.mark.parametrize("fase", MOVING)
    async def test_quien_llega_tarde_lee_lo_que_hay_y_no_deja_rastro(self, mundo: Any, fase: Fase) -> None:
        pedido = await mundo.en_fase(fase)
        despues, _ = await mundo.saga.advance(pedido)
        antes = await mundo.fases(pedido.id)
        assert await mundo.saga.advance(pedido) == (despues, None)
        assert await mundo.fases(pedido.id) == antes

    @pytest.mark.parametrize("fase", MOVING)
    async def test_dos_a_la_vez_escriben_una_sola_historia(self, mundo: Any, replica: Any, fase: Fase) -> None:
        pedido = await mundo.en_fase(fase)
        pausas = [mundo.inventario.pausar(CALLS[fase], antes=False) for _ in range(2)]
        async with asyncio.TaskGroup() as group:
            both = [group.create_task(one.saga.advance(pedido)) for one in (mundo, replica())]
            for pausa in pausas:
                await pausa.llegada.wait()
            for pausa in pausas:
                pausa.seguir.set()
        results = [task.result() for task in both]
        assert sum(veredicto is None for _, veredicto in results) == 1
        assert results[0][0] == results[1][0] == await mundo.leer(pedido.id)
        fases = await mundo.fases(pedido.id)
        assert len(fases) == len(set(fases)) == results[0][0].version

    async def test_la_respuesta_va_en_la_misma_transaccion(self, mundo: Any) -> None:
        pedido = await mundo.en_fase(Fase.SOLICITADO)
        impossible: Any = {"X": object()}
        with pytest.raises(TypeError):
            await mundo.saga.advance(pedido, answer=lambda *_: (mundo.clave(), replace(ANSWER, headers=impossible)))
        assert await mundo.leer(pedido.id) == pedido
        assert await mundo.fases(pedido.id) == ["SOLICITADO"]


class TestIntend:
    async def test_queda_antes_de_llamar(self, mundo: Any) -> None:
        pedido = await mundo.en_fase(Fase.RESERVADO)
        intento = await mundo.saga.intend(pedido, pedido.completar(mundo.clock.now()), "completar")
        assert intento == await mundo.leer(pedido.id)
        assert mundo.inventario.llamadas_a("confirmar") == 0

    async def test_quien_llega_tarde_lee_lo_que_hay(self, mundo: Any) -> None:
        pedido = await mundo.en_fase(Fase.RESERVADO)
        ganador = await mundo.saga.intend(pedido, pedido.completar(mundo.clock.now()), "completar")
        perdedor = await mundo.saga.intend(pedido, pedido.cancelar("x", mundo.clock.now()), "cancelar")
        assert perdedor == ganador

    async def test_con_un_arriendo_ajeno_no_escribe(self, mundo: Any) -> None:
        pedido = await mundo.en_fase(Fase.RESERVADO)
        intento = pedido.cancelar("x", mundo.clock.now())
        assert await mundo.saga.intend(pedido, intento, "cancelar", lease=7) == pedido
        assert await mundo.leer(pedido.id) == pedido


class TestNextAttemptAt:
    @pytest.mark.parametrize(
        ("fase", "seconds"),
        [(Fase.SOLICITADO, 300), (Fase.RESERVADO, 901), (Fase.COMPLETANDO, 28), (Fase.CANCELANDO, 28)],
    )
    async def test_de_cada_fase(self, mundo: Any, fase: Fase, seconds: float) -> None:
        """Recovery leaves an order alone until then, and takes it up from then on."""
        pedido = await mundo.en_fase(fase)
        mundo.clock.advance(seconds - 0.001)
        assert await mundo.recuperar() == 0
        assert await mundo.leer(pedido.id) == pedido
        mundo.clock.advance(0.001)
        assert await mundo.recuperar() == 1


class TestHasten:
    async def test_recovery_la_mira_enseguida(self, mundo: Any) -> None:
        pedido = await mundo.en_fase(Fase.CANCELANDO)
        assert await mundo.recuperar() == 0
        await mundo.saga.hasten(pedido)
        assert await mundo.recuperar() == 1
        assert (await mundo.leer(pedido.id)).fase is Fase.CANCELADO

    async def test_de_un_pedido_que_ya_siguio_no_hace_nada(self, mundo: Any) -> None:
        pedido = await mundo.en_fase(Fase.SOLICITADO)
        await mundo.saga.advance(pedido)
        await mundo.saga.hasten(pedido)
        assert await mundo.recuperar() == 0
