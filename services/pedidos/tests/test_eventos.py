"""The tail and its streams over both databases: no event is lost and none comes twice."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
import sqlalchemy as sa
from pedidos_world import Fabrica, Mundo

from comanda.common.database import DatabaseUnavailable
from comanda.common.revocation import Revocations
from comanda.common.tokens import Principal
from comanda.pedidos import eventos as module
from comanda.pedidos.domain import Fase
from comanda.pedidos.domain_eventos import Evento
from comanda.pedidos.eventos import Eventos, Stream
from comanda.pedidos.repository_eventos import BATCH, EventosRepository
from comanda.pedidos.tables import historial
from comanda.testing import FakeClock

only_postgresql = pytest.mark.parametrize("databases", ["postgresql"], indirect=True)


def eventos_de(mundo: Mundo, clock: FakeClock | None = None, *, revocations: Revocations | None = None) -> Eventos:
    """The tail of a process of its own."""
    return Eventos(
        mundo.database,
        EventosRepository(mundo.database),
        clock or mundo.clock,
        encode,
        revocations=revocations,
        heartbeat=b"latido;",
        expired=b"fin;",
        ended=b"sesion;",
        max_streams=1000,
        max_streams_per_caller=1000,
        heartbeat_seconds=15,
        poll_seconds=0.5,
    )


def encode(evento: Evento) -> bytes:
    return f"{evento.numero} {evento.pedido_id} {evento.a};".encode()


def cliente(nombre: str = "ana") -> Principal:
    return Principal("auth", nombre, frozenset(), None, "t", 1e12, False)


class Terminadas:
    def __init__(self, subject: str) -> None:
        self.subject = subject

    async def ended(self, principal: Principal) -> bool:
        return principal.subject == self.subject


class Oyente:
    """A listener that remembers what it got, reconnects when told to, and then goes on from there."""

    def __init__(self, cliente_id: str | None) -> None:
        self.cliente_id = cliente_id
        self.numeros: list[int] = []
        self.textos: list[str] = []
        self.ultimo: int | None = None
        self.lee = asyncio.Event()
        self.llegada = asyncio.Event()

    async def conectar(self, eventos: Eventos) -> None:
        self.eventos = eventos
        self.stream: Stream = await eventos.open(cliente(self.cliente_id or "jefa"), self.cliente_id, self.ultimo)
        if self.ultimo is None:
            self.ultimo = self.stream.position  # as the first block tells
        self.leyendo = asyncio.create_task(self._leer())

    def desconectar(self) -> None:
        """At once: what is on its way does not arrive."""
        self.leyendo.cancel()
        self.eventos.close(self.stream)

    async def recibir(self, cuantos: int) -> None:
        """Reads until it has got so many events in all."""
        self.lee.set()
        async with asyncio.timeout(20):
            while len(self.numeros) < cuantos:
                self.llegada.clear()
                await self.llegada.wait()
        self.lee.clear()

    async def _leer(self) -> None:
        async for block in self.eventos.blocks(self.stream):
            await self.lee.wait()
            for text in block.decode().split(";")[:-1]:
                self.textos.append(text)
                self.ultimo = int(text.split()[0])
                self.numeros.append(self.ultimo)
            self.llegada.set()


@asynccontextmanager
async def conectado(eventos: Eventos, cliente_id: str | None = None) -> AsyncIterator[Oyente]:
    oyente = Oyente(cliente_id)
    await oyente.conectar(eventos)
    yield oyente
    oyente.desconectar()


async def numeradas(mundo: Mundo) -> list[tuple[int, Any, int]]:
    async with mundo.database.read() as connection:
        columns = historial.c.numero, historial.c.pedido_id, historial.c.version
        rows = await connection.execute(sa.select(*columns).order_by(historial.c.numero))
        return [(row.numero, row.pedido_id, row.version) for row in rows]


class TestNumerar:
    async def test_las_de_un_pedido_en_su_orden(self, mundo: Mundo, clock: FakeClock) -> None:
        """Even when a replica's clock is behind that of the one before."""
        pedido = await mundo.en_fase(Fase.RESERVADO)
        clock.set_wall(-600)
        await mundo.saga.intend(pedido, pedido.completar(clock.now()), "completar")
        await eventos_de(mundo).tick()
        assert [(numero, version) for numero, _, version in await numeradas(mundo)] == [(1, 1), (2, 2), (3, 3)]

    async def test_mas_de_una_tanda(self, mundo: Mundo) -> None:
        async with mundo.database.transaction() as connection:
            altas = [(mundo.solicitud(), mundo.clock.now()) for _ in range(BATCH + 10)]
            await mundo.repository.insertar(connection, altas)
        await eventos_de(mundo).tick()
        assert [numero for numero, _, _ in await numeradas(mundo)] == list(range(1, BATCH + 11))

    async def test_dos_a_la_vez(self, mundo: Mundo, replica: Fabrica) -> None:
        otro = eventos_de(replica())
        for _ in range(5):
            await asyncio.gather(*(mundo.en_fase(Fase.RESERVADO) for _ in range(6)))
            await asyncio.gather(eventos_de(mundo).tick(), otro.tick())
        await otro.tick()
        assert [numero for numero, _, _ in await numeradas(mundo)] == list(range(1, 61))

    @only_postgresql
    async def test_mientras_otro_numera_no_espera(self, mundo: Mundo, replica: Fabrica) -> None:
        await mundo.en_fase(Fase.SOLICITADO)
        repository, otro = EventosRepository(mundo.database), replica()
        async with mundo.database.transaction() as connection:
            assert await repository.numerar(connection) == 1
            await asyncio.wait_for(eventos_de(otro).tick(), 5)
            assert [numero for numero, _, _ in await numeradas(otro)] == [None]
        assert [numero for numero, _, _ in await numeradas(otro)] == [1]

    async def test_lo_que_escribe_la_version_anterior(self, mundo: Mundo) -> None:
        """The release before knows neither column; what was there before either is 0, and no event."""
        eventos = eventos_de(mundo)
        viejo, nuevo = await mundo.en_fase(Fase.SOLICITADO), await mundo.en_fase(Fase.SOLICITADO)
        async with mundo.database.transaction() as connection:
            await connection.execute(sa.update(historial).where(historial.c.pedido_id == viejo.id).values(numero=0))
        async with conectado(eventos) as oyente:
            oyente.desconectar()
            oyente.ultimo = 0
            await oyente.conectar(eventos)
            await eventos.tick()
            await oyente.recibir(1)
        assert oyente.textos == [f"1 {nuevo.id} SOLICITADO"]


class TestSinPerderNiRepetir:
    @only_postgresql
    async def test_quien_escribio_antes_y_termina_despues(self, mundo: Mundo, replica: Fabrica) -> None:
        """A transaction that began first commits last: its events come after those that were seen before."""
        lento, eventos = replica(), eventos_de(replica())
        tarde = lento.solicitud()
        async with conectado(eventos) as todos, conectado(eventos, "ana") as suyo:
            async with lento.database.transaction() as connection:
                await lento.repository.insertar(connection, [(tarde, lento.clock.now())])
                antes = await mundo.en_fase(Fase.RESERVADO)
                await eventos.tick()
                await todos.recibir(2)
                await suyo.recibir(2)
            await eventos.tick()
            await todos.recibir(3)
            await suyo.recibir(3)
        assert todos.textos == [f"1 {antes.id} SOLICITADO", f"2 {antes.id} RESERVADO", f"3 {tarde.id} SOLICITADO"]
        assert suyo.textos == todos.textos

    @only_postgresql
    async def test_a_quien_vuelve_mientras_tanto(self, mundo: Mundo, replica: Fabrica) -> None:
        """The same seen from the history, by another replica, after the first was left."""
        lento, otro = replica(), replica()
        tarde, eventos = lento.solicitud(), eventos_de(mundo)
        async with conectado(eventos) as oyente:
            async with lento.database.transaction() as connection:
                await lento.repository.insertar(connection, [(tarde, lento.clock.now())])
                await mundo.en_fase(Fase.SOLICITADO)
                await eventos.tick()
                await oyente.recibir(1)
            oyente.desconectar()
            reiniciado = eventos_de(otro)
            await oyente.conectar(reiniciado)
            await reiniciado.tick()
            await oyente.recibir(2)
        assert oyente.textos[1:] == [f"2 {tarde.id} SOLICITADO"]

    async def test_muchos_que_escriben_y_oyentes_que_van_y_vienen(
        self, mundo: Mundo, replica: Fabrica, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Two replicas write and tell; listeners change replica all the time, some queues overflow, tails restart."""
        monkeypatch.setattr(module, "QUEUE", 3)
        monkeypatch.setattr(module, "PAGE", 4)
        mundos = [mundo, replica()]
        colas = [eventos_de(one) for one in mundos]
        oyentes = [Oyente(None), Oyente("ana"), Oyente("luis")]
        for oyente in oyentes:
            await oyente.conectar(colas[0])

        async def escribir(mundo: Mundo, nombre: str) -> None:
            for _ in range(6):
                await mundo.en_fase(Fase.COMPLETADO, nombre)

        async def seguir() -> None:
            for ronda in range(12):
                await asyncio.gather(*(cola.tick() for cola in colas))
                oyente = oyentes[ronda % 3]
                oyente.desconectar()
                if ronda % 4 == 3:
                    colas[ronda % 2] = eventos_de(mundos[ronda % 2])  # its process was started again
                await oyente.conectar(colas[ronda % 2])
                (oyente.lee.set if ronda % 5 < 3 else oyente.lee.clear)()

        async with asyncio.TaskGroup() as group:
            for one, nombre in product(mundos, ("ana", "luis")):
                group.create_task(escribir(one, nombre))
            group.create_task(seguir())
        for cola in {oyente.eventos for oyente in oyentes}:
            await cola.tick()
            await cola.tick()
        for oyente, cuantos in zip(oyentes, (96, 48, 48), strict=True):
            await oyente.recibir(cuantos)
            oyente.desconectar()
        escritas = await numeradas(mundo)
        assert oyentes[0].numeros == [numero for numero, _, _ in escritas] == list(range(1, 97))
        de_ana = {pedido.id for pedido in await mundo.todos() if pedido.cliente_id == "ana"}
        assert oyentes[1].numeros == [numero for numero, pedido_id, _ in escritas if pedido_id in de_ana]
        assert oyentes[2].numeros == [numero for numero, pedido_id, _ in escritas if pedido_id not in de_ana]

    async def test_lo_que_pasa_mientras_se_pone_al_dia(self, mundo: Mundo, monkeypatch: pytest.MonkeyPatch) -> None:
        """The tail goes on, beyond what the queue holds, between two pages of the history."""
        monkeypatch.setattr(module, "QUEUE", 2)
        monkeypatch.setattr(module, "PAGE", 2)
        eventos = eventos_de(mundo)
        stream = await eventos.open(cliente(), None, None)
        for _ in range(3):
            await mundo.en_fase(Fase.RESERVADO)
        await eventos.tick()
        blocks = eventos.blocks(stream)
        primero = await anext(blocks)
        assert primero.decode().count(";") == 2
        for _ in range(3):
            await mundo.en_fase(Fase.RESERVADO)
            await eventos.tick()
        assert stream.behind
        textos = primero.decode()
        while textos.count(";") < 12:
            textos += (await anext(blocks)).decode()
        assert [int(text.split()[0]) for text in textos.split(";")[:-1]] == list(range(1, 13))

    async def test_nadie_escucha_cuando_alguien_llega(self, mundo: Mundo) -> None:
        """The tail may jump ahead only as long as there is no stream; one came between the look and the jump."""
        eventos = eventos_de(mundo)
        await eventos.tick()
        oyente = Oyente(None)
        original = eventos._repository.estado

        async def estado(connection: Any) -> tuple[bool, int]:
            found = await original(connection)
            eventos._repository.estado = original  # type: ignore[method-assign]
            await oyente.conectar(eventos)
            return found

        await mundo.en_fase(Fase.RESERVADO)
        async with mundo.database.transaction() as connection:
            assert await eventos._repository.numerar(connection) == 2
        eventos._repository.estado = estado  # type: ignore[method-assign]
        await eventos.tick()
        await oyente.recibir(2)
        oyente.desconectar()
        assert oyente.numeros == [1, 2]

    async def test_la_base_de_datos_es_de_antes(self, mundo: Mundo) -> None:
        """A standby that had not got everything takes over: numbers are given again, and who comes again gets them."""
        eventos = eventos_de(mundo)
        async with conectado(eventos) as oyente:
            await mundo.en_fase(Fase.RESERVADO)
            await eventos.tick()
            await oyente.recibir(2)
            async with mundo.database.transaction() as connection:
                await connection.execute(sa.delete(historial))
            await eventos.tick()
            await asyncio.wait_for(oyente.leyendo, 20)
        await oyente.conectar(eventos)
        await mundo.en_fase(Fase.SOLICITADO)
        await eventos.tick()
        await oyente.recibir(3)
        oyente.desconectar()
        assert oyente.numeros == [1, 2, 1]

    async def test_la_sesion_termina(self, mundo: Mundo) -> None:
        eventos = eventos_de(mundo, revocations=Terminadas("bea"))
        streams = [await eventos.open(cliente(nombre), nombre, None) for nombre in ("ana", "bea")]
        await eventos.look_at_the_sessions()
        assert [block async for block in eventos.blocks(streams[1])] == [b"sesion;"]
        assert streams[0].end is None


class TestEnSegundoPlano:
    async def test_sigue_lo_nuevo_y_mira_el_reloj_por_si_solo(self, mundo: Mundo) -> None:
        clock = FakeClock()
        eventos = eventos_de(mundo, clock)
        stream = await eventos.open(replace(cliente(), expires_at=clock.now().timestamp() + 900), None, None)
        loops = [asyncio.create_task(loop()) for loop in (eventos.follow, eventos.keep_time)]
        blocks = eventos.blocks(stream)
        siguiente = asyncio.ensure_future(anext(blocks))
        pedido = await mundo.en_fase(Fase.SOLICITADO)
        async with asyncio.timeout(20):
            while not siguiente.done():
                clock.advance(0.01)
                await asyncio.sleep(0.001)
            assert await siguiente == f"1 {pedido.id} SOLICITADO;".encode()
            clock.advance(900)
            assert [block async for block in blocks] == [b"fin;"]
        for loop in loops:
            loop.cancel()


class TestSinBaseDeDatos:
    async def test_quien_esta_al_dia_sigue_conectado_y_quien_no_vuelve_luego(self, mundo: Mundo) -> None:
        eventos = eventos_de(mundo)
        al_dia = await eventos.open(cliente(), None, None)
        await mundo.en_fase(Fase.RESERVADO)
        await eventos.tick()
        atrasado = await eventos.open(cliente(), None, 0)

        @asynccontextmanager
        async def caida() -> AsyncIterator[Any]:
            raise DatabaseUnavailable("caída")
            yield

        mundo.database.read = caida  # type: ignore[method-assign]
        with pytest.raises(DatabaseUnavailable):
            await eventos.tick()
        assert (await anext(eventos.blocks(al_dia))).decode().count(";") == 2
        assert [block async for block in eventos.blocks(atrasado)] == []
