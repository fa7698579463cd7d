"""New orders: recorded with their keys, several in one transaction, and never more than a client may have pending."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from comanda.common import tracing
from comanda.common.batch import Batch
from comanda.common.clock import Clock
from comanda.common.database import Database
from comanda.common.idempotency import Claim, Key, Keys
from comanda.common.problems import Problem
from comanda.pedidos.domain import DemasiadosPendientes, Pedido
from comanda.pedidos.repository import Repository
from comanda.pedidos.saga import Saga


@dataclass(frozen=True, slots=True)
class Alta:
    """A new order, and the key of its request, which holds it until that moment."""

    pedido: Pedido
    key: Key | None
    until: datetime


class Altas:
    """Args: max_open_orders, max_open_units: what one client may have pending; 0: as much as it likes."""

    def __init__(
        self,
        database: Database,
        repository: Repository,
        keys: Keys,
        saga: Saga,
        clock: Clock,
        *,
        max_open_orders: int,
        max_open_units: int,
        group_commit: int,
    ) -> None:
        self._database = database
        self._repository = repository
        self._keys = keys
        self._saga = saga
        self._clock = clock
        self._max_open_orders = max_open_orders
        self._max_open_units = max_open_units
        self._altas = Batch("altas", self._record, most=group_commit)
        self.queue = self._altas.queue

    async def record(self, pedido: Pedido, key: Key | None, until: datetime) -> bool:
        """Commits a new order with its key, which its request holds until that moment. False: the key is taken.

        Raises:
            DemasiadosPendientes.
        """
        recorded = await self._altas.submit(Alta(pedido, key, until))
        if recorded:
            tracing.began("pedido", pedido.id)
        return recorded

    async def _record(self, altas: Sequence[Alta]) -> list[bool | Problem]:
        """One transaction. For each order: whether it was recorded, or the refusal."""
        async with self._database.transaction() as connection:
            claims = [Claim(alta.key, alta.pedido.id, alta.until) for alta in altas if alta.key]
            stored = await self._keys.claim_all(connection, claims, now=self._clock.now())
            claimed = {claim.resource_id for claim in stored}
            ours = [alta for alta in altas if alta.key is None or alta.pedido.id in claimed]
            refused = await self._over_the_caps(connection, [alta.pedido for alta in ours])
            placed = [alta.pedido for alta in ours if alta.pedido.id not in refused]
            await self._keys.forget(connection, [alta.key for alta in ours if alta.key and alta.pedido.id in refused])
            await self._repository.insertar(connection, [(p, self._saga.next_attempt_at(p)) for p in placed])
        recorded = {pedido.id for pedido in placed}
        return [refused.get(alta.pedido.id) or alta.pedido.id in recorded for alta in altas]

    async def _over_the_caps(self, connection: AsyncConnection, pedidos: Sequence[Pedido]) -> dict[UUID, Problem]:
        """The refusals of orders with which their clients would have too much pending."""
        if not pedidos or not (self._max_open_orders or self._max_open_units):
            return {}
        pending = await self._repository.pendientes(connection, {pedido.cliente_id for pedido in pedidos})
        refused: dict[UUID, Problem] = {}
        for pedido in pedidos:
            orders, units = pending[pedido.cliente_id]
            orders, units = orders + 1, units + pedido.unidades
            if 0 < self._max_open_orders < orders or 0 < self._max_open_units < units:
                refused[pedido.id] = DemasiadosPendientes(headers={"Retry-After": "60"})
            else:
                pending[pedido.cliente_id] = orders, units
        return refused
