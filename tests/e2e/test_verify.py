"""`comanda verify` on real services: silent when all is well (`test_damage.py`: when it is not)."""

import json
import re
from collections.abc import Callable
from pathlib import Path

from comanda.cli.api import Api
from comanda.cli.installation import Installation


class TestVerify:
    def test_sin_violaciones(self, comanda: Installation, customer: Api, product: Callable[[int], str]) -> None:
        _order(customer, product(5), 2)
        audit = comanda.run("verify", "--strict")
        assert audit.returncode == 0, audit.stderr
        figure = r"comanda verify: \d+ pedidos, \d+ reservas, \d+ productos: sin violaciones\n"
        assert re.fullmatch(figure, audit.stdout)

    def test_para_maquinas(self, comanda: Installation, customer: Api, product: Callable[[int], str]) -> None:
        _order(customer, product(5), 2)
        audit = comanda.run("verify", "--json", "--repair")
        assert (audit.returncode, audit.stderr) == (0, "")
        document = json.loads(audit.stdout)
        figures = [document.pop(name) for name in ("pedidos", "reservas", "productos")]
        assert all(figure > 0 for figure in figures)
        assert document == {"violaciones": [], "sin_decidir": [], "reparado": [], "sin_reparar": []}

    def test_servicios_parados(self, on_sqlite: Installation) -> None:
        audit = on_sqlite.run("verify", "--pedidos", "http://127.0.0.1:1")
        assert audit.returncode == 2
        assert audit.stderr.startswith("pedidos at http://127.0.0.1:1: no answer")

    def test_servicios_parados_para_maquinas(self, on_sqlite: Installation) -> None:
        audit = on_sqlite.run("verify", "--json", "--inventario", "http://127.0.0.1:1")
        assert audit.returncode == 2
        assert json.loads(audit.stdout)["error"] == audit.stderr.removesuffix("\n")

    def test_otra_carpeta(self, tmp_path: Path) -> None:
        audit = Installation(tmp_path, {}).run("verify")
        assert audit.returncode == 2
        assert "operador.pem" in audit.stderr


def _order(customer: Api, product_id: str, quantity: int) -> str:
    order = {"lineas": [{"producto_id": product_id, "cantidad": quantity}]}
    answer = customer.request("pedidos", "POST", "/pedidos", json=order)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])
