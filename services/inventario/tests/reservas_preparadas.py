"""Reservations in every state they can be in."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

from comanda.testing import problem

TTL_SECONDS = 900


Preparar = Callable[[Any, UUID, str], Awaitable[None]]


async def activa(tienda: Any, pedido: UUID, producto: str) -> None:
    assert (await tienda.reservar(pedido, {producto: 4})).status_code == 201


async def confirmada(tienda: Any, pedido: UUID, producto: str) -> None:
    await activa(tienda, pedido, producto)
    assert (await tienda.confirmar(pedido)).status_code == 200


async def liberada(tienda: Any, pedido: UUID, producto: str) -> None:
    await activa(tienda, pedido, producto)
    assert (await tienda.liberar(pedido)).status_code == 200


async def vencida(tienda: Any, pedido: UUID, producto: str) -> None:
    """Its time is over and the sweeper has not come by yet."""
    await activa(tienda, pedido, producto)
    tienda.clock.advance(TTL_SECONDS)


async def barrida(tienda: Any, pedido: UUID, producto: str) -> None:
    await vencida(tienda, pedido, producto)
    await tienda.servicio.expirar_vencidas()
    assert (await tienda.reserva(pedido))["estado"] == "EXPIRADA"


async def rechazada(tienda: Any, pedido: UUID, producto: str) -> None:
    """Refused for want of stock, which has arrived since."""
    await tienda.mover(producto, "SALIDA", 7)
    assert (await tienda.reservar(pedido, {producto: 4})).status_code == 409
    await tienda.mover(producto, "ENTRADA", 7)


async def lapida_de_liberar(tienda: Any, pedido: UUID, producto: str) -> None:
    assert (await tienda.liberar(pedido)).status_code == 200


async def lapida_de_confirmar(tienda: Any, pedido: UUID, producto: str) -> None:
    assert problem(await tienda.confirmar(pedido)) == "reserva-cerrada"
