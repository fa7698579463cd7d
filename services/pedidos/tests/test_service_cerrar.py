"""Completing and cancelling, with neighbours that fail, wait and answer late."""

import asyncio
from typing import Any

import pytest
from pedidos_faults import NADA, SIN_VEREDICTO, abort, changed_after_reading, fault_at

from comanda.common.conditional import Precondition
from comanda.common.problems import (
    DatosInvalidos,
    NoEncontrado,
    ServicioNoDisponible,
    VersionObsoleta,
)
from comanda.pedidos.domain import (
    Fase,
    ReservaExpirada,
    TransicionInvalida,
)


class TestConsultar:
    async def test_lo_ajeno_no_existe(self, mundo: Any) -> None:
        pedido = await mundo.en_fase(Fase.RESERVADO, cliente="ana")
        assert await mundo.servicio.consultar(pedido.id, "ana") == pedido
        assert await mundo.servicio.consultar(pedido.id, None) == pedido
        for ask in (mundo.servicio.consultar, mundo.servicio.historial):
            with pytest.raises(NoEncontrado):
                await ask(pedido.id, "luis")
            with pytest.raises(NoEncontrado):
                await ask(mundo.clock.new_id(), None)


class TestCompletar:
    async def test_completado(self, mundo: Any) -> None:
        pedido = await mundo.en_fase(Fase.RESERVADO)
        completado = await mundo.servicio.completar(pedido.id, NADA)
        assert completado == await mundo.leer(pedido.id)
        assert completado.fase is Fase.COMPLETADO
        assert mundo.inventario.reservas == {pedido.id: "CONFIRMADA"}
        assert await mundo.fases(pedido.id) == ["SOLICITADO", "RESERVADO", "COMPLETANDO", "COMPLETADO"]

    async def test_otra_vez(self, mundo: Any) -> None:
        pedido = await mundo.en_fase(Fase.COMPLETADO)
        assert await mundo.servicio.completar(pedido.id, NADA) == pedido
        assert mundo.inventario.llamadas_a("confirmar") == 1

    async def test_expirado(self, mundo: Any) -> None:
        pedido = await mundo.en_fase(Fase.RESERVADO)
        mundo.inventario.reservas[pedido.id] = "EXPIRADA"
        for _ in range(2):
            with pytest.raises(ReservaExpirada):
                await mundo.servicio.completar(pedido.id, NADA)
        cancelado = await mundo.leer(pedido.id)
        assert (cancelado.fase, cancelado.motivo) == (Fase.CANCELADO, "expirado")

    async def test_inventario_ya_no_sabe_de_la_reserva(self, mundo: Any) -> None:
        pedido = await mundo.en_fase(Fase.RESERVADO)
        mundo.inventario.reservas.clear()
        with pytest.raises(ReservaExpirada):
            await mundo.servicio.completar(pedido.id, NADA)
        assert (await mundo.leer(pedido.id)).motivo == "reserva-cerrada"

    @pytest.mark.parametrize("fase", [Fase.SOLICITADO, Fase.CANCELANDO, Fase.CANCELADO])
    async def test_transicion_invalida(self, mundo: Any, fase: Fase) -> None:
        pedido = await mundo.en_fase(fase)
        with pytest.raises(TransicionInvalida) as refusal:
            await mundo.servicio.completar(pedido.id, NADA)
        assert refusal.value.extras["fase"] == fase
        assert await mundo.leer(pedido.id) == pedido

    async def test_no_existe(self, mundo: Any) -> None:
        with pytest.raises(NoEncontrado):
            await mundo.servicio.completar(mundo.clock.new_id(), NADA)

    async def test_version_obsoleta(self, mundo: Any) -> None:
        pedido = await mundo.en_fase(Fase.RESERVADO)
        with pytest.raises(VersionObsoleta):
            await mundo.servicio.completar(pedido.id, Precondition(['"1"']))
        assert (await mundo.servicio.completar(pedido.id, Precondition(['"2"']))).fase is Fase.COMPLETADO

    @pytest.mark.parametrize("fallo", SIN_VEREDICTO)
    async def test_sin_veredicto_el_intento_queda_y_recovery_lo_acaba(self, mundo: Any, fallo: Any) -> None:
        pedido = await mundo.en_fase(Fase.RESERVADO)
        mundo.inventario.fallos = [fallo]
        with pytest.raises(type(fallo)):
            await mundo.servicio.completar(pedido.id, NADA)
        assert (await mundo.leer(pedido.id)).fase is Fase.COMPLETANDO
        assert await mundo.recuperar() == 1
        assert (await mundo.leer(pedido.id)).fase is Fase.COMPLETADO

    async def test_la_peticion_cancelada_la_acaba_recovery(self, mundo: Any) -> None:
        pedido = await mundo.en_fase(Fase.RESERVADO)
        await abort(lambda: mundo.servicio.completar(pedido.id, NADA), mundo.inventario.pausar("confirmar", antes=True))
        assert await mundo.recuperar() == 1
        assert (await mundo.leer(pedido.id)).fase is Fase.COMPLETADO

    async def test_sin_base_de_datos_recovery_la_acaba_tras_la_espera(self, mundo: Any) -> None:
        pedido = await mundo.en_fase(Fase.RESERVADO)
        mundo.inventario.caido = True
        with fault_at(mundo.database, 2), pytest.raises(ServicioNoDisponible):
            await mundo.servicio.completar(pedido.id, NADA)
        mundo.inventario.caido = False
        assert await mundo.recuperar() == 0
        mundo.clock.advance(28)
        assert await mundo.recuperar() == 1
        assert (await mundo.leer(pedido.id)).fase is Fase.COMPLETADO

    async def test_dos_a_la_vez(self, mundo: Any, replica: Any) -> None:
        pedido = await mundo.en_fase(Fase.RESERVADO)
        results = await asyncio.gather(*(one.servicio.completar(pedido.id, NADA) for one in (mundo, replica())))
        assert results[0] == results[1] == await mundo.leer(pedido.id)
        assert results[0].fase is Fase.COMPLETADO
        assert await mundo.fases(pedido.id) == ["SOLICITADO", "RESERVADO", "COMPLETANDO", "COMPLETADO"]

    async def test_dos_respuestas_cruzadas(self, mundo: Any) -> None:
        """Both calls reached inventario, and the first answer arrives last."""
        pedido = await mundo.en_fase(Fase.RESERVADO)
        pausa = mundo.inventario.pausar("confirmar", antes=False)
        lenta = asyncio.create_task(mundo.servicio.completar(pedido.id, NADA))
        await pausa.llegada.wait()
        rapida = await mundo.servicio.completar(pedido.id, NADA)
        pausa.seguir.set()
        assert await lenta == rapida
        assert len(await mundo.fases(pedido.id)) == 4

    async def test_y_cancelar_a_la_vez(self, mundo: Any, replica: Any) -> None:
        otra = replica()
        for _ in range(4):
            pedido = await mundo.en_fase(Fase.RESERVADO)
            completar, cancelar = await asyncio.gather(
                mundo.servicio.completar(pedido.id, NADA),
                otra.servicio.cancelar(pedido.id, None, "x", NADA),
                return_exceptions=True,
            )
            assert isinstance(completar, TransicionInvalida) != isinstance(cancelar, TransicionInvalida)
            final = await mundo.leer(pedido.id)
            expected = {Fase.COMPLETADO: "CONFIRMADA", Fase.CANCELADO: "LIBERADA"}[final.fase]
            assert mundo.inventario.reservas[pedido.id] == expected
            assert len(await mundo.fases(pedido.id)) == 4


class TestCancelar:
    @pytest.mark.parametrize("motivo", ["expirado", "abandonado", "existencias-insuficientes", "reserva-cerrada"])
    async def test_motivo_reservado(self, mundo: Any, motivo: str) -> None:
        pedido = await mundo.en_fase(Fase.RESERVADO)
        with pytest.raises(DatosInvalidos):
            await mundo.servicio.cancelar(pedido.id, "ana", motivo, NADA)
        assert await mundo.leer(pedido.id) == pedido

    async def test_version_que_cambia_entre_medias(self, mundo: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        pedido = await mundo.en_fase(Fase.SOLICITADO)
        intend = mundo.servicio._saga.intend

        async def late(antes: Any, despues: Any, causa: str) -> Any:
            await mundo.servicio._saga.advance(antes)  # its request reserves in the meantime
            return await intend(antes, despues, causa)

        monkeypatch.setattr(mundo.servicio._saga, "intend", late)
        with pytest.raises(VersionObsoleta):
            await mundo.servicio.cancelar(pedido.id, "ana", "x", Precondition(['"1"']))
        assert (await mundo.leer(pedido.id)).fase is Fase.RESERVADO

    @pytest.mark.parametrize("fase", [Fase.SOLICITADO, Fase.RESERVADO])
    async def test_cancelado(self, mundo: Any, fase: Fase) -> None:
        pedido = await mundo.en_fase(fase)
        cancelado = await mundo.servicio.cancelar(pedido.id, "ana", "me arrepentí", NADA)
        assert cancelado == await mundo.leer(pedido.id)
        assert (cancelado.fase, cancelado.motivo) == (Fase.CANCELADO, "me arrepentí")
        assert mundo.inventario.reservas == {pedido.id: "LIBERADA"}

    async def test_otra_vez_conserva_el_primer_motivo(self, mundo: Any) -> None:
        pedido = await mundo.en_fase(Fase.CANCELADO)
        assert await mundo.servicio.cancelar(pedido.id, None, "otro", NADA) == pedido
        assert mundo.inventario.llamadas_a("liberar") == 1

    async def test_uno_que_ya_se_esta_cancelando(self, mundo: Any) -> None:
        pedido = await mundo.en_fase(Fase.CANCELANDO)
        cancelado = await mundo.servicio.cancelar(pedido.id, None, "otro", NADA)
        assert (cancelado.fase, cancelado.motivo) == (Fase.CANCELADO, "cancelado")

    @pytest.mark.parametrize("fase", [Fase.COMPLETANDO, Fase.COMPLETADO])
    async def test_transicion_invalida(self, mundo: Any, fase: Fase) -> None:
        pedido = await mundo.en_fase(fase)
        with pytest.raises(TransicionInvalida):
            await mundo.servicio.cancelar(pedido.id, "ana", "x", NADA)
        assert await mundo.leer(pedido.id) == pedido
        assert mundo.inventario.llamadas_a("liberar") == 0

    async def test_lo_ajeno_no_existe(self, mundo: Any) -> None:
        pedido = await mundo.en_fase(Fase.RESERVADO)
        with pytest.raises(NoEncontrado):
            await mundo.servicio.cancelar(pedido.id, "luis", "x", NADA)
        assert await mundo.leer(pedido.id) == pedido

    async def test_version_obsoleta(self, mundo: Any) -> None:
        pedido = await mundo.en_fase(Fase.RESERVADO)
        with pytest.raises(VersionObsoleta):
            await mundo.servicio.cancelar(pedido.id, "ana", "x", Precondition(['"1"']))
        assert await mundo.leer(pedido.id) == pedido

    @pytest.mark.parametrize("fallo", SIN_VEREDICTO)
    async def test_sin_veredicto_el_intento_queda_y_recovery_lo_acaba(self, mundo: Any, fallo: Any) -> None:
        pedido = await mundo.en_fase(Fase.RESERVADO)
        mundo.inventario.fallos = [fallo]
        with pytest.raises(type(fallo)):
            await mundo.servicio.cancelar(pedido.id, "ana", "me arrepentí", NADA)
        with pytest.raises(TransicionInvalida):
            await mundo.servicio.completar(pedido.id, NADA)
        assert await mundo.recuperar() == 1
        cancelado = await mundo.leer(pedido.id)
        assert (cancelado.fase, cancelado.motivo) == (Fase.CANCELADO, "me arrepentí")

    async def test_mientras_reservar_gana(self, mundo: Any) -> None:
        """The order becomes RESERVADO between the reading and the intent of cancelar: it is cancelled all the same."""
        pedido = await mundo.en_fase(Fase.SOLICITADO)
        async with changed_after_reading(mundo, pedido.id, lambda: mundo.saga.advance(pedido)):
            cancelado = await mundo.servicio.cancelar(pedido.id, "ana", "x", NADA)
        assert cancelado.fase is Fase.CANCELADO
        assert mundo.inventario.reservas == {pedido.id: "LIBERADA"}
        assert await mundo.fases(pedido.id) == ["SOLICITADO", "RESERVADO", "CANCELANDO", "CANCELADO"]
