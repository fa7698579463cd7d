"""Deliberate faults in pedidos."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from comanda.common import idempotency
from comanda.common.conditional import Precondition
from comanda.common.idempotency import Answer, Claim, Key, Keys
from comanda.common.problems import Problem, ServicioNoDisponible
from comanda.common.statements import Row
from comanda.pedidos.altas import Alta, Altas
from comanda.pedidos.clients import InventarioHttp, _closed
from comanda.pedidos.domain import (
    ABANDONADO,
    EXPIRADO,
    Cerrada,
    Confirmada,
    Fase,
    Insuficientes,
    Pedido,
    Reservada,
    TransicionInvalida,
)
from comanda.pedidos.recovery import NO_VERDICT, Recovery
from comanda.pedidos.repository import Leased, Repository, Transition
from comanda.pedidos.saga import Saga
from comanda.pedidos.service import Pedidos, Render
from simulation.mutation import Mutation, Mutations

MUTATIONS = Mutations()

_completar, _reservar, _move_on = Pedidos.completar, InventarioHttp.reservar, Recovery._move_on
_mover, _reprogramar, _move = Repository.mover, Repository.reprogramar, Saga._move
_record, _claim_all = idempotency._record, Keys.claim_all


@MUTATIONS.of(Pedidos, "completar", "4")
async def intent_after_the_call(self: Pedidos, pedido_id: UUID, precondition: Precondition) -> Pedido:
    """inventario is asked to confirm before the intent is committed."""
    pedido = await self.consultar(pedido_id, None)
    if pedido.fase is Fase.RESERVADO:
        with suppress(*NO_VERDICT):
            await self._saga._inventario.confirmar(pedido)
    return await _completar(self, pedido_id, precondition)


@MUTATIONS.of(Repository, "mover", "4", "5", "7", "9", "answer")
async def transition_without_compare(
    self: Repository, connection: AsyncConnection, transitions: Sequence[Transition]
) -> list[bool]:
    """Whoever comes last writes what he has made of the order that he read; no phase, no lease stops him."""
    outcomes: list[bool] = []
    for transition in transitions:
        present = await self.leer(connection, transition.antes.id)
        assert present is not None
        last = replace(transition.despues, version=present.version + 1)
        outcomes += await _mover(self, connection, [replace(transition, antes=present, despues=last, lease=None)])
    return outcomes


@MUTATIONS.of(Repository, "reprogramar", "fencing")
async def lease_without_fencing(
    self: Repository, connection: AsyncConnection, pedido: Pedido, when: datetime, *, attempts: int = 0, **_: Any
) -> bool:
    """A worker that was paused beyond its lease postpones the order, and ends the lease of who has it now."""
    return await _reprogramar(self, connection, pedido, when, attempts=attempts)


@MUTATIONS.of(Altas, "_record", "7")
async def key_in_its_own_transaction(self: Altas, altas: Sequence[Alta]) -> list[bool]:
    """A crash between the two leaves an order that no key knows of."""
    outcomes = []
    for alta in altas:
        async with self._database.transaction() as connection:
            if alta.key and await self._keys.find(connection, alta.key):
                outcomes.append(False)
                continue
            await self._repository.insertar(connection, [(alta.pedido, self._saga.next_attempt_at(alta.pedido))])
        outcomes.append(await _claimed(self, alta))
    return outcomes


@MUTATIONS.of(Altas, "_record", "7", "8")
async def order_after_its_key(self: Altas, altas: Sequence[Alta]) -> list[bool]:
    """A crash between the two leaves a key that answers nothing for ever."""
    outcomes = []
    for alta in altas:
        outcomes.append(await _claimed(self, alta))
        if outcomes[-1]:
            async with self._database.transaction() as connection:
                await self._repository.insertar(connection, [(alta.pedido, self._saga.next_attempt_at(alta.pedido))])
    return outcomes


async def _claimed(altas: Altas, alta: Alta) -> bool:
    if alta.key is None:
        return True
    async with altas._database.transaction() as connection:
        now = altas._clock.now()
        return await altas._keys.claim(connection, alta.key, now=now, resource_id=alta.pedido.id, until=alta.until)


@MUTATIONS.of(Keys, "claim_all", "7")
async def key_claimed_twice_in_a_batch(
    self: Keys, connection: AsyncConnection, claims: Sequence[Claim], *, now: datetime
) -> list[Claim]:
    """Two requests with one new key in one batch both count as the first."""
    stored = {claim.key.place for claim in await _claim_all(self, connection, claims, now=now)}
    return [claim for claim in claims if claim.key.place in stored]


@MUTATIONS.of(Repository, "mover", "7")
async def answer_not_stored(
    self: Repository, connection: AsyncConnection, transitions: Sequence[Transition]
) -> list[bool]:
    """A repeated request is answered from the order as it is by then."""
    return await _mover(self, connection, [replace(transition, settled=None) for transition in transitions])


@MUTATIONS.of(Pedidos, "_from_row", "9", "answer")
async def lost_cas_answered_201(self: Pedidos, pedido: Pedido, key: Key | None, render: Render) -> tuple[Answer, bool]:
    """A request that lost to recovery says that the order stands."""
    return render.placed(pedido), False


@MUTATIONS.of(Saga, "_move", "7", "9", "answer")
async def verdict_without_transition(self: Saga, *move: Any) -> bool:
    """The verdict is believed although somebody else has moved the order on."""
    await _move(self, *move)
    return True


@MUTATIONS.of(InventarioHttp, "reservar", "5")
async def silence_taken_for_refusal(self: InventarioHttp, pedido: Pedido) -> Reservada | Insuficientes | Cerrada:
    try:
        return await _reservar(self, pedido)
    except ServicioNoDisponible:
        return Cerrada("LIBERADA")


@MUTATIONS.of(Recovery, "_ask_about", "5")
async def expiry_by_the_clock_of_pedidos(self: Recovery, items: Sequence[Leased]) -> None:
    for item in items:
        pedido = item.pedido.rechazado(EXPIRADO, self._clock.now())
        await self._saga.intend(item.pedido, pedido, EXPIRADO, lease=item.lease)


@MUTATIONS.of(Recovery, "_move_on", "5")
async def abandoned_without_liberar(self: Recovery, item: Leased) -> None:
    if item.pedido.fase is not Fase.SOLICITADO:
        await _move_on(self, item)
        return
    pedido = item.pedido.rechazado(ABANDONADO, self._clock.now())
    await self._saga.intend(item.pedido, pedido, ABANDONADO, lease=item.lease)


@MUTATIONS.of(Recovery, "_move_on", "5")
async def cancelled_before_liberar(self: Recovery, item: Leased) -> None:
    """The order is closed first and its stock given back afterwards, if nothing happens in between."""
    pedido = item.pedido
    if pedido.fase is not Fase.CANCELANDO:
        await _move_on(self, item)
        return
    await self._saga.intend(pedido, pedido.cancelado(self._clock.now()), "liberar", lease=item.lease)
    with suppress(*NO_VERDICT):
        await self._inventario.liberar(pedido)


@MUTATIONS.of(Recovery, "_postpone", "8")
async def recovery_gives_up(self: Recovery, item: Leased, pedido: Pedido, fault: Exception | None) -> None:
    """An order that could not be moved on is not looked at again before tomorrow."""
    async with self._database.transaction() as connection:
        tomorrow = self._clock.now() + timedelta(days=1)
        await self._repository.reprogramar(connection, pedido, tomorrow, lease=item.lease, attempts=1)


@MUTATIONS.of(Pedido, "cancelar", "4", "8", "9")
def cancelar_while_completing(self: Pedido, motivo: str, ahora: datetime) -> Pedido:
    desde = {Fase.SOLICITADO, Fase.RESERVADO, Fase.COMPLETANDO}
    return self._pasar(Fase.CANCELANDO, ahora, desde=desde, motivo=motivo)


@MUTATIONS.of(Pedidos, "completar", "refusal")
async def completar_always_refused(self: Pedidos, pedido_id: UUID, precondition: Precondition) -> Pedido:
    raise TransicionInvalida(await self.consultar(pedido_id, None))


@MUTATIONS.of(Pedidos, "cancelar", "intent")
async def cancelar_records_nothing(
    self: Pedidos, pedido_id: UUID, cliente_id: str | None, motivo: str, precondition: Precondition
) -> Pedido:
    """inventario is said to be away, and nobody will remember what the client wanted."""
    await self.consultar(pedido_id, cliente_id)
    raise ServicioNoDisponible("inventario")


@MUTATIONS.of(InventarioHttp, "confirmar", "4", "9")
async def any_200_confirms(self: InventarioHttp, pedido: Pedido) -> Confirmada | Cerrada:
    """Whatever program answers 200 is taken for inventario."""
    answer = await self._neighbour.request("POST", f"/reservas/{pedido.id}/confirmar", expected=(200, 409))
    return Confirmada() if answer.status == 200 else _closed(answer)


@MUTATIONS.of(Altas, "_over_the_caps", "caps")
async def caps_not_checked(self: Altas, connection: AsyncConnection, pedidos: Sequence[Pedido]) -> dict[UUID, Problem]:
    """A client may have as much open as it likes."""
    return {}


@MUTATIONS.of(idempotency, "_record", "9")
def key_of_any_body(row: Row | None, key: Key) -> Any:
    """A key that comes with another body replays the answer to the first."""
    return _record(row, key if row is None else replace(key, fingerprint=row["fingerprint"]))


MUTATIONS.append(Mutation("keys_swept_too_early", idempotency, "KEPT", timedelta(hours=1), ("7", "forgotten")))
