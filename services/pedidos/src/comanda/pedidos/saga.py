"""The saga of an order: which call moves each phase on, and what each verdict makes of the order.

    phase         call                    verdict         becomes
    SOLICITADO    PUT  /reservas/{id}     Reservada       RESERVADO
                                          Insuficientes   CANCELADO
                                          Cerrada         CANCELADO
    RESERVADO     –                       the client decides, or inventario calls it EXPIRADA
    COMPLETANDO   POST …/confirmar        Confirmada      COMPLETADO
                                          Cerrada         CANCELADO
    CANCELANDO    POST …/liberar          Liberada        CANCELADO

The phase is committed before its call is made. A call is idempotent by the order's id, so anybody may make it again;
an answer that gives no verdict leaves the phase as it is.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from comanda.common.clock import Clock
from comanda.common.database import Database
from comanda.pedidos.domain import (
    INSUFICIENTES,
    Cerrada,
    Confirmada,
    Fase,
    Insuficientes,
    Inventario,
    Liberada,
    Pedido,
    Reservada,
    Veredicto,
)
from comanda.pedidos.repository import Repository

EXPIRY_MARGIN = timedelta(seconds=1)
"""How long after a reservation's end it is asked about: inventario's sweeper needs a moment, and clocks differ."""

Becomes = Callable[[Pedido, Any, datetime], Pedido]


@dataclass(frozen=True, slots=True)
class Step:
    """What moves an order out of a phase."""

    call: Callable[[Inventario, Pedido], Awaitable[Veredicto]]
    verdicts: Mapping[type, tuple[Becomes, str]]
    """For each verdict, the transition and its cause for the history."""

    def becomes(self, pedido: Pedido, veredicto: Veredicto, ahora: datetime) -> tuple[Pedido, str]:
        transition, causa = self.verdicts[type(veredicto)]
        return transition(pedido, veredicto, ahora), causa


SAGA: Mapping[Fase, Step] = {
    Fase.SOLICITADO: Step(
        call=lambda inventario, pedido: inventario.reservar(pedido),
        verdicts={
            Reservada: (lambda p, v, ahora: p.reservado(v.expira_en, ahora), "existencias reservadas"),
            Insuficientes: (lambda p, _, ahora: p.rechazado(INSUFICIENTES, ahora), INSUFICIENTES),
            Cerrada: (lambda p, v, ahora: p.rechazado(v.motivo, ahora), "inventario cerró la reserva"),
        },
    ),
    Fase.COMPLETANDO: Step(
        call=lambda inventario, pedido: inventario.confirmar(pedido),
        verdicts={
            Confirmada: (lambda p, _, ahora: p.completado(ahora), "reserva confirmada"),
            Cerrada: (lambda p, v, ahora: p.rechazado(v.motivo, ahora), "inventario cerró la reserva"),
        },
    ),
    Fase.CANCELANDO: Step(
        call=lambda inventario, pedido: inventario.liberar(pedido),
        verdicts={Liberada: (lambda p, _, ahora: p.cancelado(ahora), "reserva liberada")},
    ),
}


Also = Callable[[AsyncConnection, Pedido, Veredicto], Awaitable[None]]


class Saga:
    """Moves orders along `SAGA`: intents by `intend`, calls by `advance`, both by compare-and-set."""

    def __init__(
        self,
        database: Database,
        repository: Repository,
        inventario: Inventario,
        clock: Clock,
        *,
        abandon_seconds: float,
        grace_seconds: float,
    ) -> None:
        self._database = database
        self._repository = repository
        self._inventario = inventario
        self._clock = clock
        self._abandon = timedelta(seconds=abandon_seconds)
        self._grace = timedelta(seconds=grace_seconds)

    def next_attempt_at(self, pedido: Pedido) -> datetime:
        """When recovery should look at an order that has just reached its phase, in case nobody moves it on."""
        if pedido.fase is Fase.RESERVADO and pedido.reserva_expira_en is not None:
            return pedido.reserva_expira_en + EXPIRY_MARGIN
        wait = self._abandon if pedido.fase is Fase.SOLICITADO else self._grace
        return self._clock.now() + wait

    async def intend(self, antes: Pedido, despues: Pedido, causa: str, *, lease: int | None = None) -> Pedido:
        """Commits an intent. Returns the order as it now is, which is another when somebody was faster."""
        async with self._database.transaction() as connection:
            when = self.next_attempt_at(despues)
            if await self._repository.guardar(connection, antes, despues, causa, when, lease):
                return despues
            return await self._present(connection, antes)

    async def advance(
        self, pedido: Pedido, *, lease: int | None = None, also: Also | None = None
    ) -> tuple[Pedido, Veredicto | None]:
        """Makes the call of the order's phase and commits what the verdict makes of it.

        Args:
            lease: the caller's lease, when it works under one.
            also: written in the same transaction, if the transition is.

        Returns:
            The order as it now is, and the verdict; None in its place when somebody was faster.

        Raises:
            ServicioNoDisponible, RespuestaInvalida: nothing is known; the phase stays.
        """
        step = SAGA[pedido.fase]
        veredicto = await step.call(self._inventario, pedido)
        despues, causa = step.becomes(pedido, veredicto, self._clock.now())
        async with self._database.transaction() as connection:
            when = self.next_attempt_at(despues)
            if not await self._repository.guardar(connection, pedido, despues, causa, when, lease):
                return await self._present(connection, pedido), None
            if also is not None:
                await also(connection, despues, veredicto)
            return despues, veredicto

    async def hasten(self, pedido: Pedido) -> None:
        """Has recovery look at the order at once: its request could not move it on."""
        async with self._database.transaction() as connection:
            await self._repository.reprogramar(connection, pedido, self._clock.now())

    async def _present(self, connection: AsyncConnection, pedido: Pedido) -> Pedido:
        row = await self._repository.leer(connection, pedido.id)
        return row or pedido  # orders are never removed
