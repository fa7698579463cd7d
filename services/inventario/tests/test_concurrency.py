"""Many at once, on both databases; on PostgreSQL through two processes that serve the same one."""

import asyncio
import random
from collections import Counter
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from comanda.inventario.almacen import Descuadre
from comanda.inventario.domain import Linea
from comanda.inventario.tables import existencias
from comanda.testing import FakeClock, problem

TTL_SECONDS = 900


def turns(replicas: list[Any], n: int) -> Any:
    return replicas[n % len(replicas)]


async def told(calls: Any) -> Counter[str]:
    """How often each answer was given: the status, and which problem it was."""
    responses = await asyncio.gather(*calls)
    return Counter(
        str(response.status_code) if response.status_code < 300 else f"{response.status_code} {problem(response)}"
        for response in responses
    )


class TestReservar:
    async def test_cien_a_por_treinta(self, replicas: list[Any], clock: FakeClock) -> None:
        producto = await replicas[0].alta(30)
        calls = (turns(replicas, n).reservar(clock.new_id(), {producto: 1}) for n in range(100))
        assert await told(calls) == {"201": 30, "409 existencias-insuficientes": 70}
        assert await replicas[0].existencias(producto) == (30, 30)
        await replicas[0].cuadra()

    async def test_una_descuadrada_no_hace_fallar_a_las_demas(self, replicas: list[Any], clock: FakeClock) -> None:
        """They share a transaction: it is tried again without the one whose books somebody has changed by hand."""
        rota, sana = await replicas[0].alta(5), await replicas[0].alta(50)
        mala = clock.new_id()
        await replicas[0].reservar(mala, {rota: 2})
        async with replicas[0].database.transaction() as connection:
            wrong = sa.update(existencias).where(existencias.c.producto_id == UUID(rota)).values(reservado=0)
            await connection.execute(wrong)
        servicio = replicas[0].servicio
        calls = [servicio.reservar(clock.new_id(), (Linea(UUID(sana), 1),)) for _ in range(20)]
        outcomes = await asyncio.gather(*calls[:9], servicio.liberar(mala), *calls[9:], return_exceptions=True)
        assert [type(outcome) for outcome in outcomes if isinstance(outcome, Exception)] == [Descuadre]
        assert isinstance(outcomes[9], Descuadre)
        assert await replicas[0].existencias(sana) == (50, 20)

    async def test_varios_productos_en_ordenes_opuestos(self, replicas: list[Any], clock: FakeClock) -> None:
        source = random.Random(7)  # noqa: S311  # reproducible on purpose
        productos = [await replicas[0].alta(20) for _ in range(5)]
        calls = []
        for n in range(80):
            elegidos = source.sample(productos, 3)
            calls.append(turns(replicas, n).reservar(clock.new_id(), dict.fromkeys(elegidos, 1)))
        answers = await told(calls)
        assert set(answers) == {"201", "409 existencias-insuficientes"}
        held = [await replicas[0].existencias(producto) for producto in productos]
        assert sum(reservado for _, reservado in held) == 3 * answers["201"]
        assert all(reservado <= 20 for _, reservado in held)
        await replicas[0].cuadra()

    async def test_el_mismo_pedido_con_las_mismas_lineas(self, replicas: list[Any], clock: FakeClock) -> None:
        producto, otro, pedido = await replicas[0].alta(30), await replicas[0].alta(30), clock.new_id()
        lineas = [{producto: 2, otro: 3}, {otro: 3, producto: 2}]
        calls = (turns(replicas, n).reservar(pedido, lineas[n // 2 % 2]) for n in range(12))
        assert await told(calls) == {"201": 1, "200": 11}
        assert await replicas[0].existencias(producto) == (30, 2)
        await replicas[0].cuadra()

    async def test_el_mismo_pedido_con_otras_lineas(self, replicas: list[Any], clock: FakeClock) -> None:
        producto, pedido = await replicas[0].alta(30), clock.new_id()
        calls = (turns(replicas, n).reservar(pedido, {producto: n + 1}) for n in range(10))
        assert await told(calls) == {"201": 1, "409 reserva-cerrada": 9}
        [linea] = (await replicas[0].reserva(pedido))["lineas"]
        assert await replicas[0].existencias(producto) == (30, linea["cantidad"])

    async def test_el_mismo_pedido_que_no_cabe(self, replicas: list[Any], clock: FakeClock) -> None:
        producto, pedido = await replicas[0].alta(1), clock.new_id()
        calls = (turns(replicas, n).reservar(pedido, {producto: 2}) for n in range(6))
        assert await told(calls) == {"409 existencias-insuficientes": 6}
        assert await replicas[0].existencias(producto) == (1, 0)


class TestCarreras:
    async def test_reservar_contra_liberar(self, replicas: list[Any], clock: FakeClock) -> None:
        """Whoever is first, nothing stays held."""
        producto = await replicas[0].alta(100)
        pedidos = [clock.new_id() for _ in range(20)]
        calls = []
        for n, pedido in enumerate(pedidos):
            reservar = turns(replicas, n).reservar(pedido, {producto: 1})
            liberar = turns(replicas, n + 1).liberar(pedido)
            calls += [reservar, liberar] if n % 2 else [liberar, reservar]
        answers = await told(calls)
        assert answers["200"] == 20
        assert answers["201"] + answers["409 reserva-cerrada"] == 20
        assert {fila["estado"] for fila in await replicas[0].todas("/reservas")} == {"LIBERADA"}
        assert await replicas[0].existencias(producto) == (100, 0)

    async def test_confirmar_contra_liberar(self, replicas: list[Any], clock: FakeClock) -> None:
        """One of the two wins, and each is told who."""
        producto = await replicas[0].alta(100)
        pedidos = [clock.new_id() for _ in range(16)]
        for pedido in pedidos:
            await replicas[0].reservar(pedido, {producto: 1})
        calls = []
        for n, pedido in enumerate(pedidos):
            confirmar, liberar = turns(replicas, n).confirmar(pedido), turns(replicas, n + 1).liberar(pedido)
            calls += [confirmar, liberar] if n % 2 else [liberar, confirmar]
        answers = await told(calls)
        confirmed = len(await replicas[0].todas("/reservas", estado="CONFIRMADA"))
        assert answers == Counter(
            {"200": 16, "409 reserva-confirmada": confirmed, "409 reserva-cerrada": 16 - confirmed}
        )
        assert await replicas[0].existencias(producto) == (100 - confirmed, 0)
        await replicas[0].cuadra()

    async def test_confirmar_muchas_veces_vende_una(self, replicas: list[Any], clock: FakeClock) -> None:
        producto, pedido = await replicas[0].alta(10), clock.new_id()
        await replicas[0].reservar(pedido, {producto: 4})
        assert await told(turns(replicas, n).confirmar(pedido) for n in range(8)) == {"200": 8}
        assert sorted(await replicas[0].libro(producto)) == [("ENTRADA", 10), ("VENTA", -4)]

    async def test_confirmar_contra_el_barrido(self, replicas: list[Any], clock: FakeClock) -> None:
        producto = await replicas[0].alta(100)
        pedidos = [clock.new_id() for _ in range(12)]
        for pedido in pedidos:
            await replicas[0].reservar(pedido, {producto: 1})
        clock.advance(TTL_SECONDS)
        confirming = [turns(replicas, n).confirmar(pedido) for n, pedido in enumerate(pedidos)]
        sweeping = [replica.servicio.expirar_vencidas() for replica in replicas]
        answers, *_ = await asyncio.gather(told(confirming), *sweeping)
        assert answers == {"409 reserva-cerrada": 12}
        assert {fila["estado"] for fila in await replicas[0].todas("/reservas")} == {"EXPIRADA"}
        assert await replicas[0].existencias(producto) == (100, 0)

    async def test_de_todo_a_la_vez(self, replicas: list[Any], clock: FakeClock) -> None:
        """Orders, movements and sweeps over the same three products: every answer is a clear one, the books agree."""
        source = random.Random(11)  # noqa: S311  # reproducible on purpose
        productos = [await replicas[0].alta(30) for _ in range(3)]
        pedidos = [clock.new_id() for _ in range(24)]
        calls = []
        for n, pedido in enumerate(pedidos):
            elegidos = source.sample(productos, 2)
            tienda = turns(replicas, n)
            calls.append(tienda.reservar(pedido, {producto: source.randint(1, 4) for producto in elegidos}))
            calls.append(source.choice([tienda.confirmar, tienda.liberar])(source.choice(pedidos)))
            calls.append(tienda.mover(elegidos[0], source.choice(["ENTRADA", "SALIDA"]), source.randint(1, 5)))
        source.shuffle(calls)
        answers, *_ = await asyncio.gather(told(calls), *(replica.servicio.expirar_vencidas() for replica in replicas))
        assert set(answers) <= {
            "200",
            "201",
            "409 existencias-insuficientes",
            "409 reserva-cerrada",
            "409 reserva-confirmada",
        }
        await replicas[0].cuadra()
