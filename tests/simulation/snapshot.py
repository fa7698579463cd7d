"""The databases as they are at one moment, read from the files past all code under test."""

import sqlite3
from dataclasses import dataclass
from json import loads
from typing import Any, NamedTuple

from simulation.history import Lines, lines_of

FINAL = ("COMPLETADO", "CANCELADO")


class Order(NamedTuple):
    cliente_id: str
    fase: str
    version: int
    motivo: str | None
    lines: Lines
    total: int


class Stock(NamedTuple):
    fisico: int
    reservado: int


class Movement(NamedTuple):
    id: str
    producto_id: str
    tipo: str
    cantidad: int
    motivo: str | None
    pedido_id: str | None


class Step(NamedTuple):
    version: int
    de: str | None
    a: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    orders: dict[str, Order]
    stock: dict[str, Stock]
    reservations: dict[str, str]
    reserved_lines: dict[str, Lines]
    ledger: list[Movement]
    """In the order of its commits: SQLite has one writer."""

    @classmethod
    def read(cls, pedidos: sqlite3.Connection, inventario: sqlite3.Connection) -> "Snapshot":
        lines: dict[str, list[tuple[str, int]]] = {}
        for pedido_id, producto_id, cantidad in inventario.execute(
            "SELECT pedido_id, producto_id, cantidad FROM reserva_lineas ORDER BY pedido_id, producto_id"
        ):
            lines.setdefault(dashed(pedido_id), []).append((dashed(producto_id), cantidad))
        return cls(
            orders=dict(
                map(_order, pedidos.execute("SELECT id, cliente_id, fase, version, motivo, lineas FROM pedidos"))
            ),
            stock={
                dashed(row[0]): Stock(*row[1:])
                for row in inventario.execute("SELECT producto_id, fisico, reservado FROM existencias")
            },
            reservations={
                dashed(row[0]): row[1] for row in inventario.execute("SELECT pedido_id, estado FROM reservas")
            },
            reserved_lines={pedido_id: tuple(sorted(some)) for pedido_id, some in lines.items()},
            ledger=[
                Movement(dashed(row[0]), dashed(row[1]), *row[2:5], row[5] and dashed(row[5]))
                for row in inventario.execute(
                    "SELECT id, producto_id, tipo, cantidad, motivo, pedido_id FROM movimientos ORDER BY rowid"
                )
            ],
        )


def histories(pedidos: sqlite3.Connection) -> dict[str, list[Step]]:
    found: dict[str, list[Step]] = {}
    for row in pedidos.execute("SELECT pedido_id, version, de, a FROM historial ORDER BY pedido_id, version"):
        found.setdefault(dashed(row[0]), []).append(Step(*row[1:]))
    return found


def moving(pedidos: sqlite3.Connection) -> int:
    """How many orders are in a phase that should not last."""
    row = pedidos.execute("SELECT count(*) FROM pedidos WHERE fase IN ('SOLICITADO', 'COMPLETANDO', 'CANCELANDO')")
    return int(row.fetchone()[0])


def waiting(pedidos: sqlite3.Connection) -> int:
    row = pedidos.execute("SELECT count(*) FROM pedidos WHERE fase NOT IN ('COMPLETADO', 'CANCELADO')")
    return int(row.fetchone()[0])


def _order(row: tuple[Any, ...]) -> tuple[str, Order]:
    lineas = loads(row[5])
    total = sum(linea["precio_centimos"] * linea["cantidad"] for linea in lineas)
    return dashed(row[0]), Order(row[1], row[2], row[3], row[4], lines_of({"lineas": lineas}), total)


def dashed(text: str) -> str:
    """An id as the wire has it, from what SQLite keeps of it."""
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
