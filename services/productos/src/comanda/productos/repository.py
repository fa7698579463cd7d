"""All SQL of productos."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Literal
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from comanda.common.database import Database
from comanda.common.pagination import Keyset, Page, PageRequest
from comanda.productos.domain import Producto, SkuEnUso, clave_de_orden, plegar, texto_de_busqueda
from comanda.productos.tables import productos

Orden = Literal["nombre", "precio", "creado_en"]

_COLUMNS = [productos.c[name] for name in Producto.__slots__]
_KEYSETS: dict[Orden, Keyset] = {
    "nombre": Keyset("nombre", productos.c.nombre_orden, productos.c.id),
    "precio": Keyset("precio", productos.c.precio_centimos, productos.c.id),
    "creado_en": Keyset("creado_en", productos.c.creado_en, productos.c.id),
}
TRIGRAM = 3
"""The shortest search that the index of SQLite can answer; shorter ones read along the list's own order."""


class Repository:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def insertar(self, connection: AsyncConnection, producto: Producto) -> None:
        """Raises `SkuEnUso` when another product has its SKU."""
        await _refusing_used_sku(connection, sa.insert(productos).values(_values(producto)))

    async def actualizar(self, connection: AsyncConnection, producto: Producto) -> None:
        """Raises `SkuEnUso` when another product has its SKU."""
        statement = sa.update(productos).where(productos.c.id == producto.id).values(_values(producto))
        await _refusing_used_sku(connection, statement)

    async def leer(self, connection: AsyncConnection, producto_id: UUID, *, bloquear: bool = False) -> Producto | None:
        query = sa.select(*_COLUMNS).where(productos.c.id == producto_id)
        if bloquear:
            query = query.with_for_update()
        row = (await connection.execute(query)).mappings().one_or_none()
        return Producto(**row) if row else None

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
        query = sa.select(*_COLUMNS, productos.c.nombre_orden)
        if ids is not None:
            query = query.where(productos.c.id.in_(ids))
        if activo is not None:
            query = query.where(productos.c.activo if activo else ~productos.c.activo)
        plegado = plegar(buscar)
        if plegado:
            query = query.where(self._contains(plegado))
        rows = await _KEYSETS[orden].fetch(connection, query, page)
        return rows.map(lambda row: Producto(**{column.key: row[column.key] for column in _COLUMNS}))

    def _contains(self, texto: str) -> sa.ColumnElement[bool]:
        """Whether the text stands anywhere in what is searched, by the trigram index of either database."""
        if self._database.dialect == "sqlite" and len(texto) >= TRIGRAM:
            phrase = '"' + texto.replace('"', '""') + '"'
            matches = sa.text("SELECT rowid FROM productos_busqueda WHERE productos_busqueda MATCH :frase")
            return productos.c.fila.in_(matches.bindparams(frase=phrase).columns(sa.column("rowid", sa.Integer)))
        return productos.c.busqueda.contains(texto, autoescape=True)


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
