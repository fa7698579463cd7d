"""Deliberate faults in inventario."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from comanda.common.problems import Problem
from comanda.inventario import almacen, repository, service
from comanda.inventario.almacen import Almacen
from comanda.inventario.domain import (
    EstadoReserva,
    Existencias,
    ExistenciasInsuficientes,
    Falta,
    Linea,
    Reserva,
    ReservaCerrada,
    TipoMovimiento,
)
from comanda.inventario.service import Inventario, Question
from simulation.mutation import Mutation, Mutations

MUTATIONS = Mutations()

_liberar, _reservar, _mover = Inventario.liberar, Inventario.reservar, Inventario.mover
_confirmar, _decide = Almacen.confirmar, Inventario._decide


@MUTATIONS.of(Inventario, "liberar", "5")
async def no_tombstone(self: Inventario, pedido_id: UUID) -> Reserva:
    """Releasing what is not there leaves nothing behind, so a late reservation is not refused."""
    async with self._database.read() as connection:
        known = await self._repository.leer_reservas(connection, [pedido_id])
    if pedido_id in known:
        return await _liberar(self, pedido_id)
    return self._provisional(pedido_id, EstadoReserva.LIBERADA)


@MUTATIONS.of(Inventario, "liberar", "5", "6")
async def liberar_deletes_the_row(self: Inventario, pedido_id: UUID) -> Reserva:
    reserva = await _liberar(self, pedido_id)
    await _forget(self, pedido_id)
    return reserva


@MUTATIONS.of(Inventario, "reservar", "5")
async def refusal_not_stored(self: Inventario, pedido_id: UUID, lineas: tuple[Linea, ...]) -> tuple[Reserva, bool]:
    """A repeated request is decided again, and may succeed after its order was cancelled for want of stock."""
    try:
        return await _reservar(self, pedido_id, lineas)
    except ExistenciasInsuficientes:
        await _forget(self, pedido_id)
        raise


@MUTATIONS.of(Inventario, "_decide", "1", "2", "3")
async def decided_on_a_stale_read(self: Inventario, questions: Sequence[Question]) -> list[Any]:
    """What is there is read in one transaction and written in the next."""
    async with self._database.transaction() as connection:
        provisionales = {question.provisional.pedido_id: question.provisional for question in reversed(questions)}
        productos = {producto_id for question in questions for producto_id in question.productos}
        almacen = await self._repository.abrir(connection, provisionales, productos, self._clock)
    outcomes = [_outcome(question, almacen) for question in questions]
    async with self._database.transaction() as connection:
        await self._repository.guardar(connection, almacen)
    return outcomes


@MUTATIONS.of(Inventario, "_decide", "1", "2", "3")
async def each_decided_on_the_first_state(self: Inventario, questions: Sequence[Question]) -> list[Any]:
    """Of a batch each is decided as if the others were not there."""

    def alone(question: Question) -> Question:
        def engine(almacen: Almacen) -> Any:
            before = {producto_id: almacen._antes[0][producto_id] for producto_id in almacen.existencias}
            almacen.existencias.update(before)
            return question.engine(almacen)

        return replace(question, engine=engine)

    return await _decide(self, [alone(question) for question in questions])


def _outcome(question: Question, almacen: Almacen) -> Any:
    try:
        return question.engine(almacen)
    except Problem as refusal:
        return refusal


@MUTATIONS.of(Almacen, "confirmar", "2")
def confirmar_not_idempotent(self: Almacen, pedido_id: UUID) -> Reserva:
    """A second confirmation sells the stock again."""
    reserva = self.reservas[pedido_id]
    if reserva.estado is EstadoReserva.CONFIRMADA:
        for linea in reserva.lineas:
            self._mover(linea.producto_id, fisico=-linea.cantidad)
            self.movimientos.append(
                service.Movimiento(
                    self.nuevo_id(),
                    linea.producto_id,
                    TipoMovimiento.VENTA,
                    -linea.cantidad,
                    None,
                    pedido_id,
                    self.ahora,
                )
            )
    return _confirmar(self, pedido_id)


@MUTATIONS.of(Almacen, "confirmar", "8")
def repeated_confirmar_refused(self: Almacen, pedido_id: UUID) -> Reserva:
    """The answer to the first confirmation was lost; the second is told that it came too late."""
    if self.reservas[pedido_id].estado is EstadoReserva.CONFIRMADA:
        raise ReservaCerrada(EstadoReserva.CONFIRMADA)
    return _confirmar(self, pedido_id)


@MUTATIONS.of(Almacen, "_repetida", "5")
def repeated_reservar_holds_again(self: Almacen, reserva: Reserva, lineas: tuple[Linea, ...]) -> Reserva:
    """A reservation that was released comes back to life when its request arrives once more."""
    if reserva.estado is EstadoReserva.LIBERADA and not self.faltantes(lineas):
        for linea in lineas:
            self._mover(linea.producto_id, reservado=linea.cantidad)
        self.reservas[reserva.pedido_id] = replace(reserva, estado=EstadoReserva.ACTIVA, lineas=lineas)
    return self.reservas[reserva.pedido_id]


@MUTATIONS.of(Almacen, "faltantes", "500")
def some_lines_are_held(self: Almacen, lineas: Iterable[Linea]) -> tuple[Falta, ...]:
    """Only the first line is checked before all are held. The database's CHECK stops it, and the client gets a 500."""
    first = next(iter(lineas))
    available = self._disponible(first.producto_id)
    return (Falta(first.producto_id, first.cantidad, available),) if first.cantidad > available else ()


@MUTATIONS.of(service, "movimiento_con_signo", "movement")
def ajuste_ignores_fisico_esperado(
    existencias: Existencias, tipo: TipoMovimiento, cantidad: int, fisico_esperado: int | None
) -> int:
    signs = {TipoMovimiento.ENTRADA: cantidad, TipoMovimiento.SALIDA: -cantidad}
    return signs.get(tipo, cantidad - existencias.fisico)


@MUTATIONS.of(Inventario, "mover", "movement")
async def movement_key_ignored(self: Inventario, *arguments: Any, key: Any, **options: Any) -> Any:
    return await _mover(self, *arguments, key=None, **options)


@MUTATIONS.of(Existencias, "mover", "500")
def salida_takes_what_is_reserved(self: Existencias, *, fisico: int = 0, reservado: int = 0, ahora: Any) -> Existencias:
    """Stock is checked against 0 instead of against what is held for orders; the database's CHECK stops it."""
    after = replace(
        self,
        fisico=self.fisico + fisico,
        reservado=self.reservado + reservado,
        version=self.version + 1,
        actualizado_en=ahora,
    )
    if after.fisico < 0 or after.reservado < 0:
        raise ExistenciasInsuficientes([Falta(self.producto_id, max(-fisico, reservado), self.disponible)])
    return after


@MUTATIONS.of(Almacen, "faltantes", "refusal")
def nothing_available(self: Almacen, lineas: Iterable[Linea]) -> tuple[Falta, ...]:
    """Every order is refused, for want of stock."""
    return tuple(Falta(linea.producto_id, linea.cantidad, 0) for linea in lineas)


MUTATIONS.append(Mutation("refusals_forgotten_at_once", repository, "CLOSED_KEPT", timedelta(0), ("5", "forgotten")))
MUTATIONS.append(Mutation("old_ids_accepted", almacen, "OLDEST_ID", timedelta(days=999), ("5",)))
MUTATIONS.append(Mutation("nothing_is_forgotten", repository, "CLOSED_KEPT", timedelta(days=999), ("forgotten",)))


async def _forget(self: Inventario, pedido_id: UUID) -> None:
    async with self._database.transaction() as connection:
        await self._repository.olvidar(connection, [pedido_id])
