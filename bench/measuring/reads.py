"""Reads: the catalogue, and pages of orders among few and among many."""

import asyncio
import sqlite3
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import replace

import sqlalchemy as sa

from comanda.cli.api import Api, addresses
from comanda.common.clock import SystemClock
from comanda.common.database import Database
from comanda.pedidos.tables import pedidos
from measuring.driver import Load
from measuring.measure import measure, orders
from measuring.orders import UNLIMITED
from measuring.plan import Plan
from measuring.results import Results
from measuring.system import System, drive, headers, start, stop

READERS = 16
PAGE = 50
WARM_UP = 300
CHUNK = 50_000
"""Rows written by one statement, which has ten seconds as any other."""

OLDEST_MILLISECONDS = 10**8
ID_END = "70008000000000000000"
"""The version and variant of UUIDv7; the time before it tells the ids apart."""


def measure_catalogue(systems: Mapping[str, System], plan: Plan, results: Results) -> None:
    """A product, a product that has not changed since, and a page of products."""
    for database, system in systems.items():
        start(system)
        try:
            loads = _catalogue(system)
            for load in loads.values():
                drive(replace(load, requests=WARM_UP))
            for _ in range(plan.rounds):
                for name, load in loads.items():
                    results.add("reads", database, (name,), measure(system, replace(load, seconds=plan.seconds)))
        finally:
            stop(system)


def measure_pages(system: System, database: str, plan: Plan, results: Results) -> None:
    """A page of all orders and one of a customer's own, with so many orders in the table, made by SQL from one."""
    model = drive(replace(orders(system, system.products, 1), clients=1, collect=True)).locations[0]
    stop(system)
    filled = 0
    for rows in plan.rows:
        asyncio.run(_fill(system.variables["PEDIDOS_DATABASE_URL"], model, filled, rows))
        _tidy(system)
        filled = rows
        start(system)
        pages = {"all": _get(system, "pedidos", [f"/pedidos?limite={PAGE}"], [system.admin])}
        pages["own"] = _get(system, "pedidos", [f"/pedidos?limite={PAGE}"], system.customers[:1])
        for page in pages.values():
            drive(replace(page, requests=WARM_UP))
        for _ in range(plan.rounds):
            for name, page in pages.items():
                load = replace(page, clients=1, seconds=plan.seconds)
                results.add("pages", database, (name, rows), measure(system, load))
        stop(system)


def _catalogue(system: System) -> dict[str, Load]:
    customer = system.customers[0]
    with Api(addresses(system.variables), lambda _: customer) as api:
        product = api.get("productos", f"/productos/{system.products[0]}")
    assert product is not None  # noqa: S101  # it has been made
    paths = [f"/productos/{product_id}" for product_id in system.products]
    known = f"If-None-Match: {product.headers['etag']}\r\n"  # all are in their first version
    return {
        "GET /productos/{id}, 200": _get(system, "productos", paths, system.customers),
        "GET /productos/{id}, 304": _get(system, "productos", paths, system.customers, known, 304),
        f"GET /productos?limite={PAGE}": _get(system, "productos", [f"/productos?limite={PAGE}"], system.customers),
    }


def _get(
    system: System, service: str, paths: list[str], tokens: Sequence[str], extra: str = "", expected: int = 200
) -> Load:
    heads = [f"GET {path} HTTP/1.1\r\n" for path in paths]
    tails = [f"{headers(token)}{extra}\r\n" for token in tokens]
    return replace(system.load(service, heads, tails, expected, UNLIMITED), clients=READERS)


async def _fill(url: str, model: str, first: int, last: int) -> None:
    """Copies one order as often as needed: older ones, all of them final, a twentieth of them of the same customer."""
    database = Database(url, clock=SystemClock())
    statement = _copying(database.dialect, int(model[:8] + model[9:13], 16) - OLDEST_MILLISECONDS)
    row = model if database.dialect == "postgresql" else model.replace("-", "")
    for begin in range(first + 1, last + 1, CHUNK):
        values = {"model": row, "first": begin, "last": min(begin + CHUNK - 1, last)}
        async with database.transaction() as connection:
            await connection.execute(sa.text(statement), values)
    await database.aclose()


def _copying(dialect: str, moment: int) -> str:
    """The n-th copy has an id (UUIDv7) of n milliseconds after that moment."""
    copied = ", ".join(column.name for column in pedidos.columns if column.name not in ("id", "cliente_id", "fase"))
    if dialect == "postgresql":
        new_id = f"CAST(lpad(to_hex({moment} + n), 12, '0') || '{ID_END}' AS uuid)"
    else:
        new_id = f"printf('%012x', {moment} + n) || '{ID_END}'"
    return f"""
        WITH RECURSIVE numbers (n) AS (
            SELECT CAST(:first AS bigint) UNION ALL SELECT n + 1 FROM numbers WHERE n < CAST(:last AS bigint)
        )
        INSERT INTO pedidos (id, cliente_id, fase, {copied})
        SELECT {new_id}, CASE WHEN n % 20 = 0 THEN cliente_id ELSE 'otro-' || CAST(n % 1000 AS text) END,
            'COMPLETADO', {copied}
        FROM numbers CROSS JOIN pedidos WHERE pedidos.id = :model"""  # noqa: S608  # names and numbers of our own


def _tidy(system: System) -> None:
    """What the database would do by itself some time after so many writes, in the middle of a measure perhaps."""
    url = system.variables["PEDIDOS_DATABASE_URL"]
    if system.postgres is None:
        with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
            connection.execute("ANALYZE")
    else:
        psql = [str(system.postgres.program("psql")), url, "-q"]
        subprocess.run([*psql, "-c", "VACUUM ANALYZE pedidos", "-c", "CHECKPOINT"], check=True)
