"""The SQL of events: transitions get their numbers, and are read by them (ADR 0028)."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from comanda.common.database import Database
from comanda.common.statements import Statement
from comanda.pedidos.domain import Fase
from comanda.pedidos.domain_eventos import Evento
from comanda.pedidos.tables import NUMBERED, UNNUMBERED, historial, pedidos

BATCH = 500
"""Transitions numbered in one transaction, so that on SQLite nobody waits for long."""

LOCK = "comanda.pedidos.eventos"

_numbered = historial.alias("numerados")
_LAST = sa.select(sa.func.coalesce(sa.func.max(_numbered.c.numero), 0)).where(NUMBERED).scalar_subquery()
_waiting = historial.alias("esperan")
_IN_ORDER = [_waiting.c.pedido_id, _waiting.c.version]  # whatever the clocks of the replicas say
_NEW = (
    sa.select(*_IN_ORDER, pedidos.c.cliente_id, sa.func.row_number().over(order_by=_IN_ORDER).label("orden"))
    .join(pedidos, pedidos.c.id == _waiting.c.pedido_id)
    .where(UNNUMBERED)
    .order_by(*_IN_ORDER)
    .limit(sa.bindparam("most", type_=sa.Integer))
    .cte("nuevos")
)
_NUMBER = (
    sa.update(historial)
    .where(historial.c.pedido_id == _NEW.c.pedido_id, historial.c.version == _NEW.c.version)
    .values(numero=_LAST + _NEW.c.orden, cliente_id=_NEW.c.cliente_id)
    .returning(historial.c.numero)
)
_STATE_COLUMNS: list[sa.Column[Any]] = [sa.Column("hay_nuevos", sa.Boolean), sa.Column("ultimo", sa.BigInteger)]
_STATE = sa.select(
    sa.exists(sa.select(1).select_from(_waiting).where(UNNUMBERED)).label("hay_nuevos"), _LAST.label("ultimo")
)
_COLUMNS: list[sa.Column[Any]] = [
    *(historial.c[name] for name in ("numero", "pedido_id", "en", "de", "a", "causa")),
    *(pedidos.c[name] for name in ("cliente_id", "lineas", "moneda", "motivo", "reserva_expira_en")),
]
_EVENTS = (
    sa.select(*_COLUMNS)
    .join_from(historial, pedidos, pedidos.c.id == historial.c.pedido_id)
    .where(historial.c.numero > sa.bindparam("desde", type_=sa.BigInteger))
    .where(historial.c.numero <= sa.bindparam("hasta", type_=sa.BigInteger))
    .where(NUMBERED)  # what the indexes hold
    .order_by(historial.c.numero)
    .limit(sa.bindparam("most", type_=sa.Integer))
)
_EVENTS_OF_CLIENT = _EVENTS.where(historial.c.cliente_id == sa.bindparam("of", type_=sa.String))


class EventosRepository:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._state = Statement(database, _STATE, _STATE_COLUMNS)
        self._number = Statement(database, _NUMBER, [historial.c.numero])
        self._events = Statement(database, _EVENTS, _COLUMNS)
        self._events_of_client = Statement(database, _EVENTS_OF_CLIENT, _COLUMNS)

    async def estado(self, connection: AsyncConnection) -> tuple[bool, int]:
        """Whether there are transitions without a number, and the last number given; 0: none was."""
        [row] = await self._state.execute(connection, {})
        return row["hay_nuevos"], row["ultimo"]

    async def numerar(self, connection: AsyncConnection) -> int:
        """Numbers committed transitions, `BATCH` at most; returns how many.

        Those of one order in their order. 0 when somebody else is numbering at this moment.
        """
        if self._database.dialect == "postgresql":
            lock = sa.select(sa.func.pg_try_advisory_xact_lock(sa.func.hashtext(LOCK)))
            if not (await connection.execute(lock)).scalar_one():
                return 0
        # A statement of its own: it sees all that was numbered before the lock was given back.
        return len(await self._number.execute(connection, {"most": BATCH}))

    async def leer(
        self, connection: AsyncConnection, *, desde: int, hasta: int, cliente_id: str | None, limite: int
    ) -> list[Evento]:
        """The events after the number `desde`, up to `hasta`; of that client, or (None) of all."""
        parameters = {"desde": desde, "hasta": hasta, "most": limite}
        if cliente_id is None:
            rows = await self._events.execute(connection, parameters)
        else:
            rows = await self._events_of_client.execute(connection, parameters | {"of": cliente_id})
        return [_evento(row) for row in rows]


def _evento(row: Mapping[str, Any]) -> Evento:
    lineas: Sequence[Mapping[str, Any]] = row["lineas"]
    pedido_id: UUID = row["pedido_id"]
    return Evento(
        numero=row["numero"],
        pedido_id=pedido_id,
        cliente_id=row["cliente_id"],
        en=row["en"],
        de=Fase(row["de"]) if row["de"] else None,
        a=Fase(row["a"]),
        causa=row["causa"],
        total_centimos=sum(linea["precio_centimos"] * linea["cantidad"] for linea in lineas),
        moneda=row["moneda"],
        motivo_final=row["motivo"],
        reserva_expira_en_final=row["reserva_expira_en"],
    )
