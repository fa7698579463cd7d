"""Which index answers: a question costs the same with a million reservations as with ten thousand.

The sweeper asks every second, and confirmed reservations and the ledger stay for ever.
"""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import pytest

from comanda.common.pagination import PageRequest
from comanda.inventario.almacen import CLOSED_KEPT
from comanda.inventario.domain import EstadoReserva
from comanda.inventario.repository import Repository
from comanda.testing import START
from comanda.testing.filling import Filling, numbered
from comanda.testing.plans import Question, Scale, Scales

PACKAGE = "comanda.inventario"
AGUA, CAFE = numbered(0), numbered(7)
"""The product of every hundredth line of the ledger, and one of the many that have a hundred."""
LINES = ["reserva_lineas"]
"""Those of each reservation are sorted."""


def fill(sql: Filling) -> Mapping[str, Mapping[str, str]]:
    """One reservation in 200 is active, the oldest of these for too long; one in ten of the newest is closed unsold."""
    newest = sql.rows * 95 // 100
    reservas = {
        "pedido_id": sql.uuid7(),
        "estado": f"CASE WHEN i <= {newest} OR i % 10 > 3 THEN 'CONFIRMADA' WHEN i % 10 = 0 THEN 'ACTIVA' "
        "WHEN i % 10 = 1 THEN 'LIBERADA' WHEN i % 10 = 2 THEN 'EXPIRADA' ELSE 'RECHAZADA' END",
        "expira_en": sql.moment("i + 15"),
        "creado_en": sql.start,
        "actualizado_en": sql.moment(),
    }
    lineas = {"pedido_id": sql.uuid7(), "producto_id": sql.numbered("7"), "cantidad": "1"}
    products = sql.rows // 100 + 1
    movimientos = {
        "id": sql.uuid7(),
        "producto_id": sql.numbered(f"CASE WHEN i % 101 = 0 THEN 0 ELSE 1 + i % {products} END"),
        "tipo": "'VENTA'",
        "cantidad": "-1",
        "pedido_id": sql.uuid7(),
        "creado_en": sql.start,
    }
    existencias = {
        "producto_id": sql.numbered("i"),
        "fisico": "1000",
        "reservado": "0",
        "version": "1",
        "actualizado_en": sql.start,
    }
    return {"reservas": reservas, "reserva_lineas": lineas, "movimientos": movimientos, "existencias": existencias}


def reservas(
    estado: EstadoReserva | None = None, *, ids: int | None = None, page: int = 20, then: int = 25
) -> Question:
    """A page and the one that follows it; `ids`: of so many that are named."""

    async def ask(scale: Scale) -> Any:
        repository = Repository(scale.database)
        named = None if ids is None else [scale.uuid7(scale.rows - number * 2) for number in range(ids)]
        first = await repository.listar_reservas(scale.connection, PageRequest(page), named, estado)
        following = PageRequest(then, first.next_cursor)
        return (await repository.listar_reservas(scale.connection, following, named, estado)).items

    return ask


class TestListarReservas:
    async def test_todas_por_su_clave(self, escalas: Scales) -> None:
        asked = await escalas.ask(reservas(then=50))
        assert len(asked.answer) == 50
        asked.assert_by("reservas_pkey", "reserva_lineas_pkey", sorts=LINES, lookups=70)

    @pytest.mark.parametrize("estado", sorted(set(EstadoReserva) - {EstadoReserva.CONFIRMADA}))
    async def test_las_de_un_estado(self, escalas: Scales, estado: EstadoReserva) -> None:
        asked = await escalas.ask(reservas(estado))
        assert {reserva.estado for reserva in asked.answer} == {estado}
        asked.assert_by(f"ix_reservas_estado_{estado.lower()}", sorts=LINES, lookups=45)

    async def test_las_confirmadas_entre_todas(self, escalas: Scales) -> None:
        asked = await escalas.ask(reservas(EstadoReserva.CONFIRMADA, then=50))
        assert {reserva.estado for reserva in asked.answer} == {EstadoReserva.CONFIRMADA}
        asked.assert_by("reservas_pkey", sorts=LINES, lookups=70)

    @pytest.mark.parametrize("estado", [None, EstadoReserva.ACTIVA])
    async def test_por_ids(self, escalas: Scales, estado: EstadoReserva | None) -> None:
        asked = await escalas.ask(reservas(estado, ids=200))
        asked.assert_by(sorts=["reservas", *LINES], lookups=445)


class TestElBarrido:
    async def test_vencidas_por_su_indice(self, escalas: Scales) -> None:
        async def ask(scale: Scale) -> Any:
            repository = Repository(scale.database)
            first = await repository.vencidas(scale.connection, START, 20)
            return await repository.vencidas(scale.connection, START, 20, despues=first[-1])

        asked = await escalas.ask(ask)
        assert len(asked.answer) == 20
        asked.assert_by("ix_reservas_activas")

    async def test_cuando_ninguna_vence(self, escalas: Scales) -> None:
        async def ask(scale: Scale) -> Any:
            return await Repository(scale.database).vencidas(scale.connection, scale.moment(0.9), 200)

        asked = await escalas.ask(ask)
        assert asked.answer == []
        asked.assert_by("ix_reservas_activas")

    @pytest.mark.parametrize(("fraction", "count"), [(1, 50), (0.9, 0)])
    async def test_cerradas_por_su_indice(self, escalas: Scales, fraction: float, count: int) -> None:
        async def ask(scale: Scale) -> Any:
            then = scale.moment(fraction) + CLOSED_KEPT
            return await Repository(scale.database).cerradas(scale.connection, then, 50)

        asked = await escalas.ask(ask)
        assert len(asked.answer) == count
        asked.assert_by("ix_reservas_cerradas")

    async def test_olvidar_por_su_clave(self, escalas: Scales) -> None:
        async def ask(scale: Scale) -> Any:
            ids = [scale.uuid7(scale.rows - number * 10) for number in range(40)]
            await Repository(scale.database).olvidar(scale.connection, ids)

        (await escalas.ask(ask)).assert_by("reservas_pkey", "reserva_lineas_pkey", sorts=["reservas"], lookups=120)


class TestReservar:
    async def test_lo_que_se_lee_y_se_bloquea(self, escalas: Scales) -> None:
        async def ask(scale: Scale) -> Any:
            repository = Repository(scale.database)
            found = await repository.leer_reservas(scale.connection, [scale.uuid7(scale.rows // 2)], bloquear=True)
            products = [numbered(number) for number in range(1, 5)]
            return found, await repository.leer_existencias(scale.connection, products, bloquear=True)

        asked = await escalas.ask(ask)
        assert [len(found) for found in asked.answer] == [1, 4]
        locked = {"reservas", "existencias"}
        asked.assert_by("reservas_pkey", "existencias_pkey", sorts=locked, lookups=7)


class TestListarExistencias:
    async def test_por_su_clave(self, escalas: Scales) -> None:
        async def ask(scale: Scale) -> Any:
            repository = Repository(scale.database)
            first = await repository.listar_existencias(scale.connection, PageRequest(200))
            return await repository.listar_existencias(scale.connection, PageRequest(50, first.next_cursor))

        asked = await escalas.ask(ask)
        assert len(asked.answer.items) == 50
        asked.assert_by("existencias_pkey")


class TestListarMovimientos:
    @pytest.mark.parametrize(("producto", "sorts"), [(AGUA, []), (CAFE, ["movimientos"])])
    async def test_los_de_un_producto(self, escalas: Scales, producto: UUID, sorts: list[str]) -> None:
        async def ask(scale: Scale) -> Any:
            repository = Repository(scale.database)
            first = await repository.listar_movimientos(scale.connection, producto, PageRequest(20))
            then = PageRequest(50, first.next_cursor)
            return await repository.listar_movimientos(scale.connection, producto, then)

        asked = await escalas.ask(ask)
        assert len(asked.answer.items) == 50
        asked.assert_by("ix_movimientos_producto_id", sorts=sorts)
