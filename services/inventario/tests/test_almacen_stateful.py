"""Long random stories of stock, told to the engine and to the service, against a model that fits on a screen.

Two machines share the rules of historias.py: one drives `Almacen` over dictionaries, the other `Inventario` over a
SQLite file.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from historias import EXISTENTES, TTL, Historias
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule, run_state_machine_as_test

from comanda.common.clock import uuid7_time
from comanda.common.conditional import Precondition
from comanda.common.database import Database
from comanda.common.idempotency import Answer, Keys
from comanda.common.pagination import PageRequest
from comanda.common.problems import Problem
from comanda.inventario.almacen import Almacen
from comanda.inventario.domain import EstadoReserva, Existencias, Linea, Reserva, TipoMovimiento, movimiento_con_signo
from comanda.inventario.service import Inventario
from comanda.inventario.tables import idempotency_keys
from comanda.testing import START, Databases, FakeClock


class NoEncontrado(Problem):
    slug = "no-encontrado"


class Motor:
    """The engine alone. Rows and lines are kept apart, as the repository keeps them, and only what changed is kept."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self._filas = {p: Existencias(p, cantidad, 0, 1, START) for p, cantidad in EXISTENTES.items()}
        self._libro = dict(EXISTENTES)
        self._reservas: dict[UUID, Reserva] = {}
        self._lineas: dict[UUID, tuple[Linea, ...]] = {}

    def reservar(self, pedido: UUID, lineas: tuple[Linea, ...]) -> EstadoReserva:
        productos = [linea.producto_id for linea in lineas]
        return self._decide(
            [pedido],
            productos,
            EstadoReserva.ACTIVA,
            lambda almacen: almacen.reservar(pedido, lineas, uuid7_time(pedido)).estado,
        )

    def confirmar(self, pedido: UUID) -> EstadoReserva:
        return self._decide([pedido], [], EstadoReserva.LIBERADA, lambda almacen: almacen.confirmar(pedido).estado)

    def liberar(self, pedido: UUID) -> EstadoReserva:
        return self._decide([pedido], [], EstadoReserva.LIBERADA, lambda almacen: almacen.liberar(pedido).estado)

    def expirar(self) -> None:
        ids = list(self._reservas)
        self._decide(
            ids, [], EstadoReserva.LIBERADA, lambda almacen: [almacen.expirar(pedido) for pedido in ids] and None
        )

    def mover(self, producto: UUID, tipo: TipoMovimiento, cantidad: int, esperado: int | None) -> None:
        if producto not in self._filas:
            raise NoEncontrado
        cambio = movimiento_con_signo(self._filas[producto], tipo, cantidad, esperado)
        self._filas[producto] = self._filas[producto].mover(fisico=cambio, ahora=self.clock.now())
        self._libro[producto] += cambio

    def existencias(self) -> dict[UUID, Existencias]:
        return self._filas

    def libro(self, producto: UUID) -> int:
        return self._libro[producto]

    def reservas(self) -> dict[UUID, Reserva]:
        return {p: replace(r, lineas=self._lineas.get(p, ())) for p, r in self._reservas.items()}

    def cerrar(self) -> None:
        pass

    def _decide(
        self, pedidos: list[UUID], productos: list[UUID], nueva: EstadoReserva, engine: Callable[[Almacen], Any]
    ) -> Any:
        ahora = self.clock.now()
        conocidas = {p: r for p, r in self.reservas().items() if p in pedidos}
        nuevas = {p: Reserva(p, nueva, (), ahora + TTL, (), ahora, ahora) for p in pedidos if p not in conocidas}
        ids = {*productos, *(linea.producto_id for r in conocidas.values() for linea in r.lineas)}
        almacen = Almacen(
            {p: self._filas[p] for p in ids if p in self._filas},
            conocidas | nuevas,
            set(nuevas),
            ahora,
            self.clock.new_id,
        )
        self._reservas |= nuevas
        try:
            return engine(almacen)
        finally:
            self._guardar(almacen)

    def _guardar(self, almacen: Almacen) -> None:
        self._filas |= {e.producto_id: e for e in almacen.existencias_cambiadas()}
        self._reservas |= {r.pedido_id: replace(r, lineas=()) for r in almacen.reservas_cambiadas()}
        self._lineas |= {r.pedido_id: r.lineas for r in almacen.reservas_con_lineas_nuevas()}
        for movimiento in almacen.movimientos:
            self._libro[movimiento.producto_id] += movimiento.cantidad


class TodoExiste:
    async def existe(self, producto_id: UUID) -> bool:
        return True


class Servicio:
    """The service on a SQLite file."""

    PAGE = PageRequest(200)

    def __init__(self, clock: FakeClock, databases: Databases) -> None:
        self.clock = clock
        self._runner = asyncio.Runner()
        self._database = Database(self._run(databases.new("comanda.inventario")), clock=self.clock)
        keys = Keys(idempotency_keys, self._database, self.clock)
        self._inventario = Inventario(
            self._database,
            keys,
            TodoExiste(),
            self.clock,
            reserva_ttl_seconds=TTL.total_seconds(),
            sweep_seconds=1,
            group_commit=200,
        )
        for producto, cantidad in EXISTENTES.items():
            self._run(self._inventario.crear(producto, cantidad))

    def reservar(self, pedido: UUID, lineas: tuple[Linea, ...]) -> EstadoReserva:
        known = pedido in self.reservas()
        reserva, nueva = self._run(self._inventario.reservar(pedido, lineas))
        assert nueva is not known
        return reserva.estado

    def confirmar(self, pedido: UUID) -> EstadoReserva:
        return self._run(self._inventario.confirmar(pedido)).estado

    def liberar(self, pedido: UUID) -> EstadoReserva:
        return self._run(self._inventario.liberar(pedido)).estado

    def expirar(self) -> None:
        self._run(self._inventario.expirar_vencidas())

    def mover(self, producto: UUID, tipo: TipoMovimiento, cantidad: int, esperado: int | None) -> None:
        self._run(
            self._inventario.mover(
                producto,
                tipo,
                cantidad,
                fisico_esperado=esperado,
                motivo=None,
                precondition=Precondition(),
                key=None,
                render=lambda *_: Answer(201, "{}", {}),
            )
        )

    def existencias(self) -> dict[UUID, Existencias]:
        return {e.producto_id: e for e in self._run(self._inventario.listar(self.PAGE)).items}

    def libro(self, producto: UUID) -> int:
        movimientos = self._run(self._inventario.listar_movimientos(producto, self.PAGE))
        assert movimientos.next_cursor is None
        return sum(movimiento.cantidad for movimiento in movimientos.items)

    def reservas(self) -> dict[UUID, Reserva]:
        found: Sequence[Reserva] = self._run(self._inventario.listar_reservas(self.PAGE)).items
        return {reserva.pedido_id: reserva for reserva in found}

    def olvidar(self) -> None:
        self._run(self._inventario.olvidar_cerradas())

    def cerrar(self) -> None:
        self._run(self._database.aclose())
        self._runner.close()

    def _run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return self._runner.run(coroutine)


class HistoriasDelMotor(Historias):
    def __init__(self) -> None:
        super().__init__(Motor)


class HistoriasDelServicio(Historias):
    """Here the sweeper also forgets."""

    sistema: Servicio

    def __init__(self, databases: Databases) -> None:
        super().__init__(lambda clock: Servicio(clock, databases))

    @rule(hours=st.sampled_from([0, 25, 72, 73]))
    def olvida(self, hours: int) -> None:
        self.pasa_el_tiempo(3600 * hours)
        self.modelo.olvidar()
        self.sistema.olvidar()


bounded = settings(
    deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck), stateful_step_count=40
)


def test_el_motor() -> None:
    run_state_machine_as_test(HistoriasDelMotor, settings=settings(bounded, max_examples=150))


def test_el_servicio(sqlite_databases: Databases) -> None:
    run_state_machine_as_test(
        lambda: HistoriasDelServicio(sqlite_databases), settings=settings(bounded, max_examples=15)
    )
