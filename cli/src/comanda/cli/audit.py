"""The invariants of `docs/architecture.md` as pure functions over what the services answer."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Document = Mapping[str, Any]

NO_STOCK = "ninguna fila de existencias"

SAME_LINES = {
    ("RESERVADO", "ACTIVA"): 6,
    ("COMPLETANDO", "ACTIVA"): 4,
    ("COMPLETANDO", "CONFIRMADA"): 4,
    ("COMPLETADO", "CONFIRMADA"): 4,
}
"""Phases of an order and states of its reservation in which both name the same lines, and the invariant that says so:
what is being completed is about to be sold as the reservation has it."""


@dataclass(frozen=True, slots=True)
class Violation:
    """Something that must never be.

    Args:
        invariant: its number.
        kind: what it is about: a `pedido`, a `reserva` or a `producto`.
        id: of that; a reservation has the id of its order.
        state: where that stands, if it stands anywhere.
    """

    invariant: int
    kind: str
    id: str
    expected: str
    found: str
    state: str = ""

    @property
    def subject(self) -> str:
        return f"invariante {self.invariant}: {self.kind} {self.id} {self.state}".rstrip()

    def __str__(self) -> str:
        return f"{self.subject}: se esperaba {self.expected}, hay {self.found}"

    def document(self) -> dict[str, Any]:
        subject = {"tipo": self.kind, "id": self.id, "estado": self.state or None}
        return {"invariante": self.invariant, "sujeto": subject, "esperado": self.expected, "encontrado": self.found}


def check_stock(stock: Document, ledger_sum: int) -> list[Violation]:
    """Invariants 1 and 2, on the stock of one product and the sum of its movements."""
    product, fisico, reservado = str(stock["producto_id"]), stock["fisico"], stock["reservado"]
    violations = []
    if not 0 <= reservado <= fisico:
        found = f"reservado {reservado}, fisico {fisico}"
        violations.append(Violation(1, "producto", product, "0 ≤ reservado ≤ fisico", found))
    if stock["disponible"] != fisico - reservado:
        expected = f"disponible {fisico - reservado} (fisico − reservado)"
        violations.append(Violation(1, "producto", product, expected, str(stock["disponible"])))
    if fisico != ledger_sum:
        expected = f"fisico {ledger_sum} (suma de sus movimientos)"
        violations.append(Violation(2, "producto", product, expected, str(fisico)))
    return violations


def check_held(stock: Document, held: int) -> list[Violation]:
    """Invariant 3, on the stock of one product and what its ACTIVA reservations hold."""
    if stock["reservado"] == held:
        return []
    expected = f"reservado {held} (suma de sus reservas ACTIVA)"
    return [Violation(3, "producto", str(stock["producto_id"]), expected, str(stock["reservado"]))]


def no_stock(product: str, held: int) -> list[Violation]:
    """Invariant 3, on a product that has no stock and what its ACTIVA reservations hold all the same."""
    if not held:
        return []
    return [Violation(3, "producto", product, f"reservado {held} (suma de sus reservas ACTIVA)", NO_STOCK)]


def check_order(pedido: Document | None, reserva: Document | None) -> list[Violation]:
    """Invariants 4, 5 and 6, on an order and the reservation of the same id, either of which may be missing.

    An ACTIVA reservation without order breaks none of them: it ends by itself when its time is over. What holds or
    sells stock for an order must do so for the lines of that order.
    """
    state = state_of(reserva)
    if pedido is None:
        if state != "CONFIRMADA" or reserva is None:
            return []
        expected = "un pedido para ella"
        return [Violation(4, "reserva", str(reserva["pedido_id"]), expected, "ninguno", state)]
    violations = []

    def violated(invariant: int, expected: str, found: str) -> None:
        standing = f"{pedido['estado']}/{pedido['fase']}"
        violations.append(Violation(invariant, "pedido", str(pedido["id"]), expected, found, standing))

    if pedido["estado"] == "COMPLETADO":
        if state != "CONFIRMADA":
            violated(4, "reserva CONFIRMADA", state)
    elif pedido["estado"] == "CANCELADO":
        if state in ("ACTIVA", "CONFIRMADA"):
            violated(5, "ninguna reserva ACTIVA ni CONFIRMADA", state)
    elif state == "CONFIRMADA" and pedido["fase"] != "COMPLETANDO":
        violated(4, "COMPLETADO o COMPLETANDO, por su reserva CONFIRMADA", pedido["fase"])
    elif pedido["fase"] == "RESERVADO" and state not in ("ACTIVA", "EXPIRADA"):
        violated(6, "reserva ACTIVA o EXPIRADA", state)
    if reserva and (pedido["fase"], state) in SAME_LINES and lines(pedido) != lines(reserva):
        violated(SAME_LINES[pedido["fase"], state], f"reserva de {_text(pedido)}", _text(reserva))
    return violations


def state_of(reserva: Document | None) -> str:
    return str(reserva["estado"]) if reserva else "ninguna"


def lines(document: Document) -> Counter[str]:
    """How much of each product an order or a reservation names."""
    return _add(Counter(), document)


def held_by_product(reservas: Iterable[Document]) -> Counter[str]:
    """How much of each product the ACTIVA ones among these reservations hold."""
    held: Counter[str] = Counter()
    for reserva in reservas:
        if reserva["estado"] == "ACTIVA":
            _add(held, reserva)
    return held


def joined(
    pedidos: Iterable[Document], reservas: Iterable[Document]
) -> Iterator[tuple[str, Document | None, Document | None]]:
    """Orders and reservations paired by id, without holding either list: both must descend by id."""
    left, right = iter(pedidos), iter(reservas)
    pedido, reserva = next(left, None), next(right, None)
    while pedido is not None or reserva is not None:
        pedido_id = str(pedido["id"]) if pedido else ""
        reserva_id = str(reserva["pedido_id"]) if reserva else ""
        newest = max(pedido_id, reserva_id)
        yield newest, pedido if pedido_id == newest else None, reserva if reserva_id == newest else None
        if pedido_id == newest:
            pedido = next(left, None)
        if reserva_id == newest:
            reserva = next(right, None)


def _add(quantities: Counter[str], document: Document) -> Counter[str]:
    for line in document["lineas"]:
        quantities[line["producto_id"]] += line["cantidad"]
    return quantities


def _text(document: Document) -> str:
    return ", ".join(f"{quantity} × {product}" for product, quantity in sorted(lines(document).items()))
