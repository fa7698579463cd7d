"""Which index answers: a list costs the same in a catalogue of a million products as in one of ten thousand."""

from collections.abc import Mapping
from typing import Any

import pytest

from comanda.common.pagination import PageRequest
from comanda.productos.repository import Orden, Repository, _keyset
from comanda.productos.tables import productos
from comanda.testing import START
from comanda.testing.filling import Filling
from comanda.testing.plans import Question, Scale, Scales

PACKAGE = "comanda.productos"
ORDERS: tuple[Orden, ...] = ("nombre", "precio", "creado_en")


def fill(sql: Filling) -> Mapping[str, Mapping[str, str]]:
    """One product in a hundred is withdrawn. Nothing to search for: that has tests of its own."""
    return {
        "productos": {
            "id": sql.uuid7(),
            "sku": "'SKU-' || (10000000 + i)",
            "nombre": "'P'",
            "nombre_orden": f"'p' || (10000000 + i * 7919 % {sql.rows})",
            "descripcion": "''",
            "busqueda": "''",
            "precio_centimos": "i * 31 % 100000",
            "activo": "i % 100 <> 0",
            "version": "1",
            "creado_en": sql.moment(),
            "actualizado_en": sql.start,
        }
    }


def pages(orden: Orden, start: float, activo: bool | None = None) -> Question:
    """A short page from that part of the list on, and the one that follows it."""

    async def ask(scale: Scale) -> Any:
        last = {
            "nombre_orden": f"p{10_000_000 + round(scale.rows * start)}",
            "precio_centimos": round(100_000 * start),
            "creado_en": scale.moment(start),
            "id": scale.uuid7(round(scale.rows * start)),
        }
        cursor = _keyset(orden, productos)._encode(last) if start else None  # type: ignore[arg-type]
        options: dict[str, Any] = {"orden": orden, "buscar": "", "activo": activo, "ids": None}
        first = await Repository(scale.database).listar(scale.connection, PageRequest(5, cursor), **options)
        next_page = PageRequest(50, first.next_cursor)
        return (await Repository(scale.database).listar(scale.connection, next_page, **options)).items

    return ask


@pytest.mark.parametrize("orden", ORDERS)
class TestListar:
    @pytest.mark.parametrize("start", [0, 0.5, 0.9])
    async def test_por_su_indice(self, escalas: Scales, orden: Orden, start: float) -> None:
        asked = await escalas.ask(pages(orden, start))
        assert len(asked.answer) == 50
        asked.assert_by(f"ix_productos_{orden}")

    async def test_activos_por_el_mismo_indice(self, escalas: Scales, orden: Orden) -> None:
        asked = await escalas.ask(pages(orden, 0.5, activo=True))
        assert len(asked.answer) == 50
        asked.assert_by(f"ix_productos_{orden}")

    @pytest.mark.parametrize("start", [0, 0.4])
    async def test_retirados_por_un_indice_propio(self, escalas: Scales, orden: Orden, start: float) -> None:
        asked = await escalas.ask(pages(orden, start, activo=False))
        assert not any(item.activo for item in asked.answer)
        assert len(asked.answer) == 50
        asked.assert_by(f"ix_productos_retirados_{orden}")


class TestUno:
    async def test_por_su_id(self, escalas: Scales) -> None:
        async def ask(scale: Scale) -> Any:
            return await Repository(scale.database).leer(scale.connection, scale.uuid7(scale.rows // 2))

        asked = await escalas.ask(ask)
        assert asked.answer.creado_en < START
        asked.assert_by()

    @pytest.mark.parametrize("activo", [None, True])
    async def test_muchos_por_sus_ids(self, escalas: Scales, activo: bool | None) -> None:
        async def ask(scale: Scale) -> Any:
            ids = [scale.uuid7(scale.rows // 200 * number - 1) for number in range(1, 201)]
            options: dict[str, Any] = {"orden": "nombre", "buscar": "", "activo": activo, "ids": ids}
            return (await Repository(scale.database).listar(scale.connection, PageRequest(200), **options)).items

        asked = await escalas.ask(ask)
        assert len(asked.answer) == 200
        asked.assert_by(sorts=["productos"], lookups=400)
