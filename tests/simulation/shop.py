"""What there is when a run starts: some stock, and in a few runs what a shop that stood still for days left behind."""

import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from json import dumps
from random import Random
from uuid import UUID

from comanda.testing import START
from simulation.network import Message
from simulation.snapshot import Snapshot

YESTERDAYS_CLIENT = "cliente-0"
ORDERS = 60
"""More than recovery leases at once."""

REFUSALS = 205
"""More than inventario forgets in one transaction."""

STEPS = ("SOLICITADO", "RESERVADO", "COMPLETANDO")
_KEY = "INSERT INTO idempotency_keys (issuer, subject, route, key, fingerprint, resource_id, created_at) VALUES "
_RESERVATION = "INSERT INTO reservas (pedido_id, estado, expira_en, creado_en, actualizado_en) VALUES (?, ?, ?, ?, ?)"
_ORDER = (
    "INSERT INTO pedidos (id, cliente_id, fase, version, lineas, unidades, moneda, reserva_expira_en, creado_en, "
    "actualizado_en, next_attempt_at, attempts, lease) VALUES (?, ?, ?, ?, ?, 1, 'EUR', ?, ?, ?, ?, 0, 0)"
)


@dataclass(frozen=True, slots=True)
class Shop:
    """Args: products: those in stock. abandoned: whether orders of three days ago are still open."""

    products: Sequence[UUID]
    amounts: Sequence[int]
    abandoned: bool

    @classmethod
    def draw(cls, random: Random, products: Sequence[UUID]) -> "Shop":
        amounts = [random.choice((5, 60, 150, 400)) for _ in products]
        return cls(products, amounts, random.random() < 0.03)

    def open(self, pedidos: sqlite3.Connection, inventario: sqlite3.Connection) -> None:
        held = Counter[UUID]()
        if self.abandoned:
            held = self._leave_orders(pedidos, inventario)
            inventario.executemany(_RESERVATION, self._closed_reservations())
        for producto, amount in zip(self.products, self.amounts, strict=True):
            inventario.execute(
                "INSERT INTO existencias (producto_id, fisico, reservado, version, actualizado_en) "
                "VALUES (?, ?, ?, 1, ?)",
                (producto.hex, amount + held[producto], held[producto], _ago(100)),
            )
            inventario.execute(
                "INSERT INTO movimientos (id, producto_id, tipo, cantidad, creado_en) VALUES (?, ?, 'ENTRADA', ?, ?)",
                (producto.hex, producto.hex, amount + held[producto], _ago(100)),
            )

    def late_requests(self) -> Iterator[Message]:
        """Of three days ago, for an order that nobody remembers: its id is too old to hold anything."""
        if self.abandoned:
            lines = [{"producto_id": str(self.products[0]), "cantidad": 1}]
            yield Message("PUT", f"/reservas/{_id(0, 74)}", dumps({"lineas": lines}).encode())

    def cleared(self, now: Snapshot, pedidos: sqlite3.Connection, passed: timedelta) -> Iterator[str]:
        """What is old enough has been forgotten, and nothing else."""
        if not self.abandoned:
            return
        keys = {row[0] for row in pedidos.execute("SELECT key FROM idempotency_keys WHERE issuer = 'issuer'")}
        if "47 h" not in keys and not passed:
            yield "forgotten: a key of 47 hours is not kept any more"
        if "49 h" in keys:
            yield "forgotten: a key of 49 hours is still there"
        known = [str(_id(number, hours)) in now.reservations for number, hours in self._closed_ids()]
        if not known[0] and not passed:
            yield "forgotten: a reservation that was closed 71 hours ago is not kept any more"
        if any(known[1:]):
            yield f"forgotten: {sum(known[1:])} reservations that were closed 73 hours ago are still there"

    def _leave_orders(self, pedidos: sqlite3.Connection, inventario: sqlite3.Connection) -> Counter[UUID]:
        """Open orders whose client, and whose reservation's time, are long gone; returns what they hold."""
        held = Counter[UUID]()
        for number in range(ORDERS):
            pedido, producto, version = _id(number, 73), self.products[number % 3], 1 + number % 3
            line = {"producto_id": str(producto), "sku": "A", "nombre": "A", "precio_centimos": 250, "cantidad": 1}
            expires = _ago(72) if version > 1 else None
            times = (expires, _ago(73), _ago(73), _ago(72))
            pedidos.execute(_ORDER, (pedido.hex, YESTERDAYS_CLIENT, STEPS[version - 1], version, dumps([line]), *times))
            pedidos.executemany(
                "INSERT INTO historial (pedido_id, version, en, de, a, causa) VALUES (?, ?, ?, ?, ?, 'ayer')",
                [
                    (pedido.hex, v, _ago(73), STEPS[v - 2] if v > 1 else None, STEPS[v - 1])
                    for v in range(1, version + 1)
                ],
            )
            if expires:
                held[producto] += 1
                inventario.execute(_RESERVATION, (pedido.hex, "ACTIVA", expires, _ago(73), _ago(73)))
                inventario.execute("INSERT INTO reserva_lineas VALUES (?, ?, 1)", (pedido.hex, producto.hex))
        for hours in (47, 49):
            values = ("issuer", YESTERDAYS_CLIENT, "POST /pedidos", f"{hours} h", "f", _id(0, 73).hex, _ago(hours))
            pedidos.execute(f"{_KEY} (?, ?, ?, ?, ?, ?, ?)", values)
        return held

    def _closed_reservations(self) -> Iterator[tuple[str | None, ...]]:
        for number, hours in self._closed_ids():
            yield _id(number, hours).hex, "LIBERADA", None, _ago(hours), _ago(hours)

    def _closed_ids(self) -> list[tuple[int, float]]:
        """Their numbers, and how many hours ago they were closed; only the first is to be kept yet."""
        return [(ORDERS, 71), *((ORDERS + number, 73) for number in range(1, REFUSALS))]


def _ago(hours: float) -> str:
    return f"{START - timedelta(hours=hours):%Y-%m-%d %H:%M:%S.%f}"


def _id(number: int, hours: float) -> UUID:
    """A UUIDv7 of that many hours ago."""
    milliseconds = int((START - timedelta(hours=hours)).timestamp() * 1000)
    return UUID(int=milliseconds << 80 | 0x7 << 76 | 0b10 << 62 | number)
