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

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from prometheus_client import Counter

from comanda.common import tracing
from comanda.common.audit import Audit, Entry
from comanda.common.batch import Batch
from comanda.common.clock import Clock
from comanda.common.database import Database
from comanda.common.idempotency import Answer, Key
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
from comanda.pedidos.repository import Repository, Transition
from comanda.pedidos.tables import auditoria

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


MOVES = Counter("comanda_saga_transiciones", "Transitions of orders that were written.", ["de", "a"])
_moved = cache(MOVES.labels)

AnswerTo = Callable[[Pedido, Any], tuple[Key, Answer] | None]
"""The answer that a verdict binds to the key of the request which waits for it; None: it has no key."""


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
        group_commit: int,
    ) -> None:
        self._database = database
        self._repository = repository
        self._inventario = inventario
        self._clock = clock
        self._abandon = timedelta(seconds=abandon_seconds)
        self._grace = timedelta(seconds=grace_seconds)
        self._audit = Audit(auditoria, database, clock)
        self._moves = Batch("transiciones", self._commit, most=group_commit, has_deadlines=False)
        self.queue = self._moves.queue

    def next_attempt_at(self, pedido: Pedido) -> datetime:
        """When recovery should look at an order that has just reached its phase, in case nobody moves it on."""
        if pedido.fase is Fase.RESERVADO and pedido.reserva_expira_en is not None:
            return pedido.reserva_expira_en + EXPIRY_MARGIN
        wait = self._abandon if pedido.fase is Fase.SOLICITADO else self._grace
        return self._clock.now() + wait

    async def intend(self, antes: Pedido, despues: Pedido, causa: str, *, lease: int | None = None) -> Pedido:
        """Commits an intent. Returns the order as it now is, which is another when somebody was faster."""
        apunte = self._audit.entry(f"pedido_{despues.fase.value.lower()}", antes.id, causa=causa)
        moved = await self._move(antes, despues, causa, lease, apunte=apunte if apunte.autor else None)
        return despues if moved else await self._present(antes)

    async def advance(
        self, pedido: Pedido, *, lease: int | None = None, answer: AnswerTo | None = None
    ) -> tuple[Pedido, Veredicto | None]:
        """Makes the call of the order's phase and commits what the verdict makes of it.

        Args:
            lease: the caller's lease, when it works under one.
            answer: what to bind to the caller's key, if the transition is written.

        Returns:
            The order as it now is, and the verdict; None in its place when somebody was faster.

        Raises:
            ServicioNoDisponible, RespuestaInvalida: nothing is known; the phase stays.
        """
        step = SAGA[pedido.fase]
        with tracing.step("saga", "pedido", [pedido.id], fase=pedido.fase):
            veredicto = await step.call(self._inventario, pedido)
            despues, causa = step.becomes(pedido, veredicto, self._clock.now())
            settled = answer(despues, veredicto) if answer is not None else None
            if await self._move(pedido, despues, causa, lease, settled):
                return despues, veredicto
            return await self._present(pedido), None

    async def hasten(self, pedido: Pedido) -> None:
        """Has recovery look at the order at once: its request could not move it on."""
        async with self._database.transaction() as connection:
            await self._repository.reprogramar(connection, pedido, self._clock.now())

    async def _move(
        self,
        antes: Pedido,
        despues: Pedido,
        causa: str,
        lease: int | None,
        settled: tuple[Key, Answer] | None = None,
        apunte: Entry | None = None,
    ) -> bool:
        transition = Transition(antes, despues, causa, self.next_attempt_at(despues), lease, settled, apunte)
        return await self._moves.submit(transition)

    async def _commit(self, transitions: Sequence[Transition]) -> list[bool]:
        async with self._database.transaction() as connection:
            moved = await self._repository.mover(connection, transitions)
            apuntes = [t.apunte for t, ours in zip(transitions, moved, strict=True) if ours and t.apunte]
            await self._audit.record(connection, *apuntes)
        for transition, ours in zip(transitions, moved, strict=True):
            if ours:
                _moved(transition.antes.fase, transition.despues.fase).inc()
        return moved

    async def _present(self, pedido: Pedido) -> Pedido:
        async with self._database.read() as connection:
            row = await self._repository.leer(connection, pedido.id)
        return row or pedido  # orders are never removed
