"""Long random stories of stock, told to the engine and to the service, against a model that fits on a screen.

Two machines share the rules: one drives `Almacen` over dictionaries, the other `Inventario` over a SQLite file.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from comanda.common.clock import uuid7_time
from comanda.common.conditional import Precondition
from comanda.common.database import Database
from comanda.common.idempotency import Answer, Keys
from comanda.common.pagination import PageRequest
from comanda.common.problems import Problem
from comanda.common.testing import START, Databases, FakeClock
from comanda.inventario.almacen import Almacen
from comanda.inventario.domain import (
    EstadoReserva,
    Existencias,
    Linea,
    Reserva,
    TipoMovimiento,
    movimiento_con_signo,
)
from comanda.inventario.service import Inventario
from comanda.inventario.tables import idempotency_keys

TTL = timedelta(minutes=15)
CAFE, TE, AGUA = (UUID(int=n) for n in (1, 2, 3))
EXISTENTES = {CAFE: 10, TE: 4}
"""Of AGUA there is no row: nobody has ever counted it."""

Lineas = tuple[tuple[UUID, int], ...]

lineas = st.lists(
    st.tuples(st.sampled_from([CAFE, TE, CAFE, TE, AGUA]), st.integers(1, 5)),
    min_size=1,
    max_size=3,
    unique_by=lambda linea: linea[0],
).map(tuple)
cantidades = st.integers(0, 8)


@dataclass
class Apartado:
    estado: str
    lineas: frozenset[tuple[UUID, int]]
    expira_en: datetime
    cerrado_en: datetime


class Modelo:
    """What should happen. Each method answers with the state or the problem that the caller should be told."""

    def __init__(self) -> None:
        self.ahora = START
        self.fisico = dict(EXISTENTES)
        self.reservas: dict[UUID, Apartado] = {}

    def reservado(self, producto: UUID) -> int:
        activas = (r for r in self.reservas.values() if r.estado == "ACTIVA")
        return sum(cantidad for r in activas for p, cantidad in r.lineas if p == producto)

    def disponible(self, producto: UUID) -> int:
        return self.fisico.get(producto, 0) - self.reservado(producto)

    def reservar(self, pedido: UUID, lineas: Lineas) -> str:
        if pedido not in self.reservas:
            return self._primera(pedido, lineas)
        reserva = self._vigente(pedido)
        if reserva.lineas == frozenset(lineas) and reserva.estado in ("ACTIVA", "CONFIRMADA"):
            return reserva.estado
        if reserva.lineas == frozenset(lineas) and reserva.estado == "RECHAZADA":
            return "existencias-insuficientes"
        return "reserva-cerrada"

    def confirmar(self, pedido: UUID) -> str:
        reserva = self._vigente(pedido)
        if reserva.estado == "ACTIVA":
            reserva.estado = "CONFIRMADA"
            for producto, cantidad in reserva.lineas:
                self.fisico[producto] -= cantidad
        return reserva.estado if reserva.estado == "CONFIRMADA" else "reserva-cerrada"

    def liberar(self, pedido: UUID) -> str:
        reserva = self._vigente(pedido)
        if reserva.estado == "ACTIVA":
            reserva.estado, reserva.cerrado_en = "LIBERADA", self.ahora
        return "reserva-confirmada" if reserva.estado == "CONFIRMADA" else reserva.estado

    def expirar(self) -> None:
        for pedido in self.reservas:
            self._vigente(pedido)

    def olvidar(self) -> None:
        for pedido, reserva in list(self.reservas.items()):
            closed = reserva.estado not in ("ACTIVA", "CONFIRMADA")
            if closed and self.ahora - reserva.cerrado_en > timedelta(hours=72):
                del self.reservas[pedido]

    def mover(self, producto: UUID, tipo: str, cantidad: int, esperado: int | None) -> str:
        if producto not in self.fisico:
            return "no-encontrado"
        despues = {
            "ENTRADA": self.fisico[producto] + cantidad,
            "SALIDA": self.fisico[producto] - cantidad,
            "AJUSTE": cantidad,
        }[tipo]
        if tipo == "AJUSTE" and esperado != self.fisico[producto]:
            return "existencias-cambiadas"
        if despues < self.reservado(producto):
            return "existencias-insuficientes"
        self.fisico[producto] = despues
        return "hecho"

    def _primera(self, pedido: UUID, lineas: Lineas) -> str:
        made = uuid7_time(pedido)
        if made is None or not -timedelta(hours=24) <= self.ahora - made <= timedelta(hours=48):
            self._anotar(pedido, "LIBERADA")
            return "reserva-cerrada"
        if any(cantidad > self.disponible(producto) for producto, cantidad in lineas):
            self._anotar(pedido, "RECHAZADA", lineas)
            return "existencias-insuficientes"
        return self._anotar(pedido, "ACTIVA", lineas).estado

    def _vigente(self, pedido: UUID) -> Apartado:
        reserva = self.reservas.get(pedido) or self._anotar(pedido, "LIBERADA")
        if reserva.estado == "ACTIVA" and reserva.expira_en <= self.ahora:
            reserva.estado, reserva.cerrado_en = "EXPIRADA", self.ahora
        return reserva

    def _anotar(self, pedido: UUID, estado: str, lineas: Lineas = ()) -> Apartado:
        self.reservas[pedido] = Apartado(estado, frozenset(lineas), self.ahora + TTL, self.ahora)
        return self.reservas[pedido]


class Sistema(Protocol):
    """What the stories are told to: how each step is done, and what can be seen afterwards."""

    def reservar(self, pedido: UUID, lineas: tuple[Linea, ...]) -> EstadoReserva: ...

    def confirmar(self, pedido: UUID) -> EstadoReserva: ...

    def liberar(self, pedido: UUID) -> EstadoReserva: ...

    def expirar(self) -> None: ...

    def mover(self, producto: UUID, tipo: TipoMovimiento, cantidad: int, esperado: int | None) -> None: ...

    def existencias(self) -> dict[UUID, Existencias]: ...

    def libro(self, producto: UUID) -> int:
        """The sum of the ledger."""
        ...

    def reservas(self) -> dict[UUID, Reserva]: ...

    def cerrar(self) -> None:
        """The story is over."""
        ...


class Historias(RuleBasedStateMachine):
    """The stories."""

    pedidos = Bundle("pedidos")

    def __init__(self, sistema: Callable[[FakeClock], Sistema]) -> None:
        super().__init__()
        self.clock = FakeClock()
        self.sistema = sistema(self.clock)
        self.modelo = Modelo()
        self.cerrados: set[UUID] = set()

    @rule(target=pedidos, hours=st.sampled_from([0, 0, 0, 1, 47, 49, -1, -23, -25]))
    def pedido(self, hours: int) -> UUID:
        """An order whose id was made so long ago."""
        self.clock.set_wall(-3600 * hours)
        identifier = self.clock.new_id()
        self.clock.set_wall(3600 * hours)
        return identifier

    @rule(pedido=pedidos, lineas=lineas)
    def aparta(self, pedido: UUID, lineas: Lineas) -> None:
        self._put(pedido, lineas)

    @rule(pedido=pedidos, data=st.data())
    def repite(self, pedido: UUID, data: st.DataObject) -> None:
        """The same lines again, in whatever order."""
        conocida = self.modelo.reservas.get(pedido)
        if conocida and conocida.lineas:
            self._put(pedido, tuple(data.draw(st.permutations(sorted(conocida.lineas)))))

    @rule(pedido=pedidos, times=st.integers(1, 2))
    def confirma(self, pedido: UUID, times: int) -> None:
        for _ in range(times):
            self._same(self.modelo.confirmar(pedido), lambda: self.sistema.confirmar(pedido))

    @rule(pedido=pedidos, times=st.integers(1, 2))
    def libera(self, pedido: UUID, times: int) -> None:
        for _ in range(times):
            self._same(self.modelo.liberar(pedido), lambda: self.sistema.liberar(pedido))

    @rule(seconds=st.sampled_from([1, 450, 899, 900, 3600]))
    def pasa_el_tiempo(self, seconds: int) -> None:
        self.clock.advance(seconds)
        self.modelo.ahora = self.clock.now()

    @rule()
    def barre(self) -> None:
        self.modelo.expirar()
        self.sistema.expirar()

    @rule(producto=st.sampled_from([CAFE, TE, AGUA]), tipo=st.sampled_from(["ENTRADA", "SALIDA"]), cantidad=cantidades)
    def mueve(self, producto: UUID, tipo: str, cantidad: int) -> None:
        self._move(producto, tipo, cantidad, None)

    @rule(producto=st.sampled_from([CAFE, TE]), cantidad=cantidades, fallo=st.sampled_from([0, 0, 1, None]))
    def ajusta(self, producto: UUID, cantidad: int, fallo: int | None) -> None:
        esperado = None if fallo is None else self.modelo.fisico[producto] + fallo
        self._move(producto, "AJUSTE", cantidad, esperado)

    @invariant()
    def cuadra(self) -> None:
        reservas = self.sistema.reservas()
        for producto, e in self.sistema.existencias().items():
            assert 0 <= e.reservado <= e.fisico
            assert e.fisico == self.sistema.libro(producto) == self.modelo.fisico[producto]
            activas = (r for r in reservas.values() if r.estado is EstadoReserva.ACTIVA)
            held = sum(linea.cantidad for r in activas for linea in r.lineas if linea.producto_id == producto)
            assert e.reservado == held == self.modelo.reservado(producto)

    @invariant()
    def cada_reserva_es_la_del_modelo(self) -> None:
        found = {
            p: (r.estado, {(x.producto_id, x.cantidad) for x in r.lineas}) for p, r in self.sistema.reservas().items()
        }
        assert found == {p: (r.estado, r.lineas) for p, r in self.modelo.reservas.items()}

    @invariant()
    def lo_cerrado_nunca_revive(self) -> None:
        vivas = {p for p, r in self.modelo.reservas.items() if r.estado in ("ACTIVA", "CONFIRMADA")}
        assert not vivas & self.cerrados
        self.cerrados |= self.modelo.reservas.keys() - vivas

    def _put(self, pedido: UUID, lineas: Lineas) -> None:
        expected = self.modelo.reservar(pedido, lineas)
        self._same(expected, lambda: self.sistema.reservar(pedido, tuple(Linea(*linea) for linea in lineas)))

    def _move(self, producto: UUID, tipo: str, cantidad: int, esperado: int | None) -> None:
        expected = self.modelo.mover(producto, tipo, cantidad, esperado)
        self._same(expected, lambda: self.sistema.mover(producto, TipoMovimiento(tipo), cantidad, esperado) or "hecho")

    def _same(self, expected: str, action: Callable[[], str]) -> None:
        try:
            told = str(action())
        except Problem as problem:
            told = problem.slug
        assert told == expected

    def teardown(self) -> None:
        self.sistema.cerrar()


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
