"""JSON shapes of inventario."""

from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from comanda.common.requests import Body, Integer, Line, no_repeats
from comanda.inventario.domain import (
    EstadoReserva,
    Existencias,
    Falta,
    Linea,
    Movimiento,
    Operacion,
    Reserva,
    TipoMovimiento,
)

MAX_COUNT = 1_000_000_000
MAX_LINES = 100
MAX_OPERATIONS = 200
MAX_PER_LINE = 1_000_000

Cantidad = Annotated[Integer, Field(ge=0, le=MAX_COUNT)]


PRODUCT_ONCE = no_repeats("producto_id", "Un producto aparece en dos líneas.")


class LineaDocumento(Body):
    producto_id: UUID
    cantidad: Annotated[Integer, Field(ge=1, le=MAX_PER_LINE)]


Lineas = Annotated[
    list[LineaDocumento],
    Field(min_length=1, max_length=MAX_LINES),
    PRODUCT_ONCE,
]


class LineasPedidas(Body):
    lineas: Lineas

    def dominio(self) -> tuple[Linea, ...]:
        return tuple(Linea(linea.producto_id, linea.cantidad) for linea in self.lineas)


class OperacionDocumento(Body):
    """What is asked for one order."""

    pedido_id: UUID
    operacion: Literal["reservar", "confirmar", "liberar"]
    lineas: Lineas | None = None

    @model_validator(mode="after")
    def _lines_to_reserve(self) -> Self:
        if (self.operacion == "reservar") != (self.lineas is not None):
            raise PydanticCustomError("texto", "Solo «reservar» lleva líneas, y las necesita.")
        return self

    def dominio(self) -> Operacion:
        lineas = tuple(Linea(linea.producto_id, linea.cantidad) for linea in self.lineas or ())
        return Operacion(self.operacion, self.pedido_id, lineas)


class LoteDocumento(Body):
    operaciones: Annotated[list[OperacionDocumento], Field(min_length=1, max_length=MAX_OPERATIONS)]


class Resultado(BaseModel):
    """As the operation's own route would have answered: the status, and the reservation or the problem."""

    status: int
    cuerpo: dict[str, Any]


class Resultados(BaseModel):
    resultados: list[Resultado]


class InventarioNuevo(Body):
    producto_id: UUID
    cantidad: Cantidad


class MovimientoNuevo(Body):
    tipo: Literal["ENTRADA", "SALIDA", "AJUSTE"]
    cantidad: Cantidad
    fisico_esperado: Annotated[Integer, Field(ge=0)] | None = None
    motivo: Annotated[Line, Field(max_length=500)] | None = None


class _Documento(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class ExistenciasDocumento(_Documento):
    producto_id: UUID
    fisico: int
    reservado: int
    disponible: int
    actualizado_en: AwareDatetime

    @classmethod
    def de(cls, existencias: Existencias) -> "ExistenciasDocumento":
        return cls.model_validate(existencias)


class MovimientoDocumento(_Documento):
    id: UUID
    producto_id: UUID
    tipo: TipoMovimiento
    cantidad: int
    motivo: str | None
    pedido_id: UUID | None
    creado_en: AwareDatetime

    @classmethod
    def de(cls, movimiento: Movimiento) -> "MovimientoDocumento":
        return cls.model_validate(movimiento)


class FaltaDocumento(_Documento):
    producto_id: UUID
    solicitado: int
    disponible: int


class Disponibilidad(BaseModel):
    disponible: bool
    faltantes: list[FaltaDocumento]

    @classmethod
    def de(cls, faltantes: tuple[Falta, ...]) -> "Disponibilidad":
        return cls(disponible=not faltantes, faltantes=[FaltaDocumento.model_validate(falta) for falta in faltantes])


class LineaReservada(_Documento):
    producto_id: UUID
    cantidad: int


class ReservaDocumento(_Documento):
    pedido_id: UUID
    estado: EstadoReserva
    lineas: list[LineaReservada]
    expira_en: AwareDatetime | None
    creado_en: AwareDatetime
    actualizado_en: AwareDatetime

    @classmethod
    def de(cls, reserva: Reserva) -> "ReservaDocumento":
        return cls.model_validate(reserva)
