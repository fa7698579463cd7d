"""All SQL of productos."""

from collections.abc import Sequence
from dataclasses import asdict
from operator import itemgetter
from typing import Any, Literal
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from comanda.common.bulk import BulkRead
from comanda.common.database import Database, padded
from comanda.common.pagination import Keyset, Page, PageRequest
from comanda.common.statements import Row
from comanda.productos.domain import Producto, SkuEnUso, clave_de_orden, plegar, texto_de_busqueda
from comanda.productos.tables import productos, retirado

Orden = Literal["nombre", "precio", "creado_en"]

_COLUMNS = [productos.c[name] for name in Producto.__slots__]
_LOCK = sa.select(*_COLUMNS).where(productos.c.id == sa.bindparam("producto_id")).with_for_update()
_SORT_COLUMN: dict[Orden, str] = {"nombre": "nombre_orden", "precio": "precio_centimos", "creado_en": "creado_en"}

_fts = sa.table("productos_busqueda", sa.column("rowid", sa.Integer))

TRIGRAM = 3
"""The shortest search that a trigram index can answer."""

FEW = 10_000
"""Products that are found by the index and then sorted in a few milliseconds."""

WINDOW = 5_000
"""Products that are read in the list's order in a few milliseconds. A search that finds more than `FEW` of a million
fills its page from them, unless its products stand together elsewhere in the list; then the index has to find all."""


class Repository:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._read = BulkRead(database, productos, ["id"], [*Producto.__slots__, "nombre_orden"])

    async def insertar(self, connection: AsyncConnection, producto: Producto) -> None:
        """Raises `SkuEnUso` when another product has its SKU."""
        await _refusing_used_sku(connection, sa.insert(productos).values(_values(producto)))

    async def actualizar(self, connection: AsyncConnection, producto: Producto) -> None:
        """Raises `SkuEnUso` when another product has its SKU."""
        statement = sa.update(productos).where(productos.c.id == producto.id).values(_values(producto))
        await _refusing_used_sku(connection, statement)

    async def leer(self, connection: AsyncConnection, producto_id: UUID) -> Producto | None:
        """Locks it."""
        row = (await connection.execute(_LOCK, {"producto_id": producto_id})).one_or_none()
        return Producto(*row) if row else None

    async def leer_varios(self, connection: AsyncConnection, ids: Sequence[UUID]) -> dict[UUID, Producto]:
        """Those of the products that exist."""
        return {row["id"]: _producto(row) for row in await self._leer_filas(connection, ids)}

    async def listar(
        self,
        connection: AsyncConnection,
        page: PageRequest,
        *,
        orden: Orden,
        buscar: str,
        activo: bool | None,
        ids: Sequence[UUID] | None,
    ) -> Page[Producto]:
        if ids is not None and len(ids) <= page.limit and activo is None and (page.cursor, buscar) == (None, ""):
            found = await self._leer_filas(connection, ids)  # what an order asks for: all of it on one page
            return Page(sorted(found, key=itemgetter(_SORT_COLUMN[orden], "id")), None).map(_producto)
        query = sa.select(*_COLUMNS, productos.c.nombre_orden, productos.c.busqueda)
        if ids is not None:
            query = query.where(productos.c.id.in_(padded(ids)))
        if activo is not None:
            query = query.where(productos.c.activo if activo else retirado)
        texto = plegar(buscar)
        if not texto:
            rows = await _keyset(orden, productos).fetch(connection, query, page)
        elif ids is not None or activo is False:  # few to begin with
            rows = await _keyset(orden, productos).fetch(connection, query.where(_contains(productos, texto)), page)
        else:
            rows = await self._buscar(connection, query, texto, page, orden)
        return rows.map(_producto)

    async def _leer_filas(self, connection: AsyncConnection, ids: Sequence[UUID]) -> Sequence[Row]:
        return await self._read.execute(connection, [{"id": producto_id} for producto_id in dict.fromkeys(ids)])

    async def _buscar(
        self, connection: AsyncConnection, query: sa.Select[Any], texto: str, page: PageRequest, orden: Orden
    ) -> Page[sa.RowMapping]:
        """The page of those that contain the text: a frequent one is soon met on the way, a rare one is in the index.

        Without statistics of its own to tell which, either database can take a hundred times longer.
        """
        if not await self._is_rare(connection, texto):
            window = _keyset(orden, productos).after(query, page.cursor).limit(WINDOW).subquery()
            met = sa.select(window).where(_contains(window, texto))
            rows = await _keyset(orden, window).fetch(connection, met, PageRequest(page.limit))
            if rows.next_cursor is not None:
                return rows
        if self._database.dialect == "sqlite":
            matching = query.where(productos.c.fila.in_(_matches(texto)))
            return await _keyset(orden, productos).fetch(connection, matching, page)
        # Materialized, or the planner may walk the whole list in search of products that stand at its end.
        found = query.where(_contains(productos, texto)).cte("found").prefix_with("MATERIALIZED")
        return await _keyset(orden, found).fetch(connection, sa.select(found), page)

    async def _is_rare(self, connection: AsyncConnection, texto: str) -> bool:
        """Whether SQLite's index names only few; to ask PostgreSQL's would cost as much as the window."""
        if self._database.dialect == "postgresql" or len(texto) < TRIGRAM:
            return False
        some = _matches(texto).limit(FEW + 1).subquery()
        return (await connection.execute(sa.select(sa.func.count()).select_from(some))).scalar_one() <= FEW


def _producto(row: Row | sa.RowMapping) -> Producto:
    return Producto(*[row[name] for name in Producto.__slots__])


def _matches(texto: str) -> sa.Select[Any]:
    """The row numbers of the products that contain the text, on SQLite."""
    if len(texto) < TRIGRAM:
        return sa.select(productos.c.fila).where(_contains(productos, texto))
    phrase = '"' + texto.replace('"', '""') + '"'
    return sa.select(_fts.c.rowid).where(sa.literal_column("productos_busqueda").op("MATCH")(phrase))


def _keyset(orden: Orden, source: sa.FromClause) -> Keyset:
    return Keyset(orden, source.c[_SORT_COLUMN[orden]], source.c.id)


def _contains(source: sa.FromClause, texto: str) -> sa.ColumnElement[bool]:
    return source.c.busqueda.contains(texto, autoescape=True)


def _values(producto: Producto) -> dict[str, Any]:
    return asdict(producto) | {
        "nombre_orden": clave_de_orden(producto.nombre),
        "busqueda": texto_de_busqueda(producto),
    }


async def _refusing_used_sku(connection: AsyncConnection, statement: sa.Executable) -> None:
    try:
        await connection.execute(statement)
    except IntegrityError as error:
        if "sku" in str(error.orig):
            raise SkuEnUso from None
        raise
