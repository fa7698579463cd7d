"""Which index answers a search in a large catalogue, and what only the database can be asked."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from comanda.common.clock import SystemClock
from comanda.common.database import Database
from comanda.common.pagination import PageRequest
from comanda.productos.domain import Producto
from comanda.productos.repository import Orden, Repository, _keyset
from comanda.productos.tables import metadata, productos
from comanda.testing import Databases
from comanda.testing.plans import Scale, Watched
from comanda.testing.schema import schema_differences

ROWS = 200_000
SEARCH = {
    "ix_productos_busqueda",
    *(f"productos_busqueda{part}" for part in ("", "_data", "_idx", "_docsize", "_config")),
}
"""Each dialect has its own; tables.py knows neither."""

FIRST = PageRequest()
NINE_TENTHS = {
    "nombre_orden": f"p{ROWS * 9 // 10:06d}",
    "precio_centimos": 90_000,
    "creado_en": datetime(2026, 1, 1, 12, tzinfo=UTC),
    "id": UUID(int=ROWS * 9 // 10),
}

FILL = {
    "sqlite": """
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :rows)
        INSERT INTO productos(id, sku, nombre, nombre_orden, descripcion, busqueda,
            precio_centimos, activo, version, creado_en, actualizado_en)
        SELECT printf('%032x', i), i, 'P', printf('p%06d', i * 7919 % :rows), '',
            CASE WHEN i % 2 THEN 'silla' ELSE 'mesa' END || CASE WHEN i % 50000 = 7 THEN ' ornitorrinco' ELSE '' END
            || CASE WHEN i * 7919 % :rows >= :rows - 12000 THEN ' zapato' ELSE '' END,
            i * 31 % 100000, i % 100 <> 0, 1, '2026-01-01 12:00:00.000000', '2026-01-01 12:00:00.000000' FROM n""",
    "postgresql": """
        INSERT INTO productos(id, sku, nombre, nombre_orden, descripcion, busqueda,
            precio_centimos, activo, version, creado_en, actualizado_en)
        SELECT lpad(to_hex(i), 32, '0')::uuid, i::text, 'P', 'p' || lpad((i * 7919 % :rows)::text, 6, '0'), '',
            CASE WHEN i % 2 = 1 THEN 'silla' ELSE 'mesa' END
            || CASE WHEN i % 50000 = 7 THEN ' ornitorrinco' ELSE '' END
            || CASE WHEN i * 7919 % :rows >= :rows - 12000 THEN ' zapato' ELSE '' END,
            i * 31 % 100000, i % 100 <> 0, 1, '2026-01-01T12:00Z', '2026-01-01T12:00Z'
        FROM generate_series(1::bigint, :rows) i""",
}


class Catalogue:
    """A large catalogue, and the plans of what is asked of it."""

    def __init__(self, database: Database) -> None:
        self.repository = Repository(database)
        self.dialect = database.dialect
        self._database = database
        self._watched = Watched(database, ROWS)

    async def list(
        self, orden: Orden = "nombre", page: PageRequest = FIRST, buscar: str = "", activo: bool | None = None
    ) -> tuple[list[Producto], str]:
        """A page, and the plan of the last statement that it took."""

        async def ask(scale: Scale) -> list[Producto]:
            options: dict[str, Any] = {"orden": orden, "buscar": buscar, "activo": activo, "ids": None}
            return list((await self.repository.listar(scale.connection, page, **options)).items)

        found, plans, _ = await self._watched.ask(ask)
        return found, plans[-1].text


@pytest.fixture(scope="module")
def filled() -> dict[str, str]:
    """The URL of the filled database of each dialect, once it is filled."""
    return {}


@pytest.fixture
async def catalogue(databases: Databases, filled: dict[str, str]) -> AsyncIterator[Catalogue]:
    url = filled.get(databases.dialect) or await databases.new("comanda.productos", keep=True)
    database = Database(url, clock=SystemClock())
    if databases.dialect not in filled:
        async with database.migration() as connection:
            await connection.execute(sa.text(FILL[databases.dialect]).bindparams(rows=ROWS))
        async with database.migration() as connection:
            await connection.execute(sa.text("ANALYZE productos"))
        filled[databases.dialect] = url
    yield Catalogue(database)
    await database.aclose()


def deep(orden: Orden) -> PageRequest:
    """The page after nine tenths of the list."""
    return PageRequest(cursor=_keyset(orden, productos)._encode(NINE_TENTHS))  # type: ignore[arg-type]


class TestBuscar:
    async def test_lo_raro_por_el_indice_de_trigramas(self, catalogue: Catalogue) -> None:
        items, plan = await catalogue.list(buscar="Ornitorrinco")
        assert [item.sku for item in sorted(items, key=lambda item: item.id)] == ["7", "50007", "100007", "150007"]
        assert ("ix_productos_busqueda" if catalogue.dialect == "postgresql" else "VIRTUAL TABLE INDEX") in plan

    @pytest.mark.parametrize("buscar", ["silla", "si"])
    async def test_lo_frecuente_por_el_indice_de_la_lista(self, catalogue: Catalogue, buscar: str) -> None:
        items, plan = await catalogue.list(buscar=buscar, page=deep("nombre"))
        assert len(items) == 50
        assert "ix_productos_nombre" in plan
        assert "Seq Scan" not in plan

    async def test_lo_frecuente_que_esta_todo_al_final_por_el_de_trigramas(self, catalogue: Catalogue) -> None:
        items, plan = await catalogue.list(buscar="zapato")
        assert len(items) == 50
        assert "ix_productos_nombre" not in plan
        assert ("ix_productos_busqueda" if catalogue.dialect == "postgresql" else "VIRTUAL TABLE INDEX") in plan

    async def test_lo_frecuente_entre_los_retirados(self, catalogue: Catalogue) -> None:
        items, plan = await catalogue.list(buscar="mesa", activo=False)
        assert len(items) == 50
        assert "ix_productos_retirados_" in plan

    async def test_lo_corto_que_no_esta(self, catalogue: Catalogue) -> None:
        assert (await catalogue.list(buscar="qx"))[0] == []

    @pytest.mark.parametrize("buscar", ["silla", "zapato", "me"])
    async def test_se_recorre_entero_sin_huecos(self, catalogue: Catalogue, buscar: str) -> None:
        seen: list[UUID] = []
        page = PageRequest(200, deep("nombre").cursor)
        async with catalogue._database.read() as connection:
            for _ in range(8):
                found = await catalogue.repository.listar(
                    connection, page, orden="nombre", buscar=buscar, activo=None, ids=None
                )
                seen += [item.id for item in found.items]
                page = PageRequest(200, found.next_cursor)
            expected = sa.select(productos.c.id).where(
                productos.c.busqueda.contains(buscar),
                sa.tuple_(productos.c.nombre_orden, productos.c.id)
                > sa.tuple_(sa.literal(NINE_TENTHS["nombre_orden"]), sa.literal(NINE_TENTHS["id"])),
            )
            expected = expected.order_by(productos.c.nombre_orden, productos.c.id).limit(1600)
            assert seen == list((await connection.execute(expected)).scalars())


class TestEsquema:
    async def test_las_migraciones_dan_las_tablas(self, databases: Databases) -> None:
        url = await databases.new("comanda.productos")
        assert await schema_differences(url, metadata, ignore=SEARCH) == []

    async def test_precio_fuera_de_rango(self, catalogue: Catalogue) -> None:
        with pytest.raises(sa.exc.IntegrityError):
            async with catalogue._database.transaction() as connection:
                await connection.execute(sa.update(productos).values(precio_centimos=-1).where(productos.c.sku == "1"))


class TestConcurrencia:
    async def test_se_lee_mientras_se_escribe(self, catalogue: Catalogue) -> None:
        async with catalogue._database.transaction() as connection:
            await connection.execute(sa.update(productos).values(nombre="Q").where(productos.c.sku == "1"))
            items, _ = await asyncio.wait_for(catalogue.list("creado_en"), 2)
            assert items[0].nombre == "P"
