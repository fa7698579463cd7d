"""What each operation on a reservation does in each state."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import pytest
from reservas_preparadas import (
    Preparar,
    activa,
    barrida,
    confirmada,
    lapida_de_confirmar,
    lapida_de_liberar,
    liberada,
    rechazada,
    vencida,
)

from comanda.testing import FakeClock, problem

Efecto = tuple[str, tuple[int, int]]
"""What the caller is told: the state, or the problem and the state; then how much there is and how much is held."""


CERRADA = "reserva-cerrada"


LIBRE = (10, 0)


ESTADOS: list[tuple[Preparar, dict[str, Efecto]]] = [
    (
        activa,
        {
            "mismas": ("200 ACTIVA", (10, 4)),
            "otras": (f"409 {CERRADA} ACTIVA", (10, 4)),
            "confirmar": ("200 CONFIRMADA", (6, 0)),
            "liberar": ("200 LIBERADA", LIBRE),
        },
    ),
    (
        confirmada,
        {
            "mismas": ("200 CONFIRMADA", (6, 0)),
            "otras": (f"409 {CERRADA} CONFIRMADA", (6, 0)),
            "confirmar": ("200 CONFIRMADA", (6, 0)),
            "liberar": ("409 reserva-confirmada", (6, 0)),
        },
    ),
    *(
        (
            preparar,
            {
                "mismas": (f"409 {CERRADA} {estado}", LIBRE),
                "otras": (f"409 {CERRADA} {estado}", LIBRE),
                "confirmar": (f"409 {CERRADA} {estado}", LIBRE),
                "liberar": (f"200 {estado}", LIBRE),
            },
        )
        for preparar, estado in (
            (liberada, "LIBERADA"),
            (vencida, "EXPIRADA"),
            (barrida, "EXPIRADA"),
            (lapida_de_liberar, "LIBERADA"),
            (lapida_de_confirmar, "LIBERADA"),
        )
    ),
    (
        rechazada,
        {
            "mismas": ("409 existencias-insuficientes", LIBRE),
            "otras": (f"409 {CERRADA} RECHAZADA", LIBRE),
            "confirmar": (f"409 {CERRADA} RECHAZADA", LIBRE),
            "liberar": ("200 RECHAZADA", LIBRE),
        },
    ),
]


OPERACIONES: dict[str, Callable[[Any, UUID, str], Awaitable[Any]]] = {
    "mismas": lambda tienda, pedido, producto: tienda.reservar(pedido, {producto: 4}),
    "otras": lambda tienda, pedido, producto: tienda.reservar(pedido, {producto: 5}),
    "confirmar": lambda tienda, pedido, _: tienda.confirmar(pedido),
    "liberar": lambda tienda, pedido, _: tienda.liberar(pedido),
}


def told(response: Any) -> str:
    documento = response.json()
    slug = f" {problem(response)}" if response.status_code >= 400 else ""
    return f"{response.status_code}{slug} {documento.get('estado', '')}".strip()


class TestCadaOperacionEnCadaEstado:
    @pytest.mark.parametrize(("preparar", "efectos"), ESTADOS, ids=[preparar.__name__ for preparar, _ in ESTADOS])
    async def test(self, tienda: Any, clock: FakeClock, preparar: Preparar, efectos: dict[str, Efecto]) -> None:
        for name, (answer, existencias) in efectos.items():
            pedido, producto = clock.new_id(), await tienda.alta(10)
            await preparar(tienda, pedido, producto)
            for time in ("first", "again"):
                response = await OPERACIONES[name](tienda, pedido, producto)
                assert told(response) == answer, (name, time)
                assert await tienda.existencias(producto) == existencias, (name, time)
            if " RECHAZADA" not in answer and answer.startswith("200"):
                assert (await tienda.reserva(pedido)) == response.json(), name
        await tienda.cuadra()

    async def test_toda_operacion_cierra_lo_vencido_y_lo_deja_escrito(self, tienda: Any, clock: FakeClock) -> None:
        for operacion in OPERACIONES.values():
            pedido, producto = clock.new_id(), await tienda.alta(10)
            await vencida(tienda, pedido, producto)
            await operacion(tienda, pedido, producto)
            assert (await tienda.reserva(pedido))["estado"] == "EXPIRADA"
