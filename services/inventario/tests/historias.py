"""Random stories of stock, and the model that knows how each must end."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from comanda.common.clock import uuid7_time
from comanda.common.problems import Problem
from comanda.inventario.domain import EstadoReserva, Existencias, Linea, Reserva, TipoMovimiento
from comanda.testing import START, FakeClock

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
