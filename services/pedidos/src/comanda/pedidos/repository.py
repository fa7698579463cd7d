"""All SQL of pedidos."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from comanda.common.clock import uuid7_floor
from comanda.common.database import Database
from comanda.common.pagination import Keyset, Page, PageRequest
from comanda.pedidos.domain import Estado, Fase, Linea, Pedido, Transicion
from comanda.pedidos.tables import CANCELLED, OPEN, historial, pedidos

_NEWEST_FIRST = Keyset("pedidos", pedidos.c.id, descending=True)
_COLUMNS = [pedidos.c[name] for name in Pedido.__slots__]
_IN_STATE: Mapping[Estado, sa.TextClause | sa.ColumnElement[bool]] = {
    Estado.PENDIENTE: OPEN,
    Estado.CANCELADO: CANCELLED,
    Estado.COMPLETADO: pedidos.c.fase == Fase.COMPLETADO.value,
}


@dataclass(frozen=True, slots=True)
class Leased:
    """An order that this worker alone may move on, until its lease ends; `lease` fences off whoever had it before."""

    pedido: Pedido
    lease: int
    attempts: int


class Repository:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def insertar(
        self, connection: AsyncConnection, pedido: Pedido, causa: str, next_attempt_at: datetime
    ) -> None:
        values = _values(pedido) | {"next_attempt_at": next_attempt_at, "attempts": 0, "lease": 0}
        await connection.execute(sa.insert(pedidos).values(values))
        await self._record(connection, None, pedido, causa)

    async def guardar(
        self,
        connection: AsyncConnection,
        antes: Pedido,
        despues: Pedido,
        causa: str,
        next_attempt_at: datetime,
        lease: int | None = None,
    ) -> bool:
        """Compare-and-set of a transition, with its line of history.

        Args:
            lease: the caller's lease, when it works under one.

        Returns:
            False, nothing being written, when the order or the lease is no longer what the caller saw.
        """
        statement = _same(antes, lease).values(
            fase=despues.fase.value,
            version=despues.version,
            motivo=despues.motivo,
            reserva_expira_en=despues.reserva_expira_en,
            actualizado_en=despues.actualizado_en,
            next_attempt_at=next_attempt_at,
            attempts=0,
            leased_until=None,
        )
        if (await connection.execute(statement)).rowcount != 1:
            return False
        await self._record(connection, antes.fase, despues, causa)
        return True

    async def reprogramar(
        self,
        connection: AsyncConnection,
        pedido: Pedido,
        next_attempt_at: datetime,
        *,
        lease: int | None = None,
        attempts: int = 0,
    ) -> None:
        """Says when to look at the order next, unless it (or the lease) has changed meanwhile."""
        statement = _same(pedido, lease)
        await connection.execute(
            statement.values(next_attempt_at=next_attempt_at, attempts=attempts, leased_until=None)
        )

    async def leer(self, connection: AsyncConnection, pedido_id: UUID) -> Pedido | None:
        row = (await connection.execute(sa.select(*_COLUMNS).where(pedidos.c.id == pedido_id))).mappings()
        found = row.one_or_none()
        return _pedido(found) if found else None

    async def listar(
        self,
        connection: AsyncConnection,
        page: PageRequest,
        *,
        cliente_ids: Collection[str],
        estado: Estado | None,
        desde: datetime | None,
        hasta: datetime | None,
    ) -> Page[Pedido]:
        """The orders of those clients (none named: of all), created from `desde` and before `hasta`, newest first."""
        query = sa.select(*_COLUMNS)
        for cliente_id in cliente_ids:
            query = query.where(pedidos.c.cliente_id == cliente_id)
        if estado is not None:
            query = query.where(_IN_STATE[estado])
        if desde is not None:
            query = query.where(pedidos.c.id >= uuid7_floor(desde))
        if hasta is not None:
            query = query.where(pedidos.c.id < uuid7_floor(hasta))
        return (await _NEWEST_FIRST.fetch(connection, query, page)).map(_pedido)

    async def historial(self, connection: AsyncConnection, pedido_id: UUID) -> list[Transicion]:
        query = sa.select(historial).where(historial.c.pedido_id == pedido_id).order_by(historial.c.version)
        return [
            Transicion(row.en, Fase(row.de) if row.de else None, Fase(row.a), row.causa)
            for row in await connection.execute(query)
        ]

    async def bloquear_cliente(self, connection: AsyncConnection, cliente_id: str) -> None:
        """Makes the client's new orders wait for each other until the end of the transaction."""
        if self._database.dialect == "postgresql":
            await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtext(cliente_id))))

    async def abiertos(self, connection: AsyncConnection, cliente_id: str) -> tuple[int, int]:
        """How many pending orders the client has, and how many units are in them."""
        query = sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(pedidos.c.unidades), 0))
        query = query.where(pedidos.c.cliente_id == cliente_id, OPEN)
        orders, units = (await connection.execute(query)).one()
        return orders, int(units)

    async def arrendar(
        self, connection: AsyncConnection, ahora: datetime, hasta: datetime, limite: int
    ) -> list[Leased]:
        """Leases the orders that are due, skipping what others are leasing at this moment."""
        due = (
            sa.select(pedidos.c.id)
            .where(OPEN, pedidos.c.next_attempt_at <= ahora)
            .where(sa.or_(pedidos.c.leased_until.is_(None), pedidos.c.leased_until <= ahora))
            .order_by(pedidos.c.next_attempt_at)
            .limit(limite)
            .with_for_update(skip_locked=True)
            .cte("due")  # read once, so that no plan can lease more than the limit
        )
        statement = (
            sa.update(pedidos)
            .where(pedidos.c.id.in_(sa.select(due.c.id)))
            .values(leased_until=hasta, lease=pedidos.c.lease + 1)
            .returning(*_COLUMNS, pedidos.c.lease, pedidos.c.attempts)
        )
        rows = (await connection.execute(statement)).mappings()
        return [Leased(_pedido(row), row["lease"], row["attempts"]) for row in rows]

    async def _record(self, connection: AsyncConnection, de: Fase | None, pedido: Pedido, causa: str) -> None:
        await connection.execute(
            sa.insert(historial).values(
                pedido_id=pedido.id,
                version=pedido.version,
                en=pedido.actualizado_en,
                de=de.value if de else None,
                a=pedido.fase.value,
                causa=causa,
            )
        )


def _same(pedido: Pedido, lease: int | None) -> sa.Update:
    statement = sa.update(pedidos).where(
        pedidos.c.id == pedido.id, pedidos.c.fase == pedido.fase.value, pedidos.c.version == pedido.version
    )
    return statement if lease is None else statement.where(pedidos.c.lease == lease)


def _values(pedido: Pedido) -> dict[str, Any]:
    values = {name: getattr(pedido, name) for name in Pedido.__slots__}
    values["fase"] = pedido.fase.value
    values["unidades"] = pedido.unidades
    values["lineas"] = [asdict(linea) | {"producto_id": str(linea.producto_id)} for linea in pedido.lineas]
    return values


def _pedido(row: sa.RowMapping) -> Pedido:
    lineas: Sequence[Mapping[str, Any]] = row["lineas"]
    values = {column.key: row[column.key] for column in _COLUMNS}
    values["fase"] = Fase(row["fase"])
    values["lineas"] = tuple(Linea(**{**linea, "producto_id": UUID(linea["producto_id"])}) for linea in lineas)
    return Pedido(**values)
