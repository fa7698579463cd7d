"""Use cases of inventario."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from operator import methodcaller
from typing import Any
from uuid import UUID

import structlog

from comanda.common import tracing
from comanda.common.audit import Audit
from comanda.common.batch import Batch
from comanda.common.clock import Clock, uuid7_time
from comanda.common.conditional import Precondition
from comanda.common.database import Database
from comanda.common.idempotency import Answer, Key, Keys
from comanda.common.pagination import Page, PageRequest
from comanda.common.problems import NoEncontrado, Problem
from comanda.common.telemetry import ROUNDS
from comanda.inventario.almacen import Almacen, Descuadre
from comanda.inventario.domain import (
    EstadoReserva,
    Existencias,
    Falta,
    InventarioExistente,
    Linea,
    Movimiento,
    Operacion,
    ProductoInexistente,
    Productos,
    Reserva,
    TipoMovimiento,
    movimiento_con_signo,
)
from comanda.inventario.repository import Repository
from comanda.inventario.tables import auditoria

SWEEP_ROWS = 200
"""Reservations that one transaction of the sweeper closes or forgets."""

log = structlog.get_logger()
Render = Callable[[Movimiento, Existencias], Answer]


@dataclass(frozen=True, slots=True)
class Question:
    """What the engine is asked about one reservation.

    Args:
        provisional: what the reservation becomes if it is unknown.
        productos: those that the question names; the ones of the reservation itself are known.
    """

    provisional: Reserva
    engine: Callable[[Almacen], Any]
    productos: tuple[UUID, ...] = ()


class Inventario:
    """The stock of the shop: counted, moved, held for orders, sold."""

    def __init__(
        self,
        database: Database,
        keys: Keys,
        productos: Productos,
        clock: Clock,
        *,
        reserva_ttl_seconds: float,
        sweep_seconds: float,
        group_commit: int,
    ) -> None:
        self._database = database
        self._repository = Repository(database)
        self._keys = keys
        self._productos = productos
        self._clock = clock
        self._ttl = timedelta(seconds=reserva_ttl_seconds)
        self._sweep_seconds = sweep_seconds
        self._audit = Audit(auditoria, database, clock)
        self._decisions = Batch("reservas", self._decide, most=group_commit)
        self.queue = self._decisions.queue
        ROUNDS.labels("barrido").set(clock.now().timestamp())  # a sweep that never gets through is noticed, too

    async def crear(self, producto_id: UUID, cantidad: int) -> Existencias:
        """Starts to count a product, asking productos whether there is such a thing.

        Raises:
            InventarioExistente, ProductoInexistente, and what a call to productos raises.
        """
        async with self._database.read() as connection:
            if await self._repository.leer_existencias(connection, [producto_id]):
                raise InventarioExistente
        if not await self._productos.existe(producto_id):
            raise ProductoInexistente
        ahora = self._clock.now()
        nuevas = Existencias(producto_id, cantidad, 0, 1, ahora)
        entrada = Movimiento(
            self._clock.new_id(), producto_id, TipoMovimiento.ENTRADA, cantidad, "alta de inventario", None, ahora
        )
        async with self._database.transaction() as connection:
            if not await self._repository.insertar_existencias(connection, nuevas):
                raise InventarioExistente
            await self._repository.insertar_movimientos(connection, [entrada])
            await self._audit.tell(connection, "inventario_creado", producto_id, cantidad=cantidad)
        return nuevas

    async def consultar(self, producto_id: UUID) -> Existencias:
        """Raises `NoEncontrado`."""
        async with self._database.read() as connection:
            encontradas = await self._repository.leer_existencias(connection, [producto_id])
        if producto_id not in encontradas:
            raise NoEncontrado
        return encontradas[producto_id]

    async def listar(self, page: PageRequest) -> Page[Existencias]:
        async with self._database.read() as connection:
            return await self._repository.listar_existencias(connection, page)

    async def mover(
        self,
        producto_id: UUID,
        tipo: TipoMovimiento,
        cantidad: int,
        *,
        fisico_esperado: int | None,
        motivo: str | None,
        precondition: Precondition,
        key: Key | None,
        render: Render,
    ) -> tuple[Answer, bool]:
        """Counts goods in, out or anew; returns the answer and whether it was given before.

        Raises:
            NoEncontrado, VersionObsoleta, ExistenciasCambiadas, ExistenciasInsuficientes, ClaveReutilizada.
        """
        async with self._database.transaction() as connection:
            if key and (given := await self._keys.answer_or_claim(connection, key, self._clock.now())):
                return given, True
            bloqueadas = await self._repository.leer_existencias(connection, [producto_id], bloquear=True)
            if producto_id not in bloqueadas:
                raise NoEncontrado
            antes, ahora = bloqueadas[producto_id], self._clock.now()
            precondition.check(antes.version)
            cambio = movimiento_con_signo(antes, tipo, cantidad, fisico_esperado)
            despues = antes.mover(fisico=cambio, ahora=ahora)
            movimiento = Movimiento(self._clock.new_id(), producto_id, tipo, cambio, motivo, None, ahora)
            await self._repository.guardar_existencias(connection, [despues])
            await self._repository.insertar_movimientos(connection, [movimiento])
            await self._audit.tell(
                connection, "existencias_movidas", producto_id, movimiento=str(movimiento.id), tipo=tipo.value
            )
            answer = render(movimiento, despues)
            if key:
                await self._keys.settle(connection, key, answer)
        return answer, False

    async def listar_movimientos(self, producto_id: UUID, page: PageRequest) -> Page[Movimiento]:
        """Raises `NoEncontrado`."""
        await self.consultar(producto_id)
        async with self._database.read() as connection:
            return await self._repository.listar_movimientos(connection, producto_id, page)

    async def faltantes(self, lineas: Sequence[Linea]) -> tuple[Falta, ...]:
        """The lines that could not be served right now."""
        async with self._database.read() as connection:
            existencias = await self._repository.leer_existencias(connection, [linea.producto_id for linea in lineas])
        almacen = Almacen(existencias, {}, set(), self._clock.now(), self._clock.new_id)
        return almacen.faltantes(lineas)

    async def reservar(self, pedido_id: UUID, lineas: tuple[Linea, ...]) -> tuple[Reserva, bool]:
        """Holds all lines for the order or none; returns the reservation and whether it is new.

        Raises:
            ExistenciasInsuficientes, ReservaCerrada.
        """
        return await self._operar(Operacion("reservar", pedido_id, lineas))

    async def confirmar(self, pedido_id: UUID) -> Reserva:
        """Raises `ReservaCerrada`."""
        return (await self._operar(Operacion("confirmar", pedido_id)))[0]

    async def liberar(self, pedido_id: UUID) -> Reserva:
        """Raises `ReservaConfirmada`."""
        return (await self._operar(Operacion("liberar", pedido_id)))[0]

    async def vender(self, pedido_id: UUID, lineas: tuple[Linea, ...]) -> Reserva:
        """Records the sale of an order that is completed, though a restored database has forgotten it.

        Even of products that are unknown here, and perhaps to productos: they are counted from now on.

        Raises:
            ReservaCerrada.
        """
        productos = tuple(sorted(linea.producto_id for linea in lineas))
        ahora = self._clock.now()
        async with self._database.transaction() as connection:
            for producto_id in productos:
                await self._repository.insertar_existencias(connection, Existencias(producto_id, 0, 0, 1, ahora))
        question = Question(self._tombstone(pedido_id), methodcaller("vender", pedido_id, lineas), productos)
        vendida: Reserva = await self._decisions.submit(question)
        return vendida

    async def operar(self, operaciones: Sequence[Operacion]) -> list[tuple[Reserva, bool] | Exception]:
        """All of them, in that order: for each the reservation and whether it is new, or what it is refused with."""
        return await self._decisions.submit_all([self._question(operacion) for operacion in operaciones])

    async def consultar_reserva(self, pedido_id: UUID) -> Reserva:
        """Raises `NoEncontrado`."""
        async with self._database.read() as connection:
            encontradas = await self._repository.leer_reservas(connection, [pedido_id])
        if pedido_id not in encontradas:
            raise NoEncontrado
        return encontradas[pedido_id]

    async def listar_reservas(
        self, page: PageRequest, *, ids: Sequence[UUID] | None = None, estado: EstadoReserva | None = None
    ) -> Page[Reserva]:
        async with self._database.read() as connection:
            return await self._repository.listar_reservas(connection, page, ids, estado)

    async def barrer(self) -> None:
        """The sweeper: expires reservations whose time is over and forgets old closed ones, for ever."""
        while True:
            await self.expirar_vencidas()
            while await self.olvidar_cerradas() == SWEEP_ROWS:
                pass
            ROUNDS.labels("barrido").set(self._clock.now().timestamp())
            await self._clock.sleep(self._sweep_seconds)

    async def expirar_vencidas(self) -> int:
        """Expires the reservations whose time is over, a page in each transaction; returns how many.

        However many there are whose books do not balance, they hold up nobody else's.
        """
        ahora = self._clock.now()
        expired, last = 0, None
        while True:
            async with self._database.read() as connection:
                page = await self._repository.vencidas(connection, ahora, SWEEP_ROWS, despues=last)
            if page:
                last = page[-1]
                expired += await self._expirar_pagina([vencida.pedido_id for vencida in page])
            if len(page) < SWEEP_ROWS:
                break
        if expired:
            log.info("reservas_expiradas", count=expired)
        return expired

    async def _expirar_pagina(self, ids: Sequence[UUID]) -> int:
        try:
            return await self._expirar(ids)
        except Descuadre:
            return sum([await self._expirar_sola(pedido_id) for pedido_id in ids])

    async def _expirar(self, ids: Sequence[UUID]) -> int:
        with tracing.step("expirar", "pedido", ids):
            await self._decide(
                [Question(self._tombstone(pedido_id), methodcaller("expirar", pedido_id)) for pedido_id in ids]
            )
        return len(ids)

    async def _expirar_sola(self, pedido_id: UUID) -> int:
        try:
            return await self._expirar([pedido_id])
        except Descuadre as fault:
            log.error("reserva_descuadrada", pedido_id=str(pedido_id), producto_id=str(fault))
            return 0

    async def olvidar_cerradas(self) -> int:
        """Forgets one page of reservations that have been closed for long; returns how many."""
        ahora = self._clock.now()
        async with self._database.read() as connection:
            ids = await self._repository.cerradas(connection, ahora, SWEEP_ROWS)
        if ids:
            async with self._database.transaction() as connection:
                await self._repository.olvidar(connection, ids)
        return len(ids)

    def _provisional(self, pedido_id: UUID, estado: EstadoReserva) -> Reserva:
        """What an unknown reservation becomes: held stock, or a tombstone that refuses a late request to hold any."""
        ahora = self._clock.now()
        expira_en = ahora + self._ttl if estado is EstadoReserva.ACTIVA else None
        return Reserva(pedido_id, estado, (), expira_en, (), ahora, ahora)

    def _tombstone(self, pedido_id: UUID) -> Reserva:
        return self._provisional(pedido_id, EstadoReserva.LIBERADA)

    async def _operar(self, operacion: Operacion) -> tuple[Reserva, bool]:
        outcome: tuple[Reserva, bool] = await self._decisions.submit(self._question(operacion))
        return outcome

    def _question(self, operacion: Operacion) -> Question:
        pedido_id, lineas = operacion.pedido_id, operacion.lineas
        if operacion.tipo == "reservar":
            provisional = self._provisional(pedido_id, EstadoReserva.ACTIVA)
            productos = tuple(linea.producto_id for linea in lineas)
            return Question(provisional, partial(_reservar, pedido_id, lineas), productos)
        act = _confirmar if operacion.tipo == "confirmar" else _liberar
        return Question(self._tombstone(pedido_id), partial(act, pedido_id))

    async def _decide(self, questions: Sequence[Question]) -> list[Any]:
        """One transaction of the engine. What a refusal leaves behind is committed with the rest."""
        outcomes: list[Any] = []
        async with self._database.transaction() as connection:
            provisionales: dict[UUID, Reserva] = {}
            for question in questions:  # of two about one unknown id, the first says what becomes of it
                provisionales.setdefault(question.provisional.pedido_id, question.provisional)
            productos = {producto_id for question in questions for producto_id in question.productos}
            almacen = await self._repository.abrir(connection, provisionales, productos, self._clock)
            for question in questions:
                try:
                    outcomes.append(question.engine(almacen))
                except Problem as refusal:
                    outcomes.append(refusal.with_traceback(None))  # which would keep all of the transaction in memory
            await self._repository.guardar(connection, almacen)
        return outcomes


def _reservar(pedido_id: UUID, lineas: tuple[Linea, ...], almacen: Almacen) -> tuple[Reserva, bool]:
    nueva = pedido_id in almacen.nuevas
    return almacen.reservar(pedido_id, lineas, uuid7_time(pedido_id)), nueva


def _confirmar(pedido_id: UUID, almacen: Almacen) -> tuple[Reserva, bool]:
    return almacen.confirmar(pedido_id), False


def _liberar(pedido_id: UUID, almacen: Almacen) -> tuple[Reserva, bool]:
    return almacen.liberar(pedido_id), False
