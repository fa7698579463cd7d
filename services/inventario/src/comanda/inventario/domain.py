"""Stock, its ledger and reservations: what they are, and what can be wrong with a request about them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar, Literal, Protocol
from uuid import UUID

from comanda.common.problems import Problem


class EstadoReserva(StrEnum):
    ACTIVA = "ACTIVA"
    CONFIRMADA = "CONFIRMADA"
    LIBERADA = "LIBERADA"
    EXPIRADA = "EXPIRADA"
    RECHAZADA = "RECHAZADA"


class TipoMovimiento(StrEnum):
    ENTRADA = "ENTRADA"
    SALIDA = "SALIDA"
    AJUSTE = "AJUSTE"
    VENTA = "VENTA"


@dataclass(frozen=True, slots=True)
class Linea:
    producto_id: UUID
    cantidad: int


@dataclass(frozen=True, slots=True)
class Falta:
    """A line that cannot be served: how much was asked for, how much there is."""

    producto_id: UUID
    solicitado: int
    disponible: int

    def documento(self) -> dict[str, Any]:
        return {"producto_id": str(self.producto_id), "solicitado": self.solicitado, "disponible": self.disponible}


@dataclass(frozen=True, slots=True)
class Existencias:
    """The stock of one product: `0 ≤ reservado ≤ fisico`, always."""

    producto_id: UUID
    fisico: int
    reservado: int
    version: int
    actualizado_en: datetime

    @property
    def disponible(self) -> int:
        return self.fisico - self.reservado

    def mover(self, *, fisico: int = 0, reservado: int = 0, ahora: datetime) -> "Existencias":
        """The stock after those changes. Raises `ExistenciasInsuficientes` below what is reserved."""
        despues = replace(
            self,
            fisico=self.fisico + fisico,
            reservado=self.reservado + reservado,
            version=self.version + 1,
            actualizado_en=ahora,
        )
        if not 0 <= despues.reservado <= despues.fisico:
            solicitado = max(-fisico, reservado)
            raise ExistenciasInsuficientes([Falta(self.producto_id, solicitado, self.disponible)])
        return despues


@dataclass(frozen=True, slots=True)
class Movimiento:
    """A line of the ledger: the signed change of `fisico` and its cause."""

    id: UUID
    producto_id: UUID
    tipo: TipoMovimiento
    cantidad: int
    motivo: str | None
    pedido_id: UUID | None
    creado_en: datetime


@dataclass(frozen=True, slots=True)
class Reserva:
    """Stock held for an order. A closed one without lines is a tombstone: it only refuses."""

    pedido_id: UUID
    estado: EstadoReserva
    lineas: tuple[Linea, ...]
    expira_en: datetime | None
    faltantes: tuple[Falta, ...]
    creado_en: datetime
    actualizado_en: datetime

    def vencida(self, ahora: datetime) -> bool:
        """Whether its time is over, swept or not."""
        return self.estado is EstadoReserva.ACTIVA and self.expira_en is not None and self.expira_en <= ahora

    @property
    def version(self) -> int:
        """Another after each change: the microsecond of the last one."""
        return int(self.actualizado_en.timestamp() * 1_000_000)

    def cerrar(self, estado: EstadoReserva, ahora: datetime) -> "Reserva":
        return replace(self, estado=estado, actualizado_en=ahora)


@dataclass(frozen=True, slots=True)
class Operacion:
    """What is asked of the stock for one order; only `reservar` has lines."""

    tipo: Literal["reservar", "confirmar", "liberar"]
    pedido_id: UUID
    lineas: tuple[Linea, ...] = ()


class ExistenciasInsuficientes(Problem):
    """There is less than what was asked for; `faltantes` says of what and how much. Nothing was taken."""

    status, slug, title = 409, "existencias-insuficientes", "No hay existencias suficientes"
    extra_schema: ClassVar[Mapping[str, Any]] = {
        "faltantes": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["producto_id", "solicitado", "disponible"],
                "properties": {
                    "producto_id": {"type": "string", "format": "uuid"},
                    "solicitado": {"type": "integer"},
                    "disponible": {"type": "integer"},
                },
            },
        }
    }

    def __init__(self, faltantes: Iterable[Falta]) -> None:
        super().__init__(faltantes=[falta.documento() for falta in faltantes])


class ReservaCerrada(Problem):
    """The reservation was released, expired or refused, or its id is too old: it cannot hold anything any more."""

    status, slug, title = 409, "reserva-cerrada", "La reserva está cerrada"
    extra_schema: ClassVar[Mapping[str, Any]] = {"estado": {"type": "string"}}

    def __init__(self, estado: EstadoReserva) -> None:
        super().__init__(estado=estado.value)


class ReservaConfirmada(Problem):
    """The reservation was confirmed: its stock has left, there is nothing to release."""

    status, slug, title = 409, "reserva-confirmada", "La reserva ya está confirmada"


class ProductoInexistente(Problem):
    """productos does not know this product."""

    status, slug, title = 422, "producto-inexistente", "El producto no existe"


class InventarioExistente(Problem):
    """This product already has stock here: change it with a movement."""

    status, slug, title = 409, "inventario-existente", "El producto ya tiene inventario"


class ExistenciasCambiadas(Problem):
    """The count is not what the caller believed it to be (`fisico` tells): count again before adjusting."""

    status, slug, title = 409, "existencias-cambiadas", "Las existencias no son las esperadas"
    extra_schema: ClassVar[Mapping[str, Any]] = {"fisico": {"type": "integer"}}


class Productos(Protocol):
    """The neighbour that knows which products exist."""

    async def existe(self, producto_id: UUID) -> bool: ...


def movimiento_con_signo(
    existencias: Existencias, tipo: TipoMovimiento, cantidad: int, fisico_esperado: int | None
) -> int:
    """The signed change of `fisico` that a movement asks for.

    Raises:
        ExistenciasCambiadas: an AJUSTE that does not name the present figure.
    """
    if tipo is TipoMovimiento.ENTRADA:
        return cantidad
    if tipo is TipoMovimiento.SALIDA:
        return -cantidad
    if fisico_esperado != existencias.fisico:
        raise ExistenciasCambiadas(fisico=existencias.fisico)
    return cantidad - existencias.fisico
