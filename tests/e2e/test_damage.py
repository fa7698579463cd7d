"""Damage done by hand in the databases of a running installation: what `comanda verify` says of each kind, what
`--repair` mends, and what it leaves alone.

All kinds are done at once, each to a product and an order of its own, so that one run proves that each is found and
nothing else is.
"""

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pytest
from e2e.damage import CASES, STOCK, UNITS, Case
from e2e.helpers import ADMIN, SETTINGS, new_customer, new_product

from comanda.cli.api import Api
from comanda.cli.installation import Installation
from comanda.cli.seed import CATALOGUE

FAST = {
    "PEDIDOS_RECOVERY_BACKOFF_SECONDS": "1",
    "PEDIDOS_HTTP_TIMEOUT_SECONDS": "1",
    "PEDIDOS_RETRY_ATTEMPTS": "0",
}


@dataclass
class Damaged:
    """A case done to an installation."""

    order_id: str
    product_id: str

    def of_it(self, documents: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [one for one in documents if one["sujeto"]["id"] in (self.order_id, self.product_id)]


@dataclass
class Scene:
    """All damage, what was said of it before, during and after the repair, and the services then."""

    damaged: dict[str, Damaged]
    before: dict[str, Any]
    repair: dict[str, Any]
    lines: list[str]
    admin: Api
    reservations: dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    comanda = Installation(tmp_path_factory.mktemp("damage"), SETTINGS | FAST).start()
    try:
        admin, customer = comanda.api().login(*ADMIN), new_customer(comanda)
        clean = comanda.run("verify", "--repair")
        assert (clean.returncode, clean.stderr) == (0, "")
        damaged = {name: _damaged(comanda, admin, customer, case) for name, case in CASES.items()}
        before = _verified(comanda, "--json")
        repair = _verified(comanda, "--json", "--repair")
        after = comanda.run("verify", "--repair")
        assert after.returncode == 1
        lines = after.stdout.splitlines() + after.stderr.splitlines()
        yield Scene(damaged, before, repair, lines, admin, _reservations(comanda))
    finally:
        assert comanda.stop() == 0


class TestCadaDano:
    @pytest.mark.parametrize("name", CASES)
    def test_se_encuentra(self, scene: Scene, name: str) -> None:
        case, damaged = CASES[name], scene.damaged[name]
        violations = damaged.of_it(scene.before["violaciones"])
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
        assert stock is not None
        reservation = scene.reservations.get(damaged.order_id)
        assert CASES[name].ends == (
            order.json()["fase"] if order else "ninguno",
            reservation["estado"] if reservation else "ninguna",
            stock.json()["fisico"],
            stock.json()["reservado"],
        )

    @pytest.mark.parametrize("name", CASES)
    def test_nada_se_vende_dos_veces(self, scene: Scene, name: str) -> None:
        path = f"/inventario/{scene.damaged[name].product_id}/movimientos"
        sales = [one for one in scene.admin.all("inventario", path) if one["tipo"] == "VENTA"]
        assert len(sales) <= 1


class TestTodo:
    def test_no_se_encuentra_nada_mas(self, scene: Scene) -> None:
        assert len(scene.before["violaciones"]) == sum(len(case.found) for case in CASES.values())
        assert (scene.before["reparado"], scene.before["sin_reparar"], scene.before["sin_decidir"]) == ([], [], [])
        assert (scene.before["pedidos"], scene.before["productos"]) == (len(CASES) - 1, len(CASES) + len(CATALOGUE))

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
