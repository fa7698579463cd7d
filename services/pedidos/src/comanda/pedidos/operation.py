"""What pedidos adds to `GET /operacion`: the open orders by phase, and how many are placed."""

import asyncio
from collections.abc import Mapping
from typing import Any

from prometheus_client.core import GaugeMetricFamily, Metric
from pydantic import BaseModel, Field
from sqlalchemy.exc import DBAPIError

from comanda.common.clock import Clock
from comanda.common.database import Database, DatabaseUnavailable
from comanda.common.operation import More, Operacion
from comanda.common.window import Figures, Key
from comanda.pedidos.domain import Fase
from comanda.pedidos.repository import Repository

KEPT_SECONDS = 2.0
"""How long a count is shown, whoever asks: no crowd of pages makes the database count more often."""

MOST_COUNTED = 20_000
"""Open orders beyond these are not counted, so that a count never takes longer."""

PATIENCE_SECONDS = 3.0
"""Who has waited so long for a count is answered without: the rest is worth most when the database is slow."""

ALTA = ("POST", "/pedidos")


class Fases(BaseModel):
    SOLICITADO: int
    RESERVADO: int
    COMPLETANDO: int
    CANCELANDO: int


class OperacionDePedidos(Operacion):
    fases: Fases | None = Field(
        description=f"open orders, counted up to {MOST_COUNTED}; null: the database did not say in time"
    )
    pedidos_por_segundo: float = Field(description="`POST /pedidos` that were answered below 400")


class FasesAbiertas:
    """Counts the open orders by phase, once for all who ask within `KEPT_SECONDS`."""

    def __init__(self, database: Database, repository: Repository, clock: Clock) -> None:
        self._database = database
        self._repository = repository
        self._clock = clock
        self._counting: asyncio.Task[Mapping[Fase, int] | None] | None = None
        self._until = 0.0

    async def leer(self) -> Mapping[Fase, int] | None:
        """None: the database is away, or takes too long."""
        counting = self._counting
        if counting is None or (counting.done() and self._clock.monotonic() >= self._until):
            counting = self._counting = asyncio.create_task(self._count())
        done, _ = await asyncio.wait([counting], timeout=PATIENCE_SECONDS)
        return counting.result() if done else None

    async def _count(self) -> Mapping[Fase, int] | None:
        try:
            async with self._database.read() as connection:
                return await self._repository.fases(connection, MOST_COUNTED)
        except (DatabaseUnavailable, DBAPIError):  # away, or without its schema yet
            return None
        finally:
            self._until = self._clock.monotonic() + KEPT_SECONDS


def of_orders(fases: FasesAbiertas) -> More:
    async def gather(routes: Mapping[Key, Figures]) -> Mapping[str, Any]:
        placed = routes.get(ALTA)
        return {"fases": await fases.leer(), "pedidos_por_segundo": placed.done_per_second if placed else 0.0}

    async def measure() -> list[Metric]:
        open_orders = GaugeMetricFamily(
            "comanda_pedidos_abiertos", f"Orders that are not final, counted up to {MOST_COUNTED}.", labels=["fase"]
        )
        for fase, number in (await fases.leer() or {}).items():
            open_orders.add_metric([fase], number)
        return [open_orders]

    return More(OperacionDePedidos, gather, measure)
