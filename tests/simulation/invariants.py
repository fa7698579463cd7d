"""The invariants of the design, by number, as functions of the databases alone."""

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

from simulation.snapshot import Snapshot, Step

HOLDING = ("ACTIVA", "CONFIRMADA")


def at_any_moment(now: Snapshot, *, forgetful: bool = False) -> Iterator[str]:
    """Those that hold between any two commits, whatever is running.

    Args:
        forgetful: so much time has passed that inventario may have forgotten closed reservations.
    """
    yield from _stock(now)
    for pedido_id, order in now.orders.items():
        reservation = now.reservations.get(pedido_id)
        same_lines = now.reserved_lines.get(pedido_id) == order.lines
        if order.fase == "COMPLETADO" and not (reservation == "CONFIRMADA" and same_lines):
            yield f"4: {pedido_id} is COMPLETADO, its reservation {reservation}, same lines: {same_lines}"
        if order.fase == "CANCELADO" and reservation in HOLDING:
            yield f"5: {pedido_id} is CANCELADO ({order.motivo}), its reservation {reservation}"
        if order.fase == "RESERVADO" and not (
            (reservation in ("ACTIVA", "EXPIRADA") and same_lines) or (forgetful and reservation is None)
        ):
            yield f"6: {pedido_id} is RESERVADO, its reservation {reservation}, same lines: {same_lines}"
    for pedido_id, reservation in now.reservations.items():
        fase = now.orders[pedido_id].fase if pedido_id in now.orders else "missing"
        if reservation == "CONFIRMADA" and fase not in ("COMPLETADO", "COMPLETANDO"):
            yield f"4: {pedido_id} is CONFIRMADA, its order {fase}"
        if reservation == "ACTIVA" and fase == "missing":
            yield f"5: {pedido_id} is ACTIVA and nobody's order"
    yield from _sales(now)


def when_quiet(now: Snapshot) -> Iterator[str]:
    for pedido_id, order in now.orders.items():
        if order.fase in ("SOLICITADO", "COMPLETANDO", "CANCELANDO"):
            yield f"8: {pedido_id} is still {order.fase}"


def when_all_is_over(now: Snapshot) -> Iterator[str]:
    """Later still, when every reservation has lived its time."""
    for pedido_id, order in now.orders.items():
        if order.fase == "RESERVADO":
            yield f"8: {pedido_id} is still RESERVADO although its reservation has expired"
    for producto_id, stock in now.stock.items():
        if stock.reservado:
            yield f"8: {producto_id} still has {stock.reservado} reserved"


def histories_are_whole(now: Snapshot, histories: dict[str, list[Step]]) -> Iterator[str]:
    """Each transition of each order has left one line of history."""
    for pedido_id, order in now.orders.items():
        steps = histories.get(pedido_id, [])
        versions = [step.version for step in steps]
        linked = all(step.de == before.a for before, step in pairwise(steps))
        if versions != list(range(1, order.version + 1)) or not linked or steps[-1].a != order.fase:
            yield f"history: {pedido_id}, {order.fase} version {order.version}: {steps}"


def _stock(now: Snapshot) -> Iterator[str]:
    counted, held = Counter[str](), Counter[str]()
    for movement in now.ledger:
        counted[movement.producto_id] += movement.cantidad
    for pedido_id, lines in now.reserved_lines.items():
        if now.reservations.get(pedido_id) == "ACTIVA":
            for producto_id, cantidad in lines:
                held[producto_id] += cantidad
    for producto_id, stock in now.stock.items():
        if not 0 <= stock.reservado <= stock.fisico:
            yield f"1: {producto_id}: {stock}"
        if stock.fisico != counted[producto_id]:
            yield f"2: {producto_id}: {stock}, ledger {counted[producto_id]}"
        if stock.reservado != held[producto_id]:
            yield f"3: {producto_id}: {stock}, lines of ACTIVA reservations {held[producto_id]}"


def _sales(now: Snapshot) -> Iterator[str]:
    """Each line of a confirmed reservation has left the ledger once, and nothing else has been sold."""
    sold = Counter(
        (movement.pedido_id, movement.producto_id, -movement.cantidad)
        for movement in now.ledger
        if movement.tipo == "VENTA"
    )
    confirmed = Counter(
        (pedido_id, producto_id, cantidad)
        for pedido_id, lines in now.reserved_lines.items()
        if now.reservations.get(pedido_id) == "CONFIRMADA"
        for producto_id, cantidad in lines
    )
    if sold != confirmed:
        yield f"2: sold {sold - confirmed} too much, {confirmed - sold} too little"
