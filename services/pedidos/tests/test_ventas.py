"""Orders that inventario has sold, as a restored database of pedidos has them: earlier, or not at all."""

import asyncio
from typing import Any

import pytest
from pedidos_faults import abort

from comanda.common.problems import ServicioNoDisponible
from comanda.pedidos.domain import Fase, LineaPedida, Pedido, TransicionInvalida, VentaDesconocida


def vendido(mundo: Any, pedido: Pedido) -> None:
    mundo.inventario.reservas[pedido.id] = "CONFIRMADA"
    mundo.inventario.ventas[pedido.id] = [LineaPedida(linea.producto_id, linea.cantidad) for linea in pedido.lineas]


class TestConocido:
    @pytest.mark.parametrize("fase", [Fase.SOLICITADO, Fase.RESERVADO, Fase.CANCELANDO, Fase.COMPLETANDO])
    async def test_queda_completado(self, mundo: Any, fase: Fase) -> None:
        pedido = await mundo.en_fase(fase)
        vendido(mundo, pedido)
        completado = await mundo.ventas.registrar(pedido.id)
        assert completado == await mundo.leer(pedido.id)
        assert (completado.fase, completado.motivo) == (Fase.COMPLETADO, None)
        assert (await mundo.fases(pedido.id))[-2:] == ["COMPLETANDO", "COMPLETADO"]

    async def test_otra_vez(self, mundo: Any) -> None:
        pedido = await mundo.en_fase(Fase.COMPLETADO)
        vendido(mundo, pedido)
        assert await mundo.ventas.registrar(pedido.id) == pedido

    async def test_cancelado_es_final(self, mundo: Any) -> None:
        pedido = await mundo.en_fase(Fase.CANCELADO)
        vendido(mundo, pedido)
        with pytest.raises(TransicionInvalida):
            await mundo.ventas.registrar(pedido.id)
        assert await mundo.leer(pedido.id) == pedido

    async def test_no_vendido(self, mundo: Any) -> None:
        pedido = await mundo.en_fase(Fase.RESERVADO)
        with pytest.raises(VentaDesconocida):
            await mundo.ventas.registrar(pedido.id)
        vendido(mundo, pedido)
        mundo.inventario.ventas[pedido.id] = [LineaPedida(pedido.lineas[0].producto_id, 1)]
        with pytest.raises(VentaDesconocida):
            await mundo.ventas.registrar(pedido.id)
        assert await mundo.leer(pedido.id) == pedido


class TestPerdido:
    async def test_se_rehace(self, mundo: Any) -> None:
        """Lines and time are known; client and price are not, and its history says so."""
        pedido = mundo.solicitud()
        vendido(mundo, pedido)
        mundo.clock.advance(100)
        rehecho = await mundo.ventas.registrar(pedido.id)
        assert rehecho == await mundo.leer(pedido.id)
        assert (rehecho.fase, rehecho.cliente_id, rehecho.total_centimos) == (Fase.COMPLETADO, "desconocido", 500)
        assert abs(rehecho.creado_en - pedido.creado_en).total_seconds() < 1
        first, _ = await mundo.servicio.historial(pedido.id, None)
        assert "cliente desconocido" in first.causa

    async def test_sin_ficha(self, mundo: Any) -> None:
        pedido = mundo.solicitud()
        vendido(mundo, pedido)
        mundo.productos.catalogo.clear()
        rehecho = await mundo.ventas.registrar(pedido.id)
        assert (rehecho.total_centimos, rehecho.moneda, rehecho.unidades) == (0, "XXX", 2)

    async def test_dos_a_la_vez(self, mundo: Any, replica: Any) -> None:
        pedido = mundo.solicitud()
        vendido(mundo, pedido)
        rehechos = await asyncio.gather(*(one.ventas.registrar(pedido.id) for one in (mundo, replica(), mundo)))
        assert {rehecho.fase for rehecho in rehechos} <= {Fase.COMPLETANDO, Fase.COMPLETADO}
        assert await mundo.fases(pedido.id) == ["COMPLETANDO", "COMPLETADO"]

    async def test_muere_a_medias(self, mundo: Any) -> None:
        """From the moment at which it is written recovery ends it."""
        pedido = mundo.solicitud()
        vendido(mundo, pedido)
        pausa = mundo.inventario.pausar("confirmar", antes=True)
        await abort(lambda: mundo.ventas.registrar(pedido.id), pausa)
        assert (await mundo.leer(pedido.id)).fase is Fase.COMPLETANDO
        mundo.clock.advance(3600)
        await mundo.recuperar()
        assert (await mundo.leer(pedido.id)).fase is Fase.COMPLETADO

    async def test_sin_vecino(self, mundo: Any) -> None:
        pedido = mundo.solicitud()
        vendido(mundo, pedido)
        mundo.inventario.caido = True
        with pytest.raises(ServicioNoDisponible):
            await mundo.ventas.registrar(pedido.id)
        assert await mundo.todos() == []
