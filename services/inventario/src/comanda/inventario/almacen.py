"""The stock engine: what is there, what is held, and who holds it.

Pure. A transaction loads the rows it needs into an `Almacen`, the engine decides, and the repository writes what
changed. A refusal can leave something behind too (a stored refusal, a tombstone, an expiry that was noticed): whoever
catches it must still commit.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID

from comanda.inventario.domain import (
    EstadoReserva,
    Existencias,
    ExistenciasInsuficientes,
    Falta,
    Linea,
    Movimiento,
    Reserva,
    ReservaCerrada,
    ReservaConfirmada,
    TipoMovimiento,
)

OLDEST_ID = timedelta(hours=48)
"""A reservation is refused under an id made longer ago than this …"""

CLOSED_KEPT = timedelta(hours=72)
"""… so closed reservations can be forgotten after this time, and no late request can revive one …"""

NEWEST_ID = CLOSED_KEPT - OLDEST_ID
"""… provided that its id was not made further ahead of our clock than this: such an id is refused as well."""


SIN_CONTAR = "salió con un pedido sin que constara su entrada: contar la mercancía"
"""Why an AJUSTE was made for a sale that the stock did not cover."""


class Descuadre(Exception):
    """The stock of this product does not cover what its reservations hold: somebody has changed rows by hand.

    No refusal, so nothing of the transaction is kept. `comanda verify` says where the books differ.
    """


@dataclass(slots=True)
class Almacen:
    """The working set of one transaction: the rows it has locked, changed in place by the engine.

    Args:
        existencias: the stock of every product that the reservations name; a product without row has 0.
        reservas: every reservation that is worked on. One in `nuevas` was unknown until now: it stands here as what it
            becomes if all goes well (`ACTIVA` without lines, or a tombstone).
        nuevo_id: makes the ids of ledger lines.
    """

    existencias: dict[UUID, Existencias]
    reservas: dict[UUID, Reserva]
    nuevas: set[UUID]
    ahora: datetime
    nuevo_id: Callable[[], UUID]
    movimientos: list[Movimiento] = field(default_factory=list)
    _antes: "tuple[dict[UUID, Existencias], dict[UUID, Reserva]]" = field(init=False)

    def __post_init__(self) -> None:
        self._antes = dict(self.existencias), dict(self.reservas)

    def reservar(self, pedido_id: UUID, lineas: tuple[Linea, ...], creado: datetime | None) -> Reserva:
        """Holds all lines or none.

        Args:
            creado: when the order's id was made, by the id itself; None when it does not say.

        Raises:
            ExistenciasInsuficientes: and the refusal is kept: the same request gets it for ever.
            ReservaCerrada: closed before, other lines, or an id that is too old, too new or timeless.
        """
        reserva = self.reservas[pedido_id]
        if pedido_id not in self.nuevas:
            return self._repetida(reserva, lineas)
        self.nuevas.discard(pedido_id)
        if creado is None or not -NEWEST_ID <= self.ahora - creado <= OLDEST_ID:
            raise ReservaCerrada(self._cerrar(reserva, EstadoReserva.LIBERADA).estado)
        faltantes = self.faltantes(lineas)
        if faltantes:
            self.reservas[pedido_id] = replace(
                reserva, estado=EstadoReserva.RECHAZADA, lineas=lineas, faltantes=faltantes, expira_en=None
            )
            raise ExistenciasInsuficientes(faltantes)
        for linea in lineas:
            self._mover(linea.producto_id, reservado=linea.cantidad)
        self.reservas[pedido_id] = replace(reserva, lineas=lineas)
        return self.reservas[pedido_id]

    def confirmar(self, pedido_id: UUID) -> Reserva:
        """Lets the held stock leave; again and again with the same result.

        Raises:
            ReservaCerrada: released, refused, over its time, or unknown until now (a tombstone stays).
        """
        reserva = self._vigente(pedido_id)
        if reserva.estado is EstadoReserva.CONFIRMADA:
            return reserva
        if reserva.estado is not EstadoReserva.ACTIVA:
            raise ReservaCerrada(reserva.estado)
        for linea in reserva.lineas:
            self._mover(linea.producto_id, fisico=-linea.cantidad, reservado=-linea.cantidad)
            self._anotar(linea.producto_id, TipoMovimiento.VENTA, -linea.cantidad, pedido_id)
        return self._cerrar(reserva, EstadoReserva.CONFIRMADA)

    def vender(self, pedido_id: UUID, lineas: tuple[Linea, ...]) -> Reserva:
        """Records a sale that has happened, whatever became of its reservation; again and again with the same result.

        What is not there besides what is held for others must have come in without being counted: an AJUSTE says so.

        Raises:
            ReservaCerrada: it names other lines.
        """
        reserva = self._vigente(pedido_id)
        if reserva.lineas and not _mismas(reserva.lineas, lineas):
            raise ReservaCerrada(reserva.estado)
        if reserva.estado in (EstadoReserva.ACTIVA, EstadoReserva.CONFIRMADA):
            return self.confirmar(pedido_id)
        for linea in lineas:
            if (falta := linea.cantidad - self._disponible(linea.producto_id)) > 0:
                self._mover(linea.producto_id, fisico=falta)
                self._anotar(linea.producto_id, TipoMovimiento.AJUSTE, falta, pedido_id, SIN_CONTAR)
            self._mover(linea.producto_id, fisico=-linea.cantidad)
            self._anotar(linea.producto_id, TipoMovimiento.VENTA, -linea.cantidad, pedido_id)
        return self._cerrar(replace(reserva, lineas=lineas, faltantes=()), EstadoReserva.CONFIRMADA)

    def liberar(self, pedido_id: UUID) -> Reserva:
        """Gives the held stock back; on an unknown id it leaves a tombstone that refuses a late reservation.

        Raises:
            ReservaConfirmada: the stock has already left.
        """
        reserva = self._vigente(pedido_id)
        if reserva.estado is EstadoReserva.CONFIRMADA:
            raise ReservaConfirmada
        if reserva.estado is not EstadoReserva.ACTIVA:
            return reserva
        return self._soltar(reserva, EstadoReserva.LIBERADA)

    def expirar(self, pedido_id: UUID) -> None:
        """Gives the stock of a reservation back if its time is over."""
        reserva = self.reservas[pedido_id]
        if reserva.vencida(self.ahora):
            self._soltar(reserva, EstadoReserva.EXPIRADA)

    def faltantes(self, lineas: Iterable[Linea]) -> tuple[Falta, ...]:
        """The lines that the available stock cannot serve."""
        return tuple(
            Falta(linea.producto_id, linea.cantidad, self._disponible(linea.producto_id))
            for linea in lineas
            if linea.cantidad > self._disponible(linea.producto_id)
        )

    def existencias_cambiadas(self) -> list[Existencias]:
        return [e for e in self.existencias.values() if e is not self._antes[0][e.producto_id]]

    def reservas_cambiadas(self) -> list[Reserva]:
        """Those whose own row is different now (lines are rows of their own)."""
        antes = self._antes[1]
        return [r for r in self.reservas.values() if replace(r, lineas=()) != replace(antes[r.pedido_id], lineas=())]

    def reservas_con_lineas_nuevas(self) -> list[Reserva]:
        return [r for r in self.reservas.values() if r.lineas and not self._antes[1][r.pedido_id].lineas]

    def _repetida(self, reserva: Reserva, lineas: tuple[Linea, ...]) -> Reserva:
        reserva = self._vigente(reserva.pedido_id)
        mismas = _mismas(reserva.lineas, lineas)
        if mismas and reserva.estado in (EstadoReserva.ACTIVA, EstadoReserva.CONFIRMADA):
            return reserva
        if mismas and reserva.estado is EstadoReserva.RECHAZADA:
            raise ExistenciasInsuficientes(reserva.faltantes)
        raise ReservaCerrada(reserva.estado)

    def _vigente(self, pedido_id: UUID) -> Reserva:
        """The reservation as this moment sees it: one whose time is over is expired first."""
        self.nuevas.discard(pedido_id)
        self.expirar(pedido_id)
        return self.reservas[pedido_id]

    def _soltar(self, reserva: Reserva, estado: EstadoReserva) -> Reserva:
        for linea in reserva.lineas:
            self._mover(linea.producto_id, reservado=-linea.cantidad)
        return self._cerrar(reserva, estado)

    def _cerrar(self, reserva: Reserva, estado: EstadoReserva) -> Reserva:
        self.reservas[reserva.pedido_id] = reserva.cerrar(estado, self.ahora)
        return self.reservas[reserva.pedido_id]

    def _anotar(
        self, producto_id: UUID, tipo: TipoMovimiento, cambio: int, pedido_id: UUID, motivo: str | None = None
    ) -> None:
        """A line of the ledger."""
        self.movimientos.append(Movimiento(self.nuevo_id(), producto_id, tipo, cambio, motivo, pedido_id, self.ahora))

    def _mover(self, producto_id: UUID, *, fisico: int = 0, reservado: int = 0) -> None:
        try:
            self.existencias[producto_id] = self.existencias[producto_id].mover(
                fisico=fisico, reservado=reservado, ahora=self.ahora
            )
        except (KeyError, ExistenciasInsuficientes) as error:
            raise Descuadre(producto_id) from error

    def _disponible(self, producto_id: UUID) -> int:
        existencias = self.existencias.get(producto_id)
        return existencias.disponible if existencias else 0


def _mismas(unas: Iterable[Linea], otras: Iterable[Linea]) -> bool:
    return sorted(unas, key=_por_producto) == sorted(otras, key=_por_producto)


def _por_producto(linea: Linea) -> UUID:
    return linea.producto_id
