"""Which use case mends which violation, and what an operator has to do where none does. Pure."""

from collections.abc import Set
from dataclasses import dataclass

from comanda.cli.audit import NO_STOCK, SAME_LINES, Document, Violation, lines, state_of

SALE = "venta"


@dataclass(frozen=True, slots=True)
class Remedy:
    """A request that any client with the right to make it could make.

    Args:
        service: `pedidos`, called as an administrator; or `inventario`, called as pedidos.
        action: of the order or the reservation.
        lines: what was sold, where inventario has to be told.
    """

    service: str
    id: str
    action: str
    motivo: str | None = None
    lines: tuple[tuple[str, int], ...] = ()

    @property
    def method(self) -> str:
        return "PUT" if self.action == SALE else "POST"

    @property
    def body(self) -> Document | None:
        if self.lines:
            return {"lineas": [{"producto_id": product, "cantidad": quantity} for product, quantity in self.lines]}
        return {"motivo": self.motivo} if self.motivo else None

    @property
    def path(self) -> str:
        return f"/{'pedidos' if self.service == 'pedidos' else 'reservas'}/{self.id}/{self.action}"

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(frozen=True, slots=True)
class Situation:
    """An order, its reservation, and what else decides whether touching them does good.

    Args:
        unsound: products whose stock is itself wrong (invariants 1 to 3), or could not be judged.
        sold: whether the ledger already has the sale of this order.
    """

    pedido: Document | None
    reserva: Document | None
    unsound: Set[str]
    sold: bool

    @property
    def standing(self) -> str:
        order = f"pedido {self.pedido['fase']}" if self.pedido else "sin pedido"
        return f"{order}, reserva {state_of(self.reserva)}"


STOCK_ADVICE = {
    1: "ningún movimiento lo arregla: contar la mercancía y, con inventario parado, corregir la fila de existencias",
    2: "un movimiento cambia fisico y su suma a la vez: contar la mercancía y, con inventario parado, corregir fisico "
    "o el movimiento que falta o sobra",
    3: "ningún caso de uso cambia solo reservado: arreglar antes pedidos y reservas y, con inventario parado, poner "
    "reservado a la suma de sus reservas ACTIVA",
}

NO_STOCK_ADVICE = (
    "ningún caso de uso repone una fila de existencias: con inventario parado, insertarla con fisico igual a la suma "
    "de sus movimientos y reservado igual a la de sus reservas ACTIVA"
)

_OTHER_LINES = (
    "pedido y reserva nombran otras líneas: comparar con los movimientos VENTA del pedido y, con el servicio parado, "
    "corregir el que no coincida"
)
_OTHER_LINES_HELD = (
    "pedido y reserva nombran otras líneas y aún no hay venta: con el servicio parado, corregir el que no coincida, o "
    "cancelar el pedido"
)
_NOT_SOLD = (
    "un pedido COMPLETADO no se deshace y su reserva ya no se puede confirmar: comprobar si la mercancía salió y "
    "restaurar ambas bases de datos a un mismo momento, o corregir la fila equivocada con el servicio parado"
)
_ALREADY_SOLD = "su VENTA ya está en los movimientos: con inventario parado, poner la reserva a CONFIRMADA"
_SOLD_AND_CANCELLED = (
    "la mercancía salió para un pedido cancelado: decidir si la venta vale; con el servicio parado, corregir el "
    "pedido, o la reserva y, si la mercancía volvió, anotar una ENTRADA"
)
_NO_END = "la reserva no expira: completar o cancelar el pedido"


def plan(violation: Violation, situation: Situation) -> Remedy | str:
    """What mends it, or what there is to do by hand.

    A reservation that is ACTIVA moves stock when it is confirmed or released, and so does a sale that is recorded anew.
    Where the stock is itself wrong that would take from what others hold, so nothing is done before it is right.
    """
    if violation.kind == "producto":
        return NO_STOCK_ADVICE if violation.found == NO_STOCK else STOCK_ADVICE[violation.invariant]
    found = _for_order(violation, situation)
    if isinstance(found, Remedy) and (moved := _moved(found, situation)):
        unsound = sorted(lines(moved).keys() & situation.unsound)
        if unsound:
            return f"las existencias de {', '.join(unsound)} no cuadran: moverlas antes de corregirlas quita a otros"
    return found


def _moved(remedy: Remedy, situation: Situation) -> Document | None:
    """Whose stock the remedy moves."""
    if situation.reserva and state_of(situation.reserva) == "ACTIVA":
        return situation.reserva
    return situation.pedido if remedy.lines else None


def _for_order(violation: Violation, situation: Situation) -> Remedy | str:
    fase = situation.pedido["fase"] if situation.pedido else None
    state = state_of(situation.reserva)
    if fase in ("RESERVADO", "COMPLETANDO") and (fase, state) in SAME_LINES and _lines_differ(situation):
        return _OTHER_LINES if state == "CONFIRMADA" else _OTHER_LINES_HELD
    match violation.invariant, fase, state:
        case _, "COMPLETADO", _:
            return _completed(violation, situation)
        case _, None, "CONFIRMADA":
            return Remedy("pedidos", violation.id, SALE)
        case _, "RESERVADO", "CONFIRMADA":
            return _OTHER_LINES if _lines_differ(situation) else Remedy("pedidos", violation.id, "completar")
        case _, "SOLICITADO" | "CANCELANDO", "CONFIRMADA":
            return _OTHER_LINES if _lines_differ(situation) else Remedy("pedidos", violation.id, SALE)
        case _, "CANCELADO", "CONFIRMADA":
            return _SOLD_AND_CANCELLED
        case 6, _, _:
            return Remedy("pedidos", violation.id, "cancelar", "reparado")
        case 8, _, _:
            return _overdue(violation, situation, fase)
    return Remedy("inventario", violation.id, "liberar")


def _completed(violation: Violation, situation: Situation) -> Remedy | str:
    reserva, pedido = situation.reserva, situation.pedido
    if reserva and reserva["lineas"] and _lines_differ(situation):
        return _OTHER_LINES
    if situation.sold:
        return _ALREADY_SOLD
    # Held once and given back, or refused, in full knowledge of its lines: it was never sold.
    if pedido is None or (reserva and reserva["lineas"] and reserva["estado"] in ("LIBERADA", "RECHAZADA")):
        return _NOT_SOLD
    return Remedy("inventario", violation.id, SALE, lines=tuple(sorted(lines(pedido).items())))


def _overdue(violation: Violation, situation: Situation, fase: str | None) -> Remedy | str:
    if violation.kind == "reserva":
        endless = situation.reserva and situation.reserva["expira_en"] is None
        if endless and fase not in (None, "CANCELADO"):
            return _NO_END
        return Remedy("inventario", violation.id, "liberar")
    if fase == "COMPLETANDO":
        return Remedy("pedidos", violation.id, "completar")
    return Remedy("pedidos", violation.id, "cancelar", "reparado")


def _lines_differ(situation: Situation) -> bool:
    if situation.pedido is None or situation.reserva is None:
        return True
    return lines(situation.pedido) != lines(situation.reserva)
