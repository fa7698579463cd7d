"""What the use cases promise over time: the sweeper, its pages, and whose clock counts."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from comanda.inventario import service
from comanda.inventario.app import build
from comanda.inventario.domain import Linea
from comanda.inventario.tables import existencias, reserva_lineas, reservas
from comanda.testing import Databases, FakeClock, problem, running
from comanda.testing.collector import recording

TTL_SECONDS = 900
HOURS = 3600


async def reservadas(tienda: Any, producto: str, cuantas: int) -> list[UUID]:
    """That many reservations of one, a second apart."""
    pedidos = []
    for _ in range(cuantas):
        tienda.clock.advance(1)
        pedidos.append(tienda.clock.new_id())
        await tienda.servicio.reservar(pedidos[-1], (Linea(UUID(producto), 1),))
    return pedidos


async def estados(tienda: Any, pedidos: list[UUID]) -> list[str]:
    found = {fila["pedido_id"]: fila["estado"] for fila in await tienda.todas("/reservas")}
    return [found.get(str(pedido), "-") for pedido in pedidos]


async def until(ask: Callable[[], Awaitable[Any]], expected: Any) -> None:
    """Asks until a background task has brought about what is expected."""
    async with asyncio.timeout(10):
        while await ask() != expected:  # noqa: ASYNC110  # what is asked for is not ours to signal
            await asyncio.sleep(0)


async def until_blocked(tienda: Any) -> None:
    """Waits until somebody waits for a lock of this database (on SQLite: until the writers have queued up)."""
    if tienda.database.dialect == "sqlite":
        for _ in range(100):
            await asyncio.sleep(0)
        return
    query = sa.text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    async with asyncio.timeout(10), tienda.database.engine.connect() as connection:
        while (await connection.execute(query)).scalar_one() == 0:
            await connection.rollback()


class TestExpirarVencidas:
    async def test_devuelve_lo_vencido_y_deja_lo_demas(self, tienda: Any, clock: FakeClock) -> None:
        producto = await tienda.alta(10)
        pedidos = await reservadas(tienda, producto, 3)
        await tienda.confirmar(pedidos[0])
        clock.advance(TTL_SECONDS - 1)
        assert await tienda.servicio.expirar_vencidas() == 1
        assert await estados(tienda, pedidos) == ["CONFIRMADA", "EXPIRADA", "ACTIVA"]
        assert await tienda.existencias(producto) == (9, 1)
        assert await tienda.servicio.expirar_vencidas() == 0
        await tienda.cuadra()

    async def test_se_enlaza_con_la_traza_de_cada_pedido(self, tienda: Any, clock: FakeClock) -> None:
        pedidos = await reservadas(tienda, await tienda.alta(10), 2)
        clock.advance(TTL_SECONDS)
        with recording("inventario") as exported:
            assert await tienda.servicio.expirar_vencidas() == 2
            [swept] = exported()
        assert (swept.name, swept.parent) == ("expirar", "")
        assert {trace for trace, _ in swept.links} == {pedido_id.hex for pedido_id in pedidos}

    async def test_una_pagina_en_cada_transaccion_lo_mas_viejo_primero(
        self, tienda: Any, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(service, "SWEEP_ROWS", 3)
        producto = await tienda.alta(10)
        pedidos = await reservadas(tienda, producto, 7)
        clock.advance(TTL_SECONDS)
        expirar, left = tienda.servicio._expirar, []

        async def one_page(ids: Any) -> Any:
            expired = await expirar(ids)
            assert await estados(tienda, pedidos) == sorted(await estados(tienda, pedidos), reverse=True)
            left.append((await tienda.existencias(producto))[1])
            return expired

        monkeypatch.setattr(tienda.servicio, "_expirar", one_page)
        assert await tienda.servicio.expirar_vencidas() == 7
        assert left == [4, 1, 0]
        await tienda.cuadra()

    async def test_varios_a_la_vez_devuelven_una_sola_vez(self, replicas: list[Any], clock: FakeClock) -> None:
        uno, otro = [await replicas[0].alta(40) for _ in range(2)]
        pedidos = [clock.new_id() for _ in range(30)]
        for n, pedido in enumerate(pedidos):
            lineas = (Linea(UUID(uno), 1), Linea(UUID(otro), 1))
            await replicas[0].servicio.reservar(pedido, lineas if n % 2 else lineas[::-1])
        clock.advance(TTL_SECONDS)
        await asyncio.gather(*(replicas[n % len(replicas)].servicio.expirar_vencidas() for n in range(6)))
        assert set(await estados(replicas[0], pedidos)) == {"EXPIRADA"}
        assert await replicas[0].existencias(uno) == (40, 0)
        await replicas[0].cuadra()

    async def test_las_descuadradas_no_detienen_a_las_demas(
        self, tienda: Any, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Not even if they fill whole pages."""
        monkeypatch.setattr(service, "SWEEP_ROWS", 2)
        rota, sana = await tienda.alta(5), await tienda.alta(5)
        malas = await reservadas(tienda, rota, 5)
        (buena,) = await reservadas(tienda, sana, 1)
        async with tienda.database.transaction() as connection:
            wrong = sa.update(existencias).where(existencias.c.producto_id == UUID(rota)).values(reservado=0)
            await connection.execute(wrong)
        clock.advance(TTL_SECONDS)

        assert await tienda.servicio.expirar_vencidas() == 1
        assert await estados(tienda, [*malas, buena]) == ["ACTIVA"] * 5 + ["EXPIRADA"]
        assert await tienda.existencias(sana) == (5, 0)
        assert await tienda.existencias(rota) == (5, 0)


class TestOlvidarCerradas:
    async def test_pasadas_72_horas_y_nunca_una_confirmada(self, tienda: Any, clock: FakeClock) -> None:
        producto = await tienda.alta(10)
        confirmada, liberada, expirada = await reservadas(tienda, producto, 3)
        await tienda.confirmar(confirmada)
        await tienda.liberar(liberada)
        rechazada, lapida = clock.new_id(), clock.new_id()
        await tienda.reservar(rechazada, {producto: 100})
        await tienda.liberar(lapida)
        pedidos = [confirmada, liberada, rechazada, lapida, expirada]
        clock.advance(TTL_SECONDS)
        await tienda.servicio.expirar_vencidas()
        clock.advance(72 * HOURS - TTL_SECONDS)
        assert await tienda.servicio.olvidar_cerradas() == 0
        clock.advance(1)
        assert await tienda.servicio.olvidar_cerradas() == 3
        assert await estados(tienda, pedidos) == ["CONFIRMADA", "-", "-", "-", "EXPIRADA"]
        clock.advance(TTL_SECONDS)
        assert await tienda.servicio.olvidar_cerradas() == 1
        assert await estados(tienda, pedidos) == ["CONFIRMADA", "-", "-", "-", "-"]
        async with tienda.database.read() as connection:
            assert list(await connection.scalars(sa.select(reserva_lineas.c.pedido_id))) == [confirmada]
        clock.advance(1000 * HOURS)
        assert await tienda.servicio.olvidar_cerradas() == 0
        assert (await tienda.confirmar(confirmada)).status_code == 200
        await tienda.cuadra()

    async def test_una_activa_no_se_olvida_por_vieja_que_sea(self, tienda: Any, clock: FakeClock) -> None:
        producto = await tienda.alta(10)
        pedidos = await reservadas(tienda, producto, 1)
        clock.advance(1000 * HOURS)
        assert await tienda.servicio.olvidar_cerradas() == 0
        await tienda.servicio.expirar_vencidas()
        assert await tienda.servicio.olvidar_cerradas() == 0
        assert await estados(tienda, pedidos) == ["EXPIRADA"]

    async def test_una_pagina_cada_vez(self, tienda: Any, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(service, "SWEEP_ROWS", 3)
        for _ in range(7):
            await tienda.servicio.liberar(clock.new_id())
        clock.advance(73 * HOURS)
        assert [await tienda.servicio.olvidar_cerradas() for _ in range(4)] == [3, 3, 1, 0]


class TestBarrer:
    @pytest.fixture
    def clock(self) -> FakeClock:
        return FakeClock()

    async def test_por_si_solo_todas_las_paginas_en_una_vuelta(
        self, abrir: Any, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(service, "SWEEP_ROWS", 3)
        async with abrir(reserva_ttl_seconds=30, sweep_seconds=60) as tienda:
            producto = await tienda.alta(10)
            pedidos = await reservadas(tienda, producto, 7)
            await tienda.mover(producto, "SALIDA", 3)
            clock.advance(60)
            await until(lambda: tienda.existencias(producto), (7, 0))
            assert set(await estados(tienda, pedidos)) == {"EXPIRADA"}
            clock.advance(73 * HOURS)
            await until(lambda: estados(tienda, pedidos), ["-"] * 7)


class TestElRelojSeMiraConLaFilaBloqueada:
    async def test_confirmar_que_espera_hasta_despues_del_plazo(self, tienda: Any, clock: FakeClock) -> None:
        producto = await tienda.alta(10)
        [pedido] = await reservadas(tienda, producto, 1)
        async with tienda.database.transaction() as connection:
            await connection.execute(sa.select(reservas).with_for_update())
            confirming = asyncio.create_task(tienda.confirmar(pedido))
            await until_blocked(tienda)
            clock.advance(TTL_SECONDS)
        response = await confirming
        assert (response.status_code, problem(response)) == (409, "reserva-cerrada")
        assert await tienda.existencias(producto) == (10, 0)

    async def test_un_movimiento_que_espera_lleva_la_hora_en_que_ocurre(self, tienda: Any, clock: FakeClock) -> None:
        producto = await tienda.alta(10)
        async with tienda.database.transaction() as connection:
            await connection.execute(sa.select(existencias).with_for_update())
            moving = asyncio.create_task(tienda.mover(producto, "ENTRADA", 5))
            await until_blocked(tienda)
            clock.advance(60)
        assert (await moving).json()["creado_en"] == "2026-01-01T12:01:00Z"


class TestBuild:
    async def test_con_lo_que_dice_el_entorno(
        self, databases: Databases, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setenv("COMANDA_DATA", str(tmp_path))
        monkeypatch.setenv("INVENTARIO_DATABASE_URL", await databases.new("comanda.inventario"))
        monkeypatch.setattr("comanda.inventario.app.prepare_process", lambda *_: None)
        async with running(build()) as client:
            assert (await client.get("/readyz")).status_code == 200
            assert problem(await client.get("/inventario")) == "no-autenticado"
