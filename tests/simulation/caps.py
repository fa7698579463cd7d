"""The limits of what one client may have open: none in most runs."""

from collections import Counter
from collections.abc import Iterator
from random import Random
from typing import NamedTuple

from simulation.shop import YESTERDAYS_CLIENT
from simulation.snapshot import FINAL, Snapshot


class Caps(NamedTuple):
    """Named as in the settings of pedidos; 0: no limit."""

    max_open_orders: int = 0
    max_open_units: int = 0

    @classmethod
    def draw(cls, random: Random) -> "Caps":
        return random.choice((cls(3, 0), cls(0, 30), cls(4, 40))) if random.random() < 0.06 else cls()

    def kept(self, now: Snapshot) -> Iterator[str]:
        """Nobody has more open than the limits allow, at any moment."""
        if not any(self):
            return
        orders, units = Counter[str](), Counter[str]()
        for order in now.orders.values():
            if order.fase not in FINAL and order.cliente_id != YESTERDAYS_CLIENT:  # whose orders were there before
                orders[order.cliente_id] += 1
                units[order.cliente_id] += sum(cantidad for _, cantidad in order.lines)
        for client in orders:
            if self.exceeded(orders[client], units[client]):
                yield f"caps: {client} has {orders[client]} open orders with {units[client]} units: {self}"

    def exceeded(self, orders: int, units: int) -> bool:
        too_many_orders = self.max_open_orders and orders > self.max_open_orders
        too_many_units = self.max_open_units and units > self.max_open_units
        return bool(too_many_orders or too_many_units)
