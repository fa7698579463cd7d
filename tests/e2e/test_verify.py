"""`comanda verify` on real services: silent when all is well, exact when it is not."""

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from comanda.cli.api import Api
from comanda.cli.installation import Installation


class TestVerify:
    def test_sin_violaciones(self, comanda: Installation, customer: Api, product: Callable[[int], str]) -> None:
        _order(customer, product(5), 2)
        audit = comanda.run("verify")
        assert audit.returncode == 0, audit.stderr
        figure = r"comanda verify: \d+ pedidos, \d+ reservas, \d+ productos: sin violaciones\n"
        assert re.fullmatch(figure, audit.stdout)

    def test_servicios_parados(self, tmp_path: Path, on_sqlite: Installation) -> None:
        audit = on_sqlite.run("verify", "--pedidos", "http://127.0.0.1:1")
        assert audit.returncode == 2
        assert audit.stderr.startswith("pedidos at http://127.0.0.1:1: no answer")

    def test_otra_carpeta(self, tmp_path: Path) -> None:
        audit = Installation(tmp_path, {}).run("verify")
        assert audit.returncode == 2
        assert "operador.pem" in audit.stderr


class TestDamage:
    """Damage done by hand in inventario's database, mended at the end of each test."""

    @pytest.fixture
    def comanda(self, on_sqlite: Installation) -> Installation:
        return on_sqlite

    def test_2_fisico_no_es_la_suma(self, comanda: Installation, product: Callable[[int], str]) -> None:
        product_id = product(5)
        with _damage(comanda, "UPDATE existencias SET fisico = fisico + {} WHERE producto_id = ?", 2, -2, product_id):
            lines = _violations(comanda)
        expected = f"invariante 2: producto {product_id}: se esperaba fisico 5 (suma de sus movimientos), hay 7"
        assert lines == [expected]

    def test_3_reservado_no_es_la_suma(
        self, comanda: Installation, customer: Api, product: Callable[[int], str]
    ) -> None:
        product_id = product(5)
        _order(customer, product_id, 2)
        damage = "UPDATE existencias SET reservado = reservado + {} WHERE producto_id = ?"
        with _damage(comanda, damage, 1, -1, product_id):
            lines = _violations(comanda)
        expected = f"invariante 3: producto {product_id}: se esperaba reservado 2 (suma de sus reservas ACTIVA), hay 3"
        assert lines == [expected]

    def test_4_completado_sin_confirmar(
        self, comanda: Installation, customer: Api, admin: Api, product: Callable[[int], str]
    ) -> None:
        order_id = _order(customer, product(5), 2)
        assert admin.request("pedidos", "POST", f"/pedidos/{order_id}/completar").status_code == 200
        with _damage(comanda, _STATE, "LIBERADA", "CONFIRMADA", order_id):
            lines = _violations(comanda)
        subject = f"pedido {order_id} COMPLETADO/COMPLETADO"
        assert lines == [f"invariante 4: {subject}: se esperaba reserva CONFIRMADA, hay LIBERADA"]

    def test_5_cancelado_y_vendido(self, comanda: Installation, customer: Api, product: Callable[[int], str]) -> None:
        order_id = _order(customer, product(5), 2)
        assert customer.request("pedidos", "POST", f"/pedidos/{order_id}/cancelar").status_code == 200
        with _damage(comanda, _STATE, "CONFIRMADA", "LIBERADA", order_id):
            lines = _violations(comanda)
        subject = f"pedido {order_id} CANCELADO/CANCELADO"
        expected = f"invariante 5: {subject}: se esperaba ninguna reserva ACTIVA ni CONFIRMADA, hay CONFIRMADA"
        assert lines == [expected]

    def test_6_reservado_sin_reserva(self, comanda: Installation, customer: Api, product: Callable[[int], str]) -> None:
        order_id = _order(customer, product(5), 2)
        with _damage(comanda, _STATE, "LIBERADA", "ACTIVA", order_id):
            lines = _violations(comanda)
        expected = (
            f"invariante 6: pedido {order_id} PENDIENTE/RESERVADO: se esperaba reserva ACTIVA o EXPIRADA, hay LIBERADA"
        )
        assert expected in lines
        assert {line.split(":")[0] for line in lines} == {"invariante 6", "invariante 3"}  # nobody holds those 2 now


_STATE = "UPDATE reservas SET estado = '{}' WHERE pedido_id = ?"


@contextmanager
def _damage(comanda: Installation, statement: str, bad: object, good: object, identifier: str) -> Iterator[None]:
    def run(value: object) -> None:
        with closing(sqlite3.connect(comanda.data / "inventario.db", timeout=5)) as database, database:
            changed = database.execute(statement.format(value), [identifier.replace("-", "")])
            assert changed.rowcount == 1

    run(bad)
    try:
        yield
    finally:
        run(good)


def _violations(comanda: Installation) -> list[str]:
    audit = comanda.run("verify")
    assert audit.returncode == 1, audit.stdout + audit.stderr
    *lines, figure = audit.stderr.splitlines()
    assert figure.endswith(f": {len(lines)} violaciones")
    return lines


def _order(customer: Api, product_id: str, quantity: int) -> str:
    order = {"lineas": [{"producto_id": product_id, "cantidad": quantity}]}
    answer = customer.request("pedidos", "POST", "/pedidos", json=order)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])
