"""What moves orders on when nobody else does: the client is gone, the process died, inventario was away.

Every open order has a time at which it should be looked at (`Saga.next_attempt_at`). Recovery leases those that are
due, so that several replicas share the work and a dead one's work is taken over, and treats each by its phase:

    SOLICITADO               nobody resumed it: cancel it, motivo `abandonado`
    COMPLETANDO, CANCELANDO  make its call again
    RESERVADO                its time is over: ask inventario, who alone may call it EXPIRADA
"""

import asyncio
import logging
from collections.abc import Sequence
from datetime import timedelta

import structlog
from prometheus_client import Counter

from comanda.common import tracing
from comanda.common.clock import Clock
from comanda.common.database import Database, DatabaseUnavailable
from comanda.common.problems import RespuestaInvalida, ServicioNoDisponible, ServicioSaturado
from comanda.common.telemetry import ROUNDS
from comanda.pedidos.domain import ABANDONADO, EXPIRADO, RESERVAS_CERRADAS, Cerrada, Fase, Inventario, Pedido
from comanda.pedidos.repository import Leased, Repository
from comanda.pedidos.saga import Saga

BATCH = 50
"""Orders leased at once, and worked on concurrently: two rounds of tries at most, one to ask about reservations and one
to act on the answer. A lease that ends before that is no harm: whoever is late finds that the order has moved on."""

NO_VERDICT = (ServicioNoDisponible, RespuestaInvalida, DatabaseUnavailable, ServicioSaturado)

RECOVERED = Counter("comanda_recuperacion", "Orders that recovery worked on, by what came of it.", ["resultado"])

log = structlog.get_logger()


class Recovery:
    def __init__(
        self,
        database: Database,
        repository: Repository,
        saga: Saga,
        inventario: Inventario,
        clock: Clock,
        *,
        lease_seconds: float,
        pause_seconds: float,
        backoff_seconds: float,
    ) -> None:
        self._database = database
        self._repository = repository
        self._saga = saga
        self._inventario = inventario
        self._clock = clock
        self._lease = timedelta(seconds=lease_seconds)
        self._pause_seconds = pause_seconds
        self._backoff_seconds = backoff_seconds
        ROUNDS.labels("recuperacion").set(clock.now().timestamp())  # one that never gets through is noticed, too

    async def run(self) -> None:
        """Looks for orders that are due, for ever."""
        while True:
            while await self.tick() == BATCH:
                pass
            ROUNDS.labels("recuperacion").set(self._clock.now().timestamp())
            await self._clock.sleep(self._pause_seconds)

    async def tick(self) -> int:
        """Works on one batch of due orders; returns how many there were."""
        ahora = self._clock.now()
        async with self._database.transaction() as connection:
            leased = await self._repository.arrendar(connection, ahora, ahora + self._lease, BATCH)
        waiting = [item for item in leased if item.pedido.fase is Fase.RESERVADO]
        moving = [item for item in leased if item.pedido.fase is not Fase.RESERVADO]
        async with asyncio.TaskGroup() as group:
            if waiting:
                group.create_task(self._ask_about(waiting))
            for item in moving:
                group.create_task(self._move_on(item))
        return len(leased)

    async def _move_on(self, item: Leased, motivo: str = ABANDONADO) -> None:
        with tracing.step("recuperar", "pedido", [item.pedido.id]):
            await self._work_on(item, motivo)

    async def _work_on(self, item: Leased, motivo: str) -> None:
        """Makes the call of an order in motion; one that stands still is cancelled first, for that reason."""
        pedido = item.pedido
        try:
            if pedido.fase in (Fase.SOLICITADO, Fase.RESERVADO):
                intent = pedido.cancelar(motivo, self._clock.now())
                pedido = await self._saga.intend(pedido, intent, motivo, lease=item.lease)
                if pedido is not intent:
                    return  # somebody was faster, and sees to it
            pedido, _ = await self._saga.advance(pedido, lease=item.lease)
            RECOVERED.labels("recuperado").inc()
            log.info("pedido_recuperado", pedido_id=str(pedido.id), fase=pedido.fase)
        except Exception as fault:  # whatever it is, it must not stop the orders that are worked on beside this one
            await self._postpone(item, pedido, fault)

    async def _ask_about(self, items: Sequence[Leased]) -> None:
        """Asks inventario, in one call, about reservations whose time is over by our clock."""
        ids = [item.pedido.id for item in items]
        try:
            with tracing.step("preguntar", "pedido", ids):
                estados = await self._inventario.estados(ids)
        except Exception as fault:
            for item in items:
                await self._postpone(item, item.pedido, fault)
            return
        async with asyncio.TaskGroup() as group:
            for item in items:
                group.create_task(self._judge(item, estados.get(item.pedido.id)))

    async def _judge(self, item: Leased, estado: str | None) -> None:
        if estado is None:  # long forgotten there: release it, so that nothing can hold stock for it any more
            await self._move_on(item, EXPIRADO)
        elif estado in RESERVAS_CERRADAS:
            await self._close(item, Cerrada(estado).motivo)
        else:  # held: inventario's clock or sweeper is behind, or there is damage; or a state that we do not know
            await self._postpone(item, item.pedido, None)

    async def _close(self, item: Leased, motivo: str) -> None:
        """inventario holds nothing for the order any more."""
        pedido = item.pedido
        try:
            await self._saga.intend(pedido, pedido.rechazado(motivo, self._clock.now()), motivo, lease=item.lease)
        except Exception as fault:
            await self._postpone(item, pedido, fault)

    async def _postpone(self, item: Leased, pedido: Pedido, fault: Exception | None) -> None:
        """Backs off exponentially. If even that cannot be written, the lease runs out by itself."""
        attempts = item.attempts + 1
        wait = timedelta(seconds=min(self._backoff_seconds, 2.0 ** min(attempts, 16)))
        RECOVERED.labels("aplazado").inc()
        expected = fault is None or isinstance(fault, NO_VERDICT)
        log.log(
            logging.WARNING if expected else logging.ERROR,
            "pedido_aplazado",
            pedido_id=str(pedido.id),
            fase=pedido.fase,
            intentos=attempts,
            reason=str(fault),
            exc_info=None if expected else fault,
        )
        try:
            async with self._database.transaction() as connection:
                await self._repository.reprogramar(
                    connection, pedido, self._clock.now() + wait, lease=item.lease, attempts=attempts
                )
        except DatabaseUnavailable:
            log.warning("pedido_no_aplazado", pedido_id=str(pedido.id))
