"""All SQL of pedidos."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection

from comanda.common.audit import Entry
from comanda.common.bulk import BulkInsert, BulkRead, BulkTogether, BulkUpdate
from comanda.common.clock import uuid7_floor
from comanda.common.database import Database, padded
from comanda.common.idempotency import Answer, Key, Keys, settled
from comanda.common.pagination import Keyset, Page, PageRequest
from comanda.common.statements import Row, Statement
from comanda.pedidos.domain import ABIERTAS, Estado, Fase, Linea, Pedido, Transicion
from comanda.pedidos.tables import CANCELLED, COMPLETED, OPEN, historial, pedidos

RECIBIDO = "pedido recibido"
_NEWEST_FIRST = Keyset("pedidos", pedidos.c.id, descending=True)
_COLUMNS = [pedidos.c[name] for name in Pedido.__slots__]
_INSERTED = [*Pedido.__slots__, "unidades", "next_attempt_at", "attempts", "lease"]
_MOVED = [
    "fase",
    "version",
    "motivo",
    "reserva_expira_en",
    "actualizado_en",
    "next_attempt_at",
    "attempts",
    "leased_until",
]
# What every order executes is built once: building a statement costs as much as running it.
_READ = sa.select(*_COLUMNS).where(pedidos.c.id == sa.bindparam("pedido_id"))
_POSTPONE = sa.update(pedidos).where(
    pedidos.c.id == sa.bindparam("seen_id"),
    pedidos.c.fase == sa.bindparam("seen_fase"),
    pedidos.c.version == sa.bindparam("seen_version"),
)
_POSTPONE_UNDER_LEASE = _POSTPONE.where(pedidos.c.lease == sa.bindparam("seen_lease"))
_RECORDED = ["pedido_id", "version", "en", "de", "a", "causa"]
_HISTORY = (
    sa.select(*(historial.c[name] for name in _RECORDED))
    .where(historial.c.pedido_id == sa.bindparam("pedido_id"))
    .order_by(historial.c.version)
)
_LOCK_CLIENTS = sa.text(
    "SELECT pg_advisory_xact_lock(lock) FROM "
    "(SELECT DISTINCT hashtext(client) AS lock FROM unnest(:clients) AS client ORDER BY 1) AS locks"
).bindparams(sa.bindparam("clients", type_=postgresql.ARRAY(sa.Text)))
_OPEN_OF_CLIENTS = (
    sa.select(pedidos.c.cliente_id, sa.func.count(), sa.func.sum(pedidos.c.unidades))
    .where(pedidos.c.cliente_id.in_(sa.bindparam("clients", expanding=True)), OPEN)
    .group_by(pedidos.c.cliente_id)
)
_DUE = (
    sa.select(pedidos.c.id)
    .where(OPEN, pedidos.c.next_attempt_at <= sa.bindparam("now"))
    .where(sa.or_(pedidos.c.leased_until.is_(None), pedidos.c.leased_until <= sa.bindparam("now")))
    .order_by(pedidos.c.next_attempt_at)
    .limit(sa.bindparam("most"))
    .with_for_update(skip_locked=True)
    .cte("due")  # read once, so that no plan can lease more than the limit
)
_LEASE = (
    sa.update(pedidos)
    .where(pedidos.c.id.in_(sa.select(_DUE.c.id)))
    .values(leased_until=sa.bindparam("until"), lease=pedidos.c.lease + 1)
    .returning(*_COLUMNS, pedidos.c.lease, pedidos.c.attempts)
)
_OPEN = sa.select(pedidos.c.fase).where(OPEN).order_by(pedidos.c.id).limit(sa.bindparam("most")).subquery("abiertos")
_OPEN_BY_PHASE = sa.select(_OPEN.c.fase, sa.func.count()).group_by(_OPEN.c.fase)
_IN_STATE: Mapping[Estado, sa.TextClause] = {
    Estado.PENDIENTE: OPEN,
    Estado.CANCELADO: CANCELLED,
    Estado.COMPLETADO: COMPLETED,
}


@dataclass(frozen=True, slots=True)
class Leased:
    """An order that no other recovery works on until its lease ends; `lease` fences off whoever had it before."""

    pedido: Pedido
    lease: int
    attempts: int


@dataclass(frozen=True, slots=True)
class Transition:
    """The next state of an order, to be written if it is still in the one before.

    Args:
        lease: of the caller, when it works under one; it must still be the order's.
        next_attempt_at: when recovery should look at the order, in case nobody moves it on.
    """

    antes: Pedido
    despues: Pedido
    causa: str
    next_attempt_at: datetime
    lease: int | None = None
    settled: tuple[Key, Answer] | None = None
    """The answer that is bound to a key with it."""
    apunte: Entry | None = None
    """The line about it in the audit log."""


class Repository:
    def __init__(self, database: Database, keys: Keys) -> None:
        self._database = database
        insert = BulkInsert(database, pedidos, _INSERTED)
        move = BulkUpdate(database, pedidos, ["id"], _MOVED)
        record = BulkInsert(database, historial, _RECORDED)
        self._read = Statement(database, _READ, _COLUMNS)
        self._lock = BulkRead(database, pedidos, ["id"], ["id", "fase", "version", "lease"], lock=True)
        self._insert = BulkTogether(database, insert, record)
        self._move = BulkTogether(database, move, record, keys.settling)

    async def insertar(self, connection: AsyncConnection, altas: Sequence[tuple[Pedido, datetime]]) -> None:
        """Writes new orders, each with the time at which recovery should look at it."""
        own = {"attempts": 0, "lease": 0}
        rows = [_values(pedido) | {"next_attempt_at": when} | own for pedido, when in altas]
        await self._insert.execute(connection, rows, [_line(None, pedido, RECIBIDO) for pedido, _ in altas])

    async def mover(self, connection: AsyncConnection, transitions: Sequence[Transition]) -> list[bool]:
        """Compare-and-set of transitions, in that order, each with its line of history.

        Locks the orders first and the keys then, as everybody does who locks both.

        Returns:
            For each whether it was written: the order, and the lease if it names one, was as the caller saw it.
        """
        ids = sorted({transition.antes.id for transition in transitions})
        rows = await self._lock.execute(connection, [{"id": pedido_id} for pedido_id in ids])
        present = {row["id"]: (row["fase"], row["version"], row["lease"]) for row in rows}
        written: list[Transition] = []
        outcomes: list[bool] = []
        for transition in transitions:
            antes, despues = transition.antes, transition.despues
            fase, version, lease = present.get(antes.id, (None, None, None))
            wins = (fase, version) == (antes.fase.value, antes.version) and transition.lease in (None, lease)
            if wins:
                present[antes.id] = (despues.fase.value, despues.version, lease)
                written.append(transition)
            outcomes.append(wins)
        last = {transition.despues.id: transition for transition in written}  # of two that follow each other
        await self._move.execute(
            connection,
            [_change(transition) for transition in last.values()],
            [_line(t.antes.fase, t.despues, t.causa) for t in written],
            [settled(*t.settled) for t in written if t.settled],
        )
        return outcomes

    async def insertar_perdido(self, connection: AsyncConnection, pedido: Pedido, cuando: datetime, causa: str) -> bool:
        """Writes an order that was lost; False: somebody else has done so."""
        claimed = self._database.insert(pedidos).values(_values(pedido) | {"next_attempt_at": cuando})
        result = await connection.execute(claimed.on_conflict_do_nothing().returning(pedidos.c.id))
        written = result.scalar_one_or_none() is not None
        if written:
            await connection.execute(sa.insert(historial).values(_line(None, pedido, causa)))
        return written

    async def reprogramar(
        self,
        connection: AsyncConnection,
        pedido: Pedido,
        next_attempt_at: datetime,
        *,
        lease: int | None = None,
        attempts: int = 0,
    ) -> bool:
        """Says when to look at the order next; not (False) if it, or the lease, has changed meanwhile."""
        values = {
            "seen_id": pedido.id,
            "seen_fase": pedido.fase.value,
            "seen_version": pedido.version,
            "next_attempt_at": next_attempt_at,
            "attempts": attempts,
            "leased_until": None,
        }
        if lease is None:
            result = await connection.execute(_POSTPONE, values)
        else:
            result = await connection.execute(_POSTPONE_UNDER_LEASE, values | {"seen_lease": lease})
        return result.rowcount == 1

    async def leer(self, connection: AsyncConnection, pedido_id: UUID) -> Pedido | None:
        found = await self._read.execute(connection, {"pedido_id": pedido_id})
        return _pedido(found[0]) if found else None

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
        return [
            Transicion(row.en, Fase(row.de) if row.de else None, Fase(row.a), row.causa)
            for row in await connection.execute(_HISTORY, {"pedido_id": pedido_id})
        ]

    async def pendientes(self, connection: AsyncConnection, cliente_ids: Collection[str]) -> dict[str, tuple[int, int]]:
        """How many pending orders each of the clients has, and how many units are in them.

        Until the end of the transaction their other new orders wait.
        """
        clients = sorted(cliente_ids)
        if self._database.dialect == "postgresql":
            await connection.execute(_LOCK_CLIENTS, {"clients": clients})
        found = dict.fromkeys(clients, (0, 0))
        for cliente_id, orders, units in await connection.execute(_OPEN_OF_CLIENTS, {"clients": padded(clients)}):
            found[cliente_id] = orders, int(units)
        return found

    async def fases(self, connection: AsyncConnection, most: int) -> dict[Fase, int]:
        """How many orders are in each phase that is not final, of at most so many, the oldest."""
        found = {Fase(fase): number for fase, number in await connection.execute(_OPEN_BY_PHASE, {"most": most})}
        return {fase: found.get(fase, 0) for fase in ABIERTAS}

    async def arrendar(
        self, connection: AsyncConnection, ahora: datetime, hasta: datetime, limite: int
    ) -> list[Leased]:
        """Leases the orders that are due, skipping what others are leasing at this moment."""
        rows = (await connection.execute(_LEASE, {"now": ahora, "until": hasta, "most": limite})).mappings()
        return [Leased(_pedido(row), row["lease"], row["attempts"]) for row in rows]


def _change(transition: Transition) -> dict[str, Any]:
    despues = transition.despues
    return {
        "id": despues.id,
        "fase": despues.fase.value,
        "version": despues.version,
        "motivo": despues.motivo,
        "reserva_expira_en": despues.reserva_expira_en,
        "actualizado_en": despues.actualizado_en,
        "next_attempt_at": transition.next_attempt_at,
        "attempts": 0,
        "leased_until": None,
    }


def _line(de: Fase | None, pedido: Pedido, causa: str) -> dict[str, Any]:
    return {
        "pedido_id": pedido.id,
        "version": pedido.version,
        "en": pedido.actualizado_en,
        "de": de.value if de else None,
        "a": pedido.fase.value,
        "causa": causa,
    }


def _values(pedido: Pedido) -> dict[str, Any]:
    values = {name: getattr(pedido, name) for name in Pedido.__slots__}
    values["fase"] = pedido.fase.value
    values["unidades"] = pedido.unidades
    values["lineas"] = [
        {name: getattr(linea, name) for name in Linea.__slots__} | {"producto_id": str(linea.producto_id)}
        for linea in pedido.lineas
    ]
    return values


def _pedido(row: Row | sa.RowMapping) -> Pedido:
    lineas: Sequence[Mapping[str, Any]] = row["lineas"]
    values = {column.key: row[column.key] for column in _COLUMNS}
    values["fase"] = Fase(row["fase"])
    values["lineas"] = tuple(Linea(**{**linea, "producto_id": UUID(linea["producto_id"])}) for linea in lineas)
    return Pedido(**values)
