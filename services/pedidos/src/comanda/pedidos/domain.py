"""An order and the transitions it can make. Pure; who persists a transition does it by compare-and-set."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar, Protocol
from uuid import UUID

from comanda.common.problems import Problem

EXPIRADO = "expirado"
ABANDONADO = "abandonado"
INSUFICIENTES = "existencias-insuficientes"
RESERVA_CERRADA = "reserva-cerrada"
MOTIVOS_DEL_SISTEMA = frozenset({EXPIRADO, ABANDONADO, INSUFICIENTES, RESERVA_CERRADA})
"""What only the system may give as the reason of a cancellation: rules depend on it."""


class Fase(StrEnum):
    """Where an order stands in the saga."""

    SOLICITADO = "SOLICITADO"
    RESERVADO = "RESERVADO"
    COMPLETANDO = "COMPLETANDO"
    CANCELANDO = "CANCELANDO"
    COMPLETADO = "COMPLETADO"
    CANCELADO = "CANCELADO"


ABIERTAS = (Fase.SOLICITADO, Fase.RESERVADO, Fase.COMPLETANDO, Fase.CANCELANDO)
"""The phases that are not final."""


class Estado(StrEnum):
    """What the client is told of it."""

    PENDIENTE = "PENDIENTE"
    COMPLETADO = "COMPLETADO"
    CANCELADO = "CANCELADO"


def estado_de(fase: Fase) -> Estado:
    """The public state of a phase: final phases are themselves, all others are pending."""
    return Estado(fase) if fase in (Fase.COMPLETADO, Fase.CANCELADO) else Estado.PENDIENTE


@dataclass(frozen=True, slots=True)
class LineaPedida:
    producto_id: UUID
    cantidad: int


@dataclass(frozen=True, slots=True)
class Ficha:
    """What productos says of a product."""

    producto_id: UUID
    sku: str
    nombre: str
    precio_centimos: int
    moneda: str
    activo: bool


@dataclass(frozen=True, slots=True)
class Linea:
    """A line of an order: name and price as they were when it was placed."""

    producto_id: UUID
    sku: str
    nombre: str
    precio_centimos: int
    cantidad: int

    @property
    def importe_centimos(self) -> int:
        return self.precio_centimos * self.cantidad


@dataclass(frozen=True, slots=True)
class Transicion:
    """One entry of an order's history."""

    en: datetime
    de: Fase | None
    a: Fase
    causa: str


@dataclass(frozen=True, slots=True)
class Pedido:
    id: UUID
    cliente_id: str
    fase: Fase
    version: int
    lineas: tuple[Linea, ...]
    moneda: str
    motivo: str | None
    reserva_expira_en: datetime | None
    creado_en: datetime
    actualizado_en: datetime

    @property
    def estado(self) -> Estado:
        return estado_de(self.fase)

    @property
    def total_centimos(self) -> int:
        return sum(linea.importe_centimos for linea in self.lineas)

    @property
    def unidades(self) -> int:
        return sum(linea.cantidad for linea in self.lineas)

    def reservado(self, expira_en: datetime, ahora: datetime) -> "Pedido":
        return self._pasar(Fase.RESERVADO, ahora, desde={Fase.SOLICITADO}, reserva_expira_en=expira_en)

    def rechazado(self, motivo: str, ahora: datetime) -> "Pedido":
        """inventario will not hold, or no longer holds, its stock."""
        desde = {Fase.SOLICITADO, Fase.RESERVADO, Fase.COMPLETANDO}
        return self._pasar(Fase.CANCELADO, ahora, desde=desde, motivo=motivo)

    def completar(self, ahora: datetime) -> "Pedido":
        """The intent to let it be sold. Raises `TransicionInvalida` unless its stock is held."""
        return self._pasar(Fase.COMPLETANDO, ahora, desde={Fase.RESERVADO})

    def vendido(self, ahora: datetime) -> "Pedido":
        """inventario has sold it already, which a restored database has forgotten: the intent to say so here, too."""
        desde = {Fase.SOLICITADO, Fase.RESERVADO, Fase.CANCELANDO}
        return self._pasar(Fase.COMPLETANDO, ahora, desde=desde, motivo=None)

    def completado(self, ahora: datetime) -> "Pedido":
        return self._pasar(Fase.COMPLETADO, ahora, desde={Fase.COMPLETANDO})

    def cancelar(self, motivo: str, ahora: datetime) -> "Pedido":
        """The intent to give its stock back. Raises `TransicionInvalida` once it is being completed."""
        return self._pasar(Fase.CANCELANDO, ahora, desde={Fase.SOLICITADO, Fase.RESERVADO}, motivo=motivo)

    def cancelado(self, ahora: datetime) -> "Pedido":
        return self._pasar(Fase.CANCELADO, ahora, desde={Fase.CANCELANDO})

    def _pasar(self, a: Fase, ahora: datetime, *, desde: Collection[Fase], **cambios: Any) -> "Pedido":
        if self.fase not in desde:
            raise TransicionInvalida(self)
        return replace(self, fase=a, version=self.version + 1, actualizado_en=ahora, **cambios)


class TransicionInvalida(Problem):
    """The order cannot do that from where it stands (`estado`)."""

    status, slug, title = 409, "transicion-invalida", "El pedido no admite esta operación en su estado"
    extra_schema: ClassVar[Mapping[str, Any]] = {"estado": {"type": "string"}, "fase": {"type": "string"}}

    def __init__(self, pedido: Pedido) -> None:
        super().__init__(f"El pedido está {pedido.fase}.", estado=pedido.estado.value, fase=pedido.fase.value)


class ProductoNoDisponible(Problem):
    """Some products (`productos`) do not exist or are not for sale. Nothing was recorded."""

    status, slug, title = 422, "producto-no-disponible", "Hay productos que no están a la venta"
    extra_schema: ClassVar[Mapping[str, Any]] = {
        "productos": {"type": "array", "items": {"type": "string", "format": "uuid"}}
    }


class TotalDistinto(Problem):
    """The order would cost another sum (`total`) than the client expects. Nothing was recorded."""

    status, slug, title = 409, "total-distinto", "El total no es el esperado"
    extra_schema: ClassVar[Mapping[str, Any]] = {"total": {"type": "string"}}


class ExistenciasInsuficientes(Problem):
    """There is less than what was ordered (`faltantes`). The order is recorded as CANCELADO."""

    status, slug, title = 409, INSUFICIENTES, "No hay existencias suficientes"
    extra_schema: ClassVar[Mapping[str, Any]] = {
        "faltantes": {"type": "array", "items": {"type": "object"}},
        "pedido_id": {"type": "string", "format": "uuid"},
    }


class PedidoCancelado(Problem):
    """The order was cancelled meanwhile (`motivo`). That is final: a new order needs a new key."""

    status, slug, title = 409, "pedido-cancelado", "El pedido se canceló"
    extra_schema: ClassVar[Mapping[str, Any]] = {
        "pedido_id": {"type": "string", "format": "uuid"},
        "motivo": {"type": ["string", "null"]},
    }

    def __init__(self, pedido: Pedido) -> None:
        super().__init__(pedido_id=str(pedido.id), motivo=pedido.motivo)


class VentaDesconocida(Problem):
    """inventario has sold nothing for this order: complete or cancel it as usual."""

    status, slug, title = 409, "venta-desconocida", "Inventario no ha vendido este pedido"


class ReservaExpirada(Problem):
    """The time to complete the order is over: its stock went back, the order is CANCELADO."""

    status, slug, title = 409, "reserva-expirada", "La reserva del pedido ha expirado"


class DemasiadosPendientes(Problem):
    """The client has as many pending orders, or units in them, as the shop allows."""

    status, slug, title = 429, "demasiados-pendientes", "Demasiados pedidos pendientes"


@dataclass(frozen=True, slots=True)
class Reservada:
    """inventario holds all lines until that time."""

    expira_en: datetime


@dataclass(frozen=True, slots=True)
class Insuficientes:
    """inventario refuses for ever: there is not enough."""

    faltantes: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Cerrada:
    """inventario holds nothing for this order and never will; `estado` says since what."""

    estado: str

    @property
    def motivo(self) -> str:
        return EXPIRADO if self.estado == "EXPIRADA" else RESERVA_CERRADA


RESERVAS_CERRADAS = frozenset({"LIBERADA", "EXPIRADA", "RECHAZADA"})
"""The states in which a reservation holds nothing and never will again."""


@dataclass(frozen=True, slots=True)
class Confirmada:
    """inventario let the stock leave."""


@dataclass(frozen=True, slots=True)
class Liberada:
    """inventario holds nothing for this order, and will refuse to."""


Veredicto = Reservada | Insuficientes | Cerrada | Confirmada | Liberada


class Inventario(Protocol):
    """The neighbour that holds stock. Each call may be repeated by anyone; each raises when nothing is known."""

    async def reservar(self, pedido: Pedido) -> Reservada | Insuficientes | Cerrada: ...
    async def confirmar(self, pedido: Pedido) -> Confirmada | Cerrada: ...
    async def liberar(self, pedido: Pedido) -> Liberada: ...
    async def estados(self, ids: Sequence[UUID]) -> Mapping[UUID, str]: ...
    async def venta(self, pedido_id: UUID) -> Sequence[LineaPedida] | None: ...


class Productos(Protocol):
    """The neighbour that knows names and prices."""

    def kept(self, ids: Sequence[UUID]) -> Mapping[UUID, Ficha] | None:
        """All of them, if each was for sale lately enough to be sold without asking."""

    @property
    def is_well(self) -> bool:
        """Whether it answered when it was last asked."""

    async def fichas(self, ids: Sequence[UUID]) -> Mapping[UUID, Ficha]: ...


def preparar_lineas(pedidas: Sequence[LineaPedida], fichas: Mapping[UUID, Ficha]) -> tuple[Linea, ...]:
    """The lines of a new order, with names and prices copied. Raises `ProductoNoDisponible`."""
    ausentes = [
        str(pedida.producto_id)
        for pedida in pedidas
        if pedida.producto_id not in fichas or not fichas[pedida.producto_id].activo
    ]
    if ausentes:
        raise ProductoNoDisponible(productos=ausentes)
    return tuple(
        Linea(ficha.producto_id, ficha.sku, ficha.nombre, ficha.precio_centimos, pedida.cantidad)
        for pedida in pedidas
        for ficha in [fichas[pedida.producto_id]]
    )
