"""What every commit changed, and when: by the clock of the simulation, which no service can see.

The databases keep times of their own, but each was written by a clock that may be wrong. With these, what a client was
told can be compared with what was so at some moment between its question and the answer.
"""

import sqlite3
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable
from typing import Generic, NamedTuple, TypeVar

from comanda.inventario.domain import Existencias
from simulation.snapshot import Stock, dashed

_STOCK = "SELECT producto_id, fisico, reservado FROM existencias"
_TRANSITIONS = "SELECT rowid, pedido_id, version, a FROM historial WHERE rowid > ? ORDER BY rowid"


Value = TypeVar("Value")


class Stage(NamedTuple):
    version: int
    fase: str


class Life(Generic[Value]):
    """What something was, and since when."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.values: list[Value] = []

    def becomes(self, time: float, value: Value) -> None:
        self.times.append(time)
        self.values.append(value)

    def during(self, since: float, until: float) -> list[Value]:
        """Everything that it was at some moment of that time, both ends included."""
        first = max(0, bisect_left(self.times, since) - 1)
        return self.values[first : bisect_right(self.times, until)]

    def became(self, since: float, until: float) -> list[Value]:
        """Everything that it became in that time."""
        return self.values[bisect_left(self.times, since) : bisect_right(self.times, until)]


class Witness:
    """Args: time: the virtual clock. found: told of what is wrong at a commit."""

    def __init__(
        self,
        time: Callable[[], float],
        pedidos: sqlite3.Connection,
        inventario: sqlite3.Connection,
        found: Callable[[Iterable[str]], None],
    ) -> None:
        self.orders: dict[str, Life[Stage]] = {}
        self.stock: dict[str, Life[Stock]] = {}
        self.passed: dict[str, Life[Stock]] = {}
        """What the stock was inside a transaction that several requests share, as each but the first found it."""
        self._time = time
        self._pedidos = pedidos
        self._inventario = inventario
        self._found = found
        self._last_row = 0
        self._last_stock: set[tuple[str, int, int]] = set()
        self._look_at_orders()
        self._look_at_stock()

    def committed(self, package: str) -> None:
        """Called after each commit that changed something, before anybody else can act."""
        if package == "comanda.inventario":
            self._look_at_stock()
        else:
            self._look_at_orders()

    def passes(self, now: Existencias) -> None:
        """Called when inventario's engine has changed the stock of a product, before that is committed."""
        life = self.passed.setdefault(str(now.producto_id), Life())
        life.becomes(self._time(), Stock(now.fisico, now.reservado))

    def _look_at_stock(self) -> None:
        rows = set(self._inventario.execute(_STOCK).fetchall())
        if rows == self._last_stock:
            return
        for producto_id, fisico, reservado in sorted(rows - self._last_stock):
            self.stock.setdefault(dashed(producto_id), Life()).becomes(self._time(), Stock(fisico, reservado))
            if not 0 <= reservado <= fisico:
                self._found([f"1: {dashed(producto_id)}: {fisico=} {reservado=}"])
        self._last_stock = rows

    def _look_at_orders(self) -> None:
        for row, pedido_id, version, fase in self._pedidos.execute(_TRANSITIONS, (self._last_row,)):
            self.orders.setdefault(dashed(pedido_id), Life()).becomes(self._time(), Stage(version, fase))
            self._last_row = row
