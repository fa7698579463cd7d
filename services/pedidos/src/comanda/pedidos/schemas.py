"""JSON shapes of pedidos."""

from typing import Annotated
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, Field

from comanda.common.money import Money, TotalInput
from comanda.common.requests import Body, Integer, Line, filled, no_repeats
from comanda.pedidos.domain import Estado, Fase, LineaPedida, Pedido, Transicion

MAX_LINES = 100
MAX_PER_LINE = 1_000_000


PRODUCT_ONCE = no_repeats("producto_id", "Un producto aparece en dos líneas.")


class LineaNueva(Body):
    producto_id: UUID
    cantidad: Annotated[Integer, Field(ge=1, le=MAX_PER_LINE)]


class PedidoNuevo(Body):
    lineas: Annotated[
        list[LineaNueva],
        Field(min_length=1, max_length=MAX_LINES),
        PRODUCT_ONCE,
    ]
    total_esperado: TotalInput | None = None

    def dominio(self) -> list[LineaPedida]:
        return [LineaPedida(linea.producto_id, linea.cantidad) for linea in self.lineas]


class Cancelacion(Body):
    motivo: Annotated[Line, Field(min_length=1, max_length=500)] | None = None


class LineaDocumento(BaseModel):
    producto_id: UUID
    sku: str
    nombre: str
    precio_unitario: Money
    cantidad: int
    importe: Money


class PedidoDocumento(BaseModel):
    id: UUID
    cliente_id: str
    estado: Estado
    fase: Fase
    lineas: list[LineaDocumento]
    total: Money
    moneda: str
    motivo: str | None
    reserva_expira_en: AwareDatetime | None
    creado_en: AwareDatetime
    actualizado_en: AwareDatetime

    @classmethod
    def de(cls, pedido: Pedido) -> "PedidoDocumento":
        return filled(
            cls,
            id=pedido.id,
            cliente_id=pedido.cliente_id,
            estado=pedido.estado,
            fase=pedido.fase,
            lineas=[
                filled(
                    LineaDocumento,
                    producto_id=linea.producto_id,
                    sku=linea.sku,
                    nombre=linea.nombre,
                    precio_unitario=linea.precio_centimos,
                    cantidad=linea.cantidad,
                    importe=linea.importe_centimos,
                )
                for linea in pedido.lineas
            ],
            total=pedido.total_centimos,
            moneda=pedido.moneda,
            motivo=pedido.motivo,
            reserva_expira_en=pedido.reserva_expira_en,
            creado_en=pedido.creado_en,
            actualizado_en=pedido.actualizado_en,
        )


class TransicionDocumento(BaseModel):
    en: AwareDatetime
    de: Fase | None
    a: Fase
    causa: str

    @classmethod
    def de_transicion(cls, transicion: Transicion) -> "TransicionDocumento":
        return cls(en=transicion.en, de=transicion.de, a=transicion.a, causa=transicion.causa)
