"""All SQL of inventario.

Rows are claimed and locked in one order everywhere — idempotency keys, reservations by id, products by id — so that no
two transactions can wait for each other.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from operator import itemgetter
from typing import Any, NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from comanda.common.bulk import BulkInsert, BulkRead, BulkTogether, BulkUpdate
from comanda.common.clock import Clock
from comanda.common.database import Database, padded
from comanda.common.pagination import Keyset, Page, PageRequest
from comanda.common.statements import Row
from comanda.inventario.almacen import CLOSED_KEPT, Almacen
from comanda.inventario.domain import (
    EstadoReserva,
    Existencias,
    Falta,
    Linea,
    Movimiento,
    Reserva,
    TipoMovimiento,
)
from comanda.inventario.tables import ACTIVA, CERRADA, EN_ESTADO, existencias, movimientos, reserva_lineas, reservas

_EXISTENCIAS = Keyset("existencias", existencias.c.producto_id)
_MOVIMIENTOS = Keyset("movimientos", movimientos.c.id)
_RESERVAS = Keyset("reservas", reservas.c.pedido_id, descending=True)

_OVERDUE = (
    sa.select(reservas.c.expira_en, reservas.c.pedido_id)
    .where(ACTIVA, reservas.c.expira_en <= sa.bindparam("now"))
    .order_by(reservas.c.expira_en, reservas.c.pedido_id)
    .limit(sa.bindparam("most"))
)
_OVERDUE_AFTER = _OVERDUE.where(
    sa.tuple_(reservas.c.expira_en, reservas.c.pedido_id)
    > sa.tuple_(
        sa.bindparam("expira_en", type_=reservas.c.expira_en.type),
        sa.bindparam("pedido_id", type_=reservas.c.pedido_id.type),
    )
)


class Vencida(NamedTuple):
    """A reservation whose time is over, by its place in the order of times."""

    expira_en: datetime
    pedido_id: UUID


class Repository:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._claim_reserva = BulkInsert(database, reservas, _names(reservas), returning=["pedido_id"])
        self._read_reservas = BulkRead(database, reservas, ["pedido_id"])
        self._lock_reservas = BulkRead(database, reservas, ["pedido_id"], lock=True)
        write_reserva = BulkUpdate(
            database, reservas, ["pedido_id"], ["estado", "expira_en", "faltantes", "actualizado_en"]
        )
        self._read_lines = BulkRead(database, reserva_lineas, ["pedido_id"])
        write_lines = BulkInsert(database, reserva_lineas, _names(reserva_lineas))
        self._read_stock = BulkRead(database, existencias, ["producto_id"])
        self._lock_stock = BulkRead(database, existencias, ["producto_id"], lock=True)
        self._write_stock = BulkUpdate(
            database, existencias, ["producto_id"], ["fisico", "reservado", "version", "actualizado_en"]
        )
        self._record = BulkInsert(database, movimientos, _names(movimientos))
        self._write = BulkTogether(database, write_reserva, write_lines, self._write_stock, self._record)

    async def insertar_existencias(self, connection: AsyncConnection, nuevas: Existencias) -> bool:
        """False when the product already has stock."""
        insert = self._database.insert(existencias).values(_values(nuevas)).on_conflict_do_nothing()
        inserted = await connection.execute(insert.returning(existencias.c.producto_id))
        return inserted.scalar_one_or_none() is not None

    async def leer_existencias(
        self, connection: AsyncConnection, ids: Iterable[UUID], *, bloquear: bool = False
    ) -> dict[UUID, Existencias]:
        read = self._lock_stock if bloquear else self._read_stock
        rows = await read.execute(connection, [{"producto_id": producto_id} for producto_id in ids])
        return {row["producto_id"]: Existencias(**row) for row in rows}

    async def guardar_existencias(self, connection: AsyncConnection, cambiadas: Collection[Existencias]) -> None:
        await self._write_stock.execute(connection, [_values(nuevas) for nuevas in cambiadas])

    async def insertar_movimientos(self, connection: AsyncConnection, nuevos: Collection[Movimiento]) -> None:
        await self._record.execute(connection, [_values(movimiento) for movimiento in nuevos])

    async def abrir(
        self,
        connection: AsyncConnection,
        provisionales: Mapping[UUID, Reserva],
        productos: Iterable[UUID],
        clock: Clock,
    ) -> Almacen:
        """The working set of those reservations, all of it locked, and the time at which it was.

        A reservation that is unknown is claimed by writing its provisional form, so that of two requests for one id
        the second waits for the first.
        """
        nuevas: set[UUID] = set()
        conocidas: dict[UUID, Reserva] = {}
        # Again for one that is being forgotten meanwhile.
        while pendientes := provisionales.keys() - nuevas - conocidas.keys():
            nuevas |= await self._claim(connection, [provisionales[pedido_id] for pedido_id in sorted(pendientes)])
            conocidas |= await self.leer_reservas(connection, pendientes - nuevas, bloquear=True)
        ids = set(productos) | {linea.producto_id for reserva in conocidas.values() for linea in reserva.lineas}
        return Almacen(
            existencias=await self.leer_existencias(connection, sorted(ids), bloquear=True),
            reservas=conocidas | {pedido_id: provisionales[pedido_id] for pedido_id in nuevas},
            nuevas=nuevas,
            ahora=clock.now(),
            nuevo_id=clock.new_id,
        )

    async def guardar(self, connection: AsyncConnection, almacen: Almacen) -> None:
        """Writes what the engine changed."""
        lineas = [
            {"pedido_id": reserva.pedido_id, **_values(linea)}
            for reserva in almacen.reservas_con_lineas_nuevas()
            for linea in reserva.lineas
        ]
        await self._write.execute(
            connection,
            list(map(_row, almacen.reservas_cambiadas())),
            lineas,
            list(map(_values, almacen.existencias_cambiadas())),
            list(map(_values, almacen.movimientos)),
        )

    async def leer_reservas(
        self, connection: AsyncConnection, ids: Iterable[UUID], *, bloquear: bool = False
    ) -> dict[UUID, Reserva]:
        read = self._lock_reservas if bloquear else self._read_reservas
        rows = await read.execute(connection, [{"pedido_id": pedido_id} for pedido_id in sorted(ids)])
        return {reserva.pedido_id: reserva for reserva in await self._with_lines(connection, rows)}

    async def vencidas(
        self, connection: AsyncConnection, ahora: datetime, limite: int, *, despues: Vencida | None = None
    ) -> list[Vencida]:
        """Reservations whose time is over, the oldest first; from the one after `despues` on."""
        page = {"now": ahora, "most": limite}
        statement, start = (_OVERDUE, {}) if despues is None else (_OVERDUE_AFTER, despues._asdict())
        return [Vencida(*row) for row in await connection.execute(statement, page | start)]

    async def cerradas(self, connection: AsyncConnection, ahora: datetime, limite: int) -> list[UUID]:
        """Ids of reservations that have been closed for so long that they can be forgotten."""
        query = sa.select(reservas.c.pedido_id).where(CERRADA, reservas.c.actualizado_en < ahora - CLOSED_KEPT)
        return list((await connection.execute(query.order_by(reservas.c.actualizado_en).limit(limite))).scalars())

    async def olvidar(self, connection: AsyncConnection, ids: Sequence[UUID]) -> None:
        locked = sa.select(reservas.c.pedido_id).where(reservas.c.pedido_id.in_(ids)).order_by(reservas.c.pedido_id)
        ids = (await connection.execute(locked.with_for_update(skip_locked=True))).scalars().all()
        await connection.execute(sa.delete(reserva_lineas).where(reserva_lineas.c.pedido_id.in_(ids)))
        await connection.execute(sa.delete(reservas).where(reservas.c.pedido_id.in_(ids)))

    async def listar_existencias(self, connection: AsyncConnection, page: PageRequest) -> Page[Existencias]:
        rows = await _EXISTENCIAS.fetch(connection, sa.select(existencias), page)
        return rows.map(lambda row: Existencias(**row))

    async def listar_movimientos(
        self, connection: AsyncConnection, producto_id: UUID, page: PageRequest
    ) -> Page[Movimiento]:
        query = sa.select(movimientos).where(movimientos.c.producto_id == producto_id)
        rows = await _MOVIMIENTOS.fetch(connection, query, page)
        return rows.map(lambda row: Movimiento(**{**row, "tipo": TipoMovimiento(row["tipo"])}))

    async def listar_reservas(
        self, connection: AsyncConnection, page: PageRequest, ids: Sequence[UUID] | None, estado: EstadoReserva | None
    ) -> Page[Reserva]:
        query = sa.select(reservas)
        if ids is not None:
            query = query.where(reservas.c.pedido_id.in_(padded(ids)))
        if estado is not None:
            query = query.where(EN_ESTADO[estado])
        rows = await _RESERVAS.fetch(connection, query, page)
        return Page(await self._with_lines(connection, rows.items), rows.next_cursor)

    async def _claim(self, connection: AsyncConnection, provisionales: Sequence[Reserva]) -> set[UUID]:
        claimed = await self._claim_reserva.execute(connection, list(map(_row, provisionales)))
        return {row["pedido_id"] for row in claimed}

    async def _with_lines(self, connection: AsyncConnection, rows: Sequence[Row | sa.RowMapping]) -> list[Reserva]:
        lineas: dict[UUID, list[Linea]] = {row["pedido_id"]: [] for row in rows}
        found = await self._read_lines.execute(connection, [{"pedido_id": pedido_id} for pedido_id in lineas])
        for line in sorted(found, key=itemgetter("producto_id")):
            lineas[line["pedido_id"]].append(Linea(line["producto_id"], line["cantidad"]))
        return [
            Reserva(
                **{
                    **row,
                    "estado": EstadoReserva(row["estado"]),
                    "lineas": tuple(lineas[row["pedido_id"]]),
                    "faltantes": _faltas(row["faltantes"]),
                }
            )
            for row in rows
        ]


def _names(table: sa.Table) -> list[str]:
    return [column.name for column in table.c]


def _values(record: Existencias | Movimiento | Linea) -> dict[str, Any]:
    return {name: getattr(record, name) for name in record.__slots__}


def _row(reserva: Reserva) -> dict[str, Any]:
    return {
        "pedido_id": reserva.pedido_id,
        "estado": reserva.estado.value,
        "expira_en": reserva.expira_en,
        "faltantes": [falta.documento() for falta in reserva.faltantes] or None,
        "creado_en": reserva.creado_en,
        "actualizado_en": reserva.actualizado_en,
    }


def _faltas(documentos: Sequence[Mapping[str, Any]] | None) -> tuple[Falta, ...]:
    return tuple(Falta(UUID(d["producto_id"]), d["solicitado"], d["disponible"]) for d in documentos or ())
