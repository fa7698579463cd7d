"""The use cases of pedidos over neighbours of straw, which fail, wait or answer late when a test says so."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from comanda.common.database import Database
from comanda.common.idempotency import Answer, Key, Keys
from comanda.common.pagination import PageRequest
from comanda.common.problems import RespuestaInvalida, ServicioNoDisponible
from comanda.pedidos.altas import Altas
from comanda.pedidos.domain import (
    Cerrada,
    Confirmada,
    Fase,
    Ficha,
    Insuficientes,
    Liberada,
    Linea,
    LineaPedida,
    Pedido,
    Reservada,
)
from comanda.pedidos.recovery import Recovery
from comanda.pedidos.repository import Repository
from comanda.pedidos.routes import WireRender
from comanda.pedidos.saga import Saga
from comanda.pedidos.service import Pedidos
from comanda.pedidos.tables import idempotency_keys
from comanda.pedidos.ventas import Ventas
from comanda.testing import FakeClock

LEASE_SECONDS, ABANDON_SECONDS, BACKOFF_SECONDS, TTL_SECONDS = 28.0, 300.0, 30.0, 900.0
LEASE_SECONDS, ABANDON_SECONDS, BACKOFF_SECONDS, TTL_SECONDS = 28.0, 300.0, 30.0, 900.0


LONG = 1000
"""Seconds after which recovery is due to look at an order in any phase."""


class StillClock(FakeClock):
    """Background loops sleep for ever: a test calls `tick` itself."""

    async def sleep(self, seconds: float) -> None:
        if seconds >= 1:
            await asyncio.Event().wait()
        await super().sleep(seconds)


class Pausa:
    """A call that stops on its way: `llegada` tells that it has come so far, `seguir` lets it go on."""

    def __init__(self, *, antes: bool) -> None:
        self.antes = antes
        self.llegada = asyncio.Event()
        self.seguir = asyncio.Event()

    async def parar(self) -> None:
        self.llegada.set()
        await self.seguir.wait()


class FakeInventario:
    """Holds whatever is asked of it. `estados` and `llamadas` tell what it holds and what it was asked."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self.reservas: dict[UUID, str] = {}
        self.ventas: dict[UUID, list[LineaPedida]] = {}
        self.llamadas: list[tuple[str, UUID]] = []
        self.agotado = False
        self.caido = False
        self.fallos: list[Exception] = []
        self._pausas: dict[str, list[Pausa]] = {}

    def pausar(self, operacion: str, *, antes: bool) -> Pausa:
        """The next call of that operation stops, before or after it takes effect."""
        pausa = Pausa(antes=antes)
        self._pausas.setdefault(operacion, []).append(pausa)
        return pausa

    def llamadas_a(self, operacion: str) -> int:
        return sum(nombre == operacion for nombre, _ in self.llamadas)

    async def reservar(self, pedido: Pedido) -> Reservada | Insuficientes | Cerrada:
        return await self._call("reservar", pedido, self._reservar)

    async def confirmar(self, pedido: Pedido) -> Confirmada | Cerrada:
        return await self._call("confirmar", pedido, self._confirmar)

    async def liberar(self, pedido: Pedido) -> Liberada:
        return await self._call("liberar", pedido, self._liberar)

    async def estados(self, ids: Sequence[UUID]) -> Mapping[UUID, str]:
        self.llamadas += [("estados", pedido_id) for pedido_id in ids]
        self._fail()
        return {pedido_id: self.reservas[pedido_id] for pedido_id in ids if pedido_id in self.reservas}

    async def venta(self, pedido_id: UUID) -> Sequence[LineaPedida] | None:
        self._fail()
        return self.ventas.get(pedido_id)

    async def _call(self, operacion: str, pedido: Pedido, effect: Callable[[Pedido], Any]) -> Any:
        self.llamadas.append((operacion, pedido.id))
        pausas = self._pausas.get(operacion)
        pausa = pausas.pop(0) if pausas else None
        if pausa and pausa.antes:
            await pausa.parar()
        self._fail()
        answer = effect(pedido)
        if pausa and not pausa.antes:
            await pausa.parar()
        return answer

    def _fail(self) -> None:
        if self.caido:
            raise ServicioNoDisponible("inventario", 2)
        if self.fallos:
            raise self.fallos.pop(0)

    def _reservar(self, pedido: Pedido) -> Reservada | Insuficientes | Cerrada:
        if pedido.id not in self.reservas:
            self.reservas[pedido.id] = "RECHAZADA" if self.agotado else "ACTIVA"
        estado = self.reservas[pedido.id]
        if estado == "RECHAZADA":
            return Insuficientes([{"producto_id": str(pedido.lineas[0].producto_id), "solicitado": 9, "disponible": 1}])
        return Reservada(self._clock.now() + timedelta(seconds=TTL_SECONDS)) if self._holds(pedido) else Cerrada(estado)

    def _confirmar(self, pedido: Pedido) -> Confirmada | Cerrada:
        estado = self.reservas.setdefault(pedido.id, "LIBERADA")
        if not self._holds(pedido):
            return Cerrada(estado)
        self.reservas[pedido.id] = "CONFIRMADA"
        return Confirmada()

    def _liberar(self, pedido: Pedido) -> Liberada:
        estado = self.reservas.setdefault(pedido.id, "LIBERADA")
        if estado == "CONFIRMADA":
            raise RespuestaInvalida("inventario")
        if estado == "ACTIVA":
            self.reservas[pedido.id] = "LIBERADA"
        return Liberada()

    def _holds(self, pedido: Pedido) -> bool:
        return self.reservas[pedido.id] in ("ACTIVA", "CONFIRMADA")


class FakeProductos:
    """Knows the products that a test has put into `catalogo`; those in `guardadas` may be used without asking."""

    def __init__(self) -> None:
        self.catalogo: dict[UUID, Ficha] = {}
        self.guardadas: dict[UUID, Ficha] = {}
        self.preguntas = 0
        self.fallo: Exception | None = None
        self.is_well = True

    def kept(self, ids: Sequence[UUID]) -> Mapping[UUID, Ficha] | None:
        return self.guardadas if all(producto_id in self.guardadas for producto_id in ids) else None

    async def fichas(self, ids: Sequence[UUID]) -> Mapping[UUID, Ficha]:
        self.preguntas += 1
        if self.fallo:
            raise self.fallo
        return {producto_id: self.catalogo[producto_id] for producto_id in ids if producto_id in self.catalogo}


class Mundo:
    """The use cases of one replica over a database, and the straw neighbours that all replicas share."""

    def __init__(
        self,
        database: Database,
        clock: FakeClock,
        inventario: FakeInventario,
        productos: FakeProductos,
        *,
        keys: type[Keys] = Keys,
        max_open_orders: int = 0,
        max_open_units: int = 0,
        group_commit: int = 200,
    ) -> None:
        self.database, self.clock, self.inventario, self.productos = database, clock, inventario, productos
        self.keys = keys(idempotency_keys, database, clock)
        self.repository = Repository(database, self.keys)
        self.saga = Saga(
            database,
            self.repository,
            inventario,
            clock,
            abandon_seconds=ABANDON_SECONDS,
            grace_seconds=LEASE_SECONDS,
            group_commit=group_commit,
        )
        altas = Altas(
            database,
            self.repository,
            self.keys,
            self.saga,
            clock,
            max_open_orders=max_open_orders,
            max_open_units=max_open_units,
            group_commit=group_commit,
        )
        self.servicio = Pedidos(
            database,
            self.repository,
            self.keys,
            altas,
            self.saga,
            productos,
            clock,
            lease_seconds=LEASE_SECONDS,
            group_commit=group_commit,
        )
        self.ventas = Ventas(database, self.repository, self.saga, inventario, productos, clock)
        self.recovery = Recovery(
            database,
            self.repository,
            self.saga,
            inventario,
            clock,
            lease_seconds=LEASE_SECONDS,
            pause_seconds=1,
            backoff_seconds=BACKOFF_SECONDS,
        )

    def producto(self, precio_centimos: int = 250, *, activo: bool = True) -> UUID:
        producto_id = self.clock.new_id()
        self.productos.catalogo[producto_id] = Ficha(producto_id, "CAF-1", "Café", precio_centimos, "EUR", activo)
        return producto_id

    def clave(self, nombre: str = "k1", cuerpo: str = "a", cliente: str = "ana") -> Key:
        return Key("http://127.0.0.1:8000", cliente, "POST /pedidos", nombre, cuerpo)

    async def crear(
        self,
        *lineas: tuple[UUID, int],
        key: Key | None = None,
        cliente: str = "ana",
        total_esperado: int | None = None,
    ) -> tuple[Answer, bool]:
        pedidas = [LineaPedida(producto_id, cantidad) for producto_id, cantidad in lineas or [(self.producto(), 2)]]
        return await self.servicio.crear(cliente, pedidas, total_esperado=total_esperado, key=key, render=WireRender())

    async def en_fase(self, fase: Fase = Fase.RESERVADO, cliente: str = "ana") -> Pedido:
        """An order that stands in that phase, as its own transitions led it there."""
        pedido = self.solicitud(cliente=cliente)
        await self.insertar(pedido)
        ahora = self.clock.now()
        if fase not in (Fase.SOLICITADO, Fase.CANCELADO):
            pedido, _ = await self.saga.advance(pedido)
        if fase in (Fase.COMPLETANDO, Fase.COMPLETADO):
            pedido = await self.saga.intend(pedido, pedido.completar(ahora), "completar")
        if fase in (Fase.CANCELANDO, Fase.CANCELADO):
            pedido = await self.saga.intend(pedido, pedido.cancelar("cancelado", ahora), "cancelar")
        if fase in (Fase.COMPLETADO, Fase.CANCELADO):
            pedido, _ = await self.saga.advance(pedido)
        assert pedido.fase is fase
        return pedido

    def solicitud(self, *lineas: Linea, cliente: str = "ana") -> Pedido:
        ahora = self.clock.now()
        lineas = lineas or (Linea(self.producto(), "CAF-1", "Café", 250, 2),)
        return Pedido(self.clock.new_id(), cliente, Fase.SOLICITADO, 1, lineas, "EUR", None, None, ahora, ahora)

    async def insertar(self, pedido: Pedido) -> None:
        async with self.database.transaction() as connection:
            when = self.saga.next_attempt_at(pedido)
            await self.repository.insertar(connection, [(pedido, when)])

    async def leer(self, pedido_id: UUID | str) -> Pedido:
        return await self.servicio.consultar(UUID(str(pedido_id)), None)

    async def todos(self) -> list[Pedido]:
        page = await self.servicio.listar(PageRequest(200), cliente_ids=[], estado=None, desde=None, hasta=None)
        return list(page.items)

    async def fases(self, pedido_id: UUID | str) -> list[str]:
        """The phases that the order has gone through, as its history tells."""
        return [transicion.a.value for transicion in await self.servicio.historial(UUID(str(pedido_id)), None)]

    async def recuperar(self) -> int:
        return await self.recovery.tick()


Fabrica = Callable[..., Mundo]


async def vencido(mundo: Mundo, fase: Fase) -> Pedido:
    """An order in that phase that recovery should look at now."""
    pedido = await mundo.en_fase(fase)
    mundo.clock.advance(LONG)
    return pedido
