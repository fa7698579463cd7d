"""Damage done by hand in the databases of a running installation: what `comanda verify` says of each kind, what
`--repair` mends, and what it leaves alone.

All kinds are done at once, each to a product and an order of its own, so that one run proves that each is found and
nothing else is.
"""

import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, redirect_stdout
from dataclasses import dataclass, replace
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from e2e.damage import CASES, STOCK, UNITS, Case
from e2e.helpers import ADMIN, SETTINGS, new_customer, new_product

from comanda.cli import verify
from comanda.cli.api import Api
from comanda.cli.audit_times import Limits
from comanda.cli.errors import CommandFailed
from comanda.cli.installation import Installation
from comanda.cli.seed import CATALOGUE

FAST = {
    "PEDIDOS_BREAKER_TIMEOUT_SECONDS": "0.5",
    "PEDIDOS_RECOVERY_SECONDS": "0.1",
    "PEDIDOS_RECOVERY_BACKOFF_SECONDS": "0.5",
    "PEDIDOS_HTTP_TIMEOUT_SECONDS": "1",
    "PEDIDOS_RETRY_ATTEMPTS": "0",
}
ROUND = timedelta(seconds=1)
"""How long is waited for what might move by itself. Nothing here can: no replica has died with a lease, and what stands
still is never looked at again. That `verify` waits for as long as it must is shown by cli/tests/test_verify_pending.py.
"""


@dataclass
class Damaged:
    """A case done to an installation."""

    order_id: str
    product_id: str

    def of_it(self, documents: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [one for one in documents if one["sujeto"]["id"] in (self.order_id, self.product_id)]


@dataclass
class Scene:
    """All damage, what the repair made of it, what is said of the rest afterwards, and the services then."""

    damaged: dict[str, Damaged]
    repair: dict[str, Any]
    after: dict[str, Any]
    lines: list[str]
    admin: Api
    reservations: dict[str, dict[str, Any]]
    sales: Counter[str]

    @property
    def found(self) -> list[dict[str, Any]]:
        """Everything that the run with `--repair` found before it mended anything."""
        return [*self.repair["reparado"], *self.repair["sin_reparar"]]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    comanda = Installation(tmp_path_factory.mktemp("damage"), SETTINGS | FAST).start()
    try:
        admin, customer = comanda.api().login(*ADMIN), new_customer(comanda)
        clean = _verified_here(comanda)
        assert (clean["violaciones"], clean["sin_decidir"], clean["reparado"]) == ([], [], [])
        damaged = {name: _damaged(comanda, admin, customer, case) for name, case in CASES.items()}
        repair = _verified_here(comanda)
        with ThreadPoolExecutor() as both:  # neither changes anything
            running = both.submit(comanda.run, "verify", "--repair")
            after = _verified(comanda, "--json")
            again = running.result()
        assert again.returncode == 1
        lines = again.stdout.splitlines() + again.stderr.splitlines()
        yield Scene(damaged, repair, after, lines, admin, _reservations(comanda), _sales(comanda))
    finally:
        assert comanda.stop() == 0


class TestCadaDano:
    @pytest.mark.parametrize("name", CASES)
    def test_se_encuentra(self, scene: Scene, name: str) -> None:
        case, damaged = CASES[name], scene.damaged[name]
        violations = damaged.of_it(scene.found)
        assert sorted(one["invariante"] for one in violations) == sorted(number for number, _, _ in case.found)
        for number, expected, found in case.found:
            (violation,) = [one for one in violations if one["invariante"] == number]
            assert expected in violation["esperado"]
            assert violation["encontrado"].startswith(found)

    @pytest.mark.parametrize("name", CASES)
    def test_se_arregla_lo_que_se_dice(self, scene: Scene, name: str) -> None:
        case, damaged = CASES[name], scene.damaged[name]
        mended = damaged.of_it(scene.repair["reparado"])
        left = damaged.of_it(scene.repair["sin_reparar"])
        assert tuple(one["invariante"] for one in mended) == case.mended
        assert {one["invariante"] for one in left} == case.advice.keys()
        for one in left:
            assert case.advice[one["invariante"]] in one["remedio"]
        still = damaged.of_it(scene.repair["violaciones"])
        assert [one["invariante"] for one in still] == [one["invariante"] for one in left]

    @pytest.mark.parametrize("name", CASES)
    def test_como_queda(self, scene: Scene, name: str) -> None:
        damaged = scene.damaged[name]
        order = scene.admin.get("pedidos", f"/pedidos/{damaged.order_id}")
        stock = scene.admin.get("inventario", f"/inventario/{damaged.product_id}")
        reservation = scene.reservations.get(damaged.order_id)
        assert CASES[name].ends == (
            order.json()["fase"] if order else "ninguno",
            reservation["estado"] if reservation else "ninguna",
            stock.json()["fisico"] if stock else None,
            stock.json()["reservado"] if stock else None,
        )

    @pytest.mark.parametrize("name", CASES)
    def test_nada_se_vende_dos_veces(self, scene: Scene, name: str) -> None:
        assert scene.sales[scene.damaged[name].product_id.replace("-", "")] <= 1


class TestTodo:
    def test_no_se_encuentra_nada_mas(self, scene: Scene) -> None:
        assert len(scene.found) == sum(len(case.found) for case in CASES.values())
        assert scene.repair["sin_decidir"] == []
        orders, products = len(CASES), len(CASES) - 1 + len(CATALOGUE)  # the deleted order was made again
        assert (scene.repair["pedidos"], scene.repair["productos"]) == (orders, products)

    def test_sin_arreglar_nada(self, scene: Scene) -> None:
        """Without `--repair` the rest is found just the same, and stays."""
        assert scene.after["violaciones"] == scene.repair["violaciones"]
        assert (scene.after["reparado"], scene.after["sin_reparar"], scene.after["sin_decidir"]) == ([], [], [])

    def test_dicho_en_lineas(self, scene: Scene) -> None:
        """A second repair finds nothing more to do, and says so line by line."""
        left = len(scene.repair["violaciones"])
        assert [line.split(":")[0] for line in scene.lines].count("sin reparar") == left
        assert not any(line.startswith("reparado") for line in scene.lines)
        assert scene.lines[-1].endswith(f": {left} violaciones")
        damaged = scene.damaged["2_fisico_sin_movimiento"]
        subject = f"invariante 2: producto {damaged.product_id}"
        found = f"{subject}: se esperaba fisico {STOCK} (suma de sus movimientos), hay {STOCK + 3}"
        assert [line for line in scene.lines if line.startswith(subject)] == [found]

    def test_lo_hecho_se_nombra(self, scene: Scene) -> None:
        damaged = scene.damaged["5_cancelado_con_reserva_activa"]
        (mended,) = damaged.of_it(scene.repair["reparado"])
        done = f"POST /reservas/{damaged.order_id}/liberar: 200; pedido CANCELADO, reserva LIBERADA"
        assert mended["hecho"] == done


def _damaged(comanda: Installation, admin: Api, customer: Api, case: Case) -> Damaged:
    product_id = new_product(admin, STOCK)
    lines = {"lineas": [{"producto_id": product_id, "cantidad": UNITS}]}
    answer = customer.request("pedidos", "POST", "/pedidos", json=lines)
    assert answer.status_code == 201, answer.text
    order_id = str(answer.json()["id"])
    action = {"COMPLETADO": "completar", "CANCELADO": "cancelar"}.get(case.begins)
    if action:
        assert admin.request("pedidos", "POST", f"/pedidos/{order_id}/{action}").status_code == 200
    ids = {"order": order_id.replace("-", ""), "product": product_id.replace("-", "")}
    for service, statement in case.sql:
        _run(comanda, service, lambda database, sql=statement: database.execute(sql, ids).rowcount)
    return Damaged(order_id, product_id)


def _run(comanda: Installation, service: str, statement: Callable[[sqlite3.Connection], int]) -> None:
    with closing(sqlite3.connect(comanda.data / f"{service}.db", timeout=10)) as database, database:
        database.execute("PRAGMA ignore_check_constraints = ON")
        assert statement(database) == 1


def _verified_here(comanda: Installation) -> dict[str, Any]:
    """What `comanda verify --json --repair` prints, run in this process so that it waits for no longer than `ROUND`."""
    limits_of = Limits.of
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(StringIO()) as printed:
        patch.setattr("os.environ", dict(comanda.variables))
        patch.setattr(Limits, "of", lambda settings: replace(limits_of(settings), round=ROUND))
        code = 0
        try:
            verify.command(None, inventario=None, pedidos=None, as_json=True, repair=True)
        except CommandFailed as failure:
            code = failure.code
    document: dict[str, Any] = json.loads(printed.getvalue())
    assert code == bool(document["violaciones"]), document
    return document


def _verified(comanda: Installation, *options: str) -> dict[str, Any]:
    audit = comanda.run("verify", *options)
    assert audit.returncode == 1, audit.stdout + audit.stderr
    document: dict[str, Any] = json.loads(audit.stdout)
    (figure,) = audit.stderr.splitlines()
    assert figure.endswith(f": {len(document['violaciones'])} violaciones")
    return document


def _reservations(comanda: Installation) -> dict[str, dict[str, Any]]:
    admin = comanda.api().login(*ADMIN)
    return {one["pedido_id"]: one for one in admin.all("inventario", "/reservas")}


def _sales(comanda: Installation) -> Counter[str]:
    """How many sales the ledger of each product has: from the database, for one of them has no stock to ask for."""
    with closing(sqlite3.connect(comanda.data / "inventario.db", timeout=10)) as database:
        sales = "SELECT producto_id, count(*) FROM movimientos WHERE tipo = 'VENTA' GROUP BY producto_id"
        return Counter(dict(database.execute(sales).fetchall()))
