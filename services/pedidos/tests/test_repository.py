"""What is written is read again and who writes first wins, on both databases."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from comanda.common.pagination import PageRequest
from comanda.pedidos.domain import Estado, Fase, Linea, Pedido
from comanda.pedidos.repository import Leased, Transition
from comanda.pedidos.tables import metadata
from comanda.testing import FakeClock
from comanda.testing.schema import schema_differences

MINUTE = timedelta(minutes=1)


class TestEsquema:
    async def test_las_migraciones_llevan_a_las_tablas(self, database_url: str) -> None:
        assert await schema_differences(database_url, metadata) == []


class TestInsertar:
    async def test_se_lee_lo_que_se_escribio(self, mundo: Any) -> None:
        pedido = mundo.solicitud(
            Linea(mundo.clock.new_id(), "CAF-1", "Café «tueste» 🫘", 1990, 3),
            Linea(mundo.clock.new_id(), "TE-1", "Té", 0, 1),
        )
        await mundo.insertar(pedido)
        assert await mundo.leer(pedido.id) == pedido

    async def test_el_pedido_mas_grande_posible(self, mundo: Any) -> None:
        linea = Linea(mundo.clock.new_id(), "s" * 64, "n" * 200, 100_000_000, 1_000_000)
        pedido = mundo.solicitud(*[linea] * 100)
        await mundo.insertar(pedido)
        assert (await mundo.leer(pedido.id)).total_centimos == 10**16
        async with mundo.database.read() as connection:
            assert await mundo.repository.pendientes(connection, ["ana", "eva"]) == {"ana": (1, 10**8), "eva": (0, 0)}


class TestMover:
    @pytest.fixture
    async def pedido(self, mundo: Any) -> Pedido:
        pedido: Pedido = await mundo.en_fase(Fase.SOLICITADO)
        return pedido

    async def mover(self, mundo: Any, antes: Pedido, despues: Pedido, lease: int | None = None) -> bool:
        async with mundo.database.transaction() as connection:
            transition = Transition(antes, despues, "causa", mundo.clock.now(), lease)
            [written] = await mundo.repository.mover(connection, [transition])
            return bool(written)

    async def test_otra_version_no_escribe(self, mundo: Any, pedido: Pedido) -> None:
        stale = replace(pedido, version=2)
        assert not await self.mover(mundo, stale, stale.cancelar("x", mundo.clock.now()))
        assert await mundo.leer(pedido.id) == pedido
        assert await mundo.fases(pedido.id) == ["SOLICITADO"]

    async def test_otra_fase_no_escribe(self, mundo: Any, pedido: Pedido) -> None:
        stale = replace(pedido, fase=Fase.RESERVADO)
        assert not await self.mover(mundo, stale, stale.completar(mundo.clock.now()))
        assert await mundo.leer(pedido.id) == pedido

    async def test_un_arriendo_que_ya_es_de_otro_no_escribe(self, mundo: Any, pedido: Pedido) -> None:
        mundo.clock.advance(300)
        [mio] = await arrendar(mundo)
        mundo.clock.advance(60)
        [suyo] = await arrendar(mundo)
        despues = pedido.cancelar("abandonado", mundo.clock.now())
        assert not await self.mover(mundo, pedido, despues, mio.lease)
        assert await self.mover(mundo, pedido, despues, suyo.lease)
        assert await mundo.leer(pedido.id) == despues

    async def test_de_dos_a_la_vez_escribe_uno(self, mundo: Any, replica: Any, pedido: Pedido) -> None:
        otra = replica()
        ahora = mundo.clock.now()
        written = await asyncio.gather(
            self.mover(mundo, pedido, pedido.reservado(ahora, ahora)),
            self.mover(otra, pedido, pedido.cancelar("x", ahora)),
        )
        assert sorted(written) == [False, True]
        assert len(await mundo.fases(pedido.id)) == 2

    async def test_varias_juntas_cada_una_por_si(self, mundo: Any) -> None:
        """One that is too late fails no other, and two of one order follow each other."""
        uno, otro = await mundo.en_fase(Fase.SOLICITADO), await mundo.en_fase(Fase.SOLICITADO)
        ahora = mundo.clock.now()
        reservado, tarde = uno.reservado(ahora, ahora), uno.cancelar("x", ahora)
        completando, cancelando = reservado.completar(ahora), otro.cancelar("x", ahora)
        steps = [(uno, reservado), (uno, tarde), (reservado, completando), (otro, cancelando)]
        async with mundo.database.transaction() as connection:
            moves = [Transition(antes, despues, "causa", ahora) for antes, despues in steps]
            assert await mundo.repository.mover(connection, moves) == [True, False, True, True]
        assert await mundo.leer(uno.id) == completando
        assert await mundo.leer(otro.id) == cancelando
        assert await mundo.fases(uno.id) == ["SOLICITADO", "RESERVADO", "COMPLETANDO"]


class TestReprogramar:
    async def test_dice_cuando_mirar(self, mundo: Any) -> None:
        pedido = await mundo.en_fase(Fase.CANCELANDO)
        async with mundo.database.transaction() as connection:
            await mundo.repository.reprogramar(connection, pedido, mundo.clock.now() + MINUTE, attempts=3)
        mundo.clock.advance(59)
        assert await arrendar(mundo) == []
        mundo.clock.advance(1)
        assert [(item.pedido, item.attempts) for item in await arrendar(mundo)] == [(pedido, 3)]

    async def test_con_un_arriendo_perdido_no_escribe(self, mundo: Any) -> None:
        pedido = await mundo.en_fase(Fase.CANCELANDO)
        mundo.clock.advance(28)
        [mio] = await arrendar(mundo)
        async with mundo.database.transaction() as connection:
            await mundo.repository.reprogramar(connection, pedido, mundo.clock.now(), lease=mio.lease - 1)
        assert await arrendar(mundo) == []


async def arrendar(mundo: Any, limite: int = 50) -> list[Leased]:
    """The due orders, leased for a minute."""
    async with mundo.database.transaction() as connection:
        ahora = mundo.clock.now()
        leased: list[Leased] = await mundo.repository.arrendar(connection, ahora, ahora + MINUTE, limite)
        return leased


class TestArrendar:
    async def vencidos(self, mundo: Any, count: int) -> list[UUID]:
        """Orders that are due, the first one longest."""
        ids = []
        for _ in range(count):
            ids.append((await mundo.en_fase(Fase.CANCELANDO)).id)
            mundo.clock.advance(1)
        mundo.clock.advance(28)
        return ids

    async def test_los_que_esperan_desde_hace_mas_tiempo(self, mundo: Any) -> None:
        ids = await self.vencidos(mundo, 3)
        assert {item.pedido.id for item in await arrendar(mundo, 2)} == set(ids[:2])
        assert [item.pedido.id for item in await arrendar(mundo, 2)] == ids[2:]

    async def test_uno_arrendado_no_se_da_a_otro_hasta_que_el_arriendo_acaba(self, mundo: Any) -> None:
        await self.vencidos(mundo, 1)
        [primero] = await arrendar(mundo)
        mundo.clock.advance(59.999)
        assert await arrendar(mundo) == []
        mundo.clock.advance(0.001)
        [segundo] = await arrendar(mundo)
        assert segundo.lease == primero.lease + 1

    @pytest.mark.parametrize("fase", [Fase.COMPLETADO, Fase.CANCELADO])
    async def test_los_que_han_terminado_nunca(self, mundo: Any, fase: Fase) -> None:
        await mundo.en_fase(fase)
        mundo.clock.advance(10_000)
        assert await arrendar(mundo) == []

    @pytest.mark.parametrize("databases", ["postgresql"], indirect=True)
    async def test_salta_los_que_otra_replica_esta_arrendando(self, mundo: Any, replica: Any) -> None:
        """Neither waits for the other: the second one gets its share while the first is still in its transaction."""
        ids = await self.vencidos(mundo, 4)
        otra = replica()
        ahora = mundo.clock.now()
        async with mundo.database.transaction() as connection:
            mios = await mundo.repository.arrendar(connection, ahora, ahora + MINUTE, 2)
            suyos = await arrendar(otra)
        assert {item.pedido.id for item in mios} == set(ids[:2])
        assert {item.pedido.id for item in suyos} == set(ids[2:])


class TestListar:
    async def ids(self, mundo: Any, *cliente_ids: str, page: PageRequest | None = None, **filtros: Any) -> list[UUID]:
        filtros = {"estado": None, "desde": None, "hasta": None} | filtros
        async with mundo.database.read() as connection:
            found = await mundo.repository.listar(connection, page or PageRequest(), cliente_ids=cliente_ids, **filtros)
        return [pedido.id for pedido in found.items]

    async def test_el_mas_nuevo_primero(self, mundo: Any) -> None:
        ids = []
        for _ in range(3):
            ids.append((await mundo.en_fase(Fase.SOLICITADO)).id)
            mundo.clock.advance(1)
        assert await self.ids(mundo) == ids[::-1]

    async def test_de_los_clientes_nombrados(self, mundo: Any) -> None:
        de_ana = (await mundo.en_fase(Fase.SOLICITADO)).id
        await mundo.en_fase(Fase.SOLICITADO, cliente="luis")
        assert await self.ids(mundo, "ana") == await self.ids(mundo, "ana", "ana") == [de_ana]
        assert await self.ids(mundo, "ana", "luis") == []

    async def test_por_estado(self, mundo: Any) -> None:
        by_phase = {fase: (await mundo.en_fase(fase)).id for fase in Fase}
        assert await self.ids(mundo, estado=Estado.COMPLETADO) == [by_phase.pop(Fase.COMPLETADO)]
        assert await self.ids(mundo, estado=Estado.CANCELADO) == [by_phase.pop(Fase.CANCELADO)]
        assert set(await self.ids(mundo, estado=Estado.PENDIENTE)) == set(by_phase.values())

    async def test_desde_incluye_y_hasta_excluye(self, mundo: Any, clock: FakeClock) -> None:
        creados: list[datetime] = []
        ids = []
        for _ in range(3):
            creados.append(clock.now())
            ids.append((await mundo.en_fase(Fase.SOLICITADO)).id)
            clock.advance(60)
        assert await self.ids(mundo, desde=creados[1]) == [ids[2], ids[1]]
        assert await self.ids(mundo, hasta=creados[1]) == [ids[0]]
        assert await self.ids(mundo, desde=creados[1], hasta=creados[2]) == [ids[1]]
