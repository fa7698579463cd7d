"""Deliberate faults in pedidos."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from comanda.common.conditional import Precondition
from comanda.common.idempotency import Answer, Key, Keys
from comanda.common.problems import ServicioNoDisponible
from comanda.pedidos.clients import InventarioHttp
from comanda.pedidos.domain import ABANDONADO, EXPIRADO, Cerrada, Fase, Insuficientes, Pedido, Reservada
from comanda.pedidos.recovery import NO_VERDICT, Recovery
from comanda.pedidos.repository import Leased, Repository
from comanda.pedidos.saga import SAGA, Saga
from comanda.pedidos.service import Pedidos, Render
from comanda.pedidos.tables import pedidos
from simulation.mutation import Mutations

MUTATIONS = Mutations()

_completar, _reservar, _move_on = Pedidos.completar, InventarioHttp.reservar, Recovery._move_on


@MUTATIONS.of(Pedidos, "completar")
async def intent_after_the_call(self: Pedidos, pedido_id: UUID, precondition: Precondition) -> Pedido:
    """inventario is asked to confirm before the intent is committed."""
    pedido = await self.consultar(pedido_id, None)
    if pedido.fase is Fase.RESERVADO:
        with suppress(*NO_VERDICT):
            await self._saga._inventario.confirmar(pedido)
    return await _completar(self, pedido_id, precondition)


@MUTATIONS.of(Repository, "_write")
async def transition_without_compare(
    self: Repository, connection: AsyncConnection, seen: Pedido, lease: int | None, **values: Any
) -> bool:
    """Whoever comes last writes what he has made of the order that he read; no version, no lease stops him."""
    await connection.execute(sa.update(pedidos).where(pedidos.c.id == seen.id), values)
    return True


@MUTATIONS.of(Pedidos, "_record")
async def key_in_its_own_transaction(self: Pedidos, pedido: Pedido, key: Key | None, until: datetime) -> bool:
    """A crash between the two leaves an order that no key knows of."""
    async with self._database.transaction() as connection:
        if key and await self._keys.find(connection, key):
            return False
        await self._repository.insertar(connection, pedido, "pedido recibido", self._saga.next_attempt_at(pedido))
    async with self._database.transaction() as connection:
        now = self._clock.now()
        return not key or await self._keys.claim(connection, key, now=now, resource_id=pedido.id, until=until)


@MUTATIONS.of(Pedidos, "_record")
async def order_after_its_key(self: Pedidos, pedido: Pedido, key: Key | None, until: datetime) -> bool:
    """A crash between the two leaves a key that answers nothing for ever."""
    async with self._database.transaction() as connection:
        now = self._clock.now()
        if key and not await self._keys.claim(connection, key, now=now, resource_id=pedido.id, until=until):
            return False
    async with self._database.transaction() as connection:
        await self._repository.insertar(connection, pedido, "pedido recibido", self._saga.next_attempt_at(pedido))
    return True


@MUTATIONS.of(Keys, "settle")
async def answer_not_stored(self: Keys, connection: AsyncConnection, key: Key, answer: Answer) -> None:
    """A repeated request is answered from the order as it is by then."""


@MUTATIONS.of(Pedidos, "_from_row")
async def lost_cas_answered_201(self: Pedidos, pedido: Pedido, key: Key | None, render: Render) -> tuple[Answer, bool]:
    """A request that lost to recovery says that the order stands."""
    return render.placed(pedido), False


@MUTATIONS.of(Saga, "advance")
async def verdict_without_transition(self: Saga, pedido: Pedido, *, lease: Any = None, also: Any = None) -> Any:
    """The verdict is believed although somebody else has moved the order on."""
    step = SAGA[pedido.fase]
    veredicto = await step.call(self._inventario, pedido)
    despues, causa = step.becomes(pedido, veredicto, self._clock.now())
    async with self._database.transaction() as connection:
        when = self.next_attempt_at(despues)
        if await self._repository.guardar(connection, pedido, despues, causa, when, lease) and also is not None:
            await also(connection, despues, veredicto)
    return despues, veredicto


@MUTATIONS.of(InventarioHttp, "reservar")
async def silence_taken_for_refusal(self: InventarioHttp, pedido: Pedido) -> Reservada | Insuficientes | Cerrada:
    try:
        return await _reservar(self, pedido)
    except ServicioNoDisponible:
        return Cerrada("LIBERADA")


@MUTATIONS.of(Recovery, "_ask_about")
async def expiry_by_the_clock_of_pedidos(self: Recovery, items: Sequence[Leased]) -> None:
    for item in items:
        pedido = item.pedido.rechazado(EXPIRADO, self._clock.now())
        await self._saga.intend(item.pedido, pedido, EXPIRADO, lease=item.lease)


@MUTATIONS.of(Recovery, "_move_on")
async def abandoned_without_liberar(self: Recovery, item: Leased) -> None:
    if item.pedido.fase is not Fase.SOLICITADO:
        await _move_on(self, item)
        return
    pedido = item.pedido.rechazado(ABANDONADO, self._clock.now())
    await self._saga.intend(item.pedido, pedido, ABANDONADO, lease=item.lease)


@MUTATIONS.of(Recovery, "_move_on")
async def cancelled_before_liberar(self: Recovery, item: Leased) -> None:
    """The order is closed first and its stock given back afterwards, if nothing happens in between."""
    pedido = item.pedido
    if pedido.fase is not Fase.CANCELANDO:
        await _move_on(self, item)
        return
    await self._saga.intend(pedido, pedido.cancelado(self._clock.now()), "liberar", lease=item.lease)
    with suppress(*NO_VERDICT):
        await self._inventario.liberar(pedido)


@MUTATIONS.of(Recovery, "_postpone")
async def recovery_gives_up(self: Recovery, item: Leased, pedido: Pedido, fault: Exception | None) -> None:
    """An order that could not be moved on is not looked at again before tomorrow."""
    async with self._database.transaction() as connection:
        tomorrow = self._clock.now() + timedelta(days=1)
        await self._repository.reprogramar(connection, pedido, tomorrow, lease=item.lease, attempts=1)


@MUTATIONS.of(Pedido, "cancelar")
def cancelar_while_completing(self: Pedido, motivo: str, ahora: datetime) -> Pedido:
    desde = {Fase.SOLICITADO, Fase.RESERVADO, Fase.COMPLETANDO}
    return self._pasar(Fase.CANCELANDO, ahora, desde=desde, motivo=motivo)
