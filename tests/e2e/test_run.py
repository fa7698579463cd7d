"""`comanda up`: from nothing to a running shop, and back."""

import os
import signal
import time
from collections.abc import Callable

from e2e.helpers import ADMIN, new_customer

from comanda.cli import environment, supervision
from comanda.cli.api import Api, Unreachable, slug
from comanda.cli.installation import Installation
from comanda.cli.seed import CATALOGUE, STOCK
from comanda.common.ports import free_ports

SECONDS_TO_RETURN = 30


class TestUp:
    def test_dice_donde_esta_todo(self, comanda: Installation) -> None:
        output = "".join(comanda.output)
        for service in environment.SERVICES:
            assert f"{comanda.address(service)}/docs" in output
        assert ADMIN[0] in output
        assert ADMIN[1] not in output
        assert output.endswith("\nComanda lista\n")

    def test_catalogo_inicial_con_existencias(self, comanda: Installation, admin: Api) -> None:
        skus = {product["sku"]: product["id"] for product in admin.all("productos", "/productos")}
        assert {sku for sku, *_ in CATALOGUE} <= skus.keys()
        stock = admin.get("inventario", f"/inventario/{skus['TAZ-001']}")
        assert stock is not None
        assert stock.json()["fisico"] == STOCK

    def test_un_pedido_de_principio_a_fin(self, customer: Api, admin: Api, product: Callable[[int], str]) -> None:
        product_id = product(10)
        order = {"lineas": [{"producto_id": product_id, "cantidad": 3}]}
        placed = customer.request("pedidos", "POST", "/pedidos", json=order)
        assert (placed.status_code, placed.json()["estado"], placed.json()["total"]) == (201, "PENDIENTE", "7.50")
        done = admin.request("pedidos", "POST", f"/pedidos/{placed.json()['id']}/completar")
        assert (done.status_code, done.json()["estado"]) == (200, "COMPLETADO")
        stock = admin.request("inventario", "GET", f"/inventario/{product_id}").json()
        assert (stock["fisico"], stock["reservado"], stock["disponible"]) == (7, 0, 7)

    def test_puerto_en_uso(self, comanda: Installation) -> None:
        second = comanda.run("up")
        assert second.returncode == 1
        expected = [
            f"127.0.0.1:{comanda.variables[f'{service.upper()}_PORT']} is in use: "
            f"set {service.upper()}_PORT to another port"
            for service in environment.SERVICES
        ]
        assert second.stderr.splitlines() == expected

    def test_carpeta_en_uso(self, comanda: Installation) -> None:
        ports = dict(zip(environment.SERVICES, free_ports(4), strict=True))
        other = Installation(comanda.data, {f"{service.upper()}_PORT": str(port) for service, port in ports.items()})
        second = other.run("up")
        assert second.returncode == 1
        assert f"(pid {comanda.pid})" in second.stderr
        assert len(second.stderr.splitlines()) == 1

    def test_un_servicio_que_muere_vuelve(self, comanda: Installation, admin: Api) -> None:
        pid = comanda.service_pid("productos")
        os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + SECONDS_TO_RETURN
        while comanda.service_pid("productos") in (0, pid):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        while (answer := _try(admin, "productos")) != 200:
            assert time.monotonic() < deadline, answer
            time.sleep(0.05)

    def test_status(self, comanda: Installation) -> None:
        deadline = time.monotonic() + SECONDS_TO_RETURN
        while True:  # a service that was started again counts as STARTING for its first second
            lines = comanda.run("status").stdout.splitlines()
            assert [line.split()[0] for line in lines] == list(environment.SERVICES)
            if all(" RUNNING " in line for line in lines):
                return
            assert time.monotonic() < deadline, lines
            assert all(line.split()[1] in ("STARTING", "RUNNING") for line in lines), lines

    def test_seed_dos_veces(self, comanda: Installation) -> None:
        again = comanda.run("seed")
        assert again.stdout == f"0 products added with {STOCK} of each, {len(CATALOGUE)} were already there.\n"


class TestPermissions:
    def test_nadie_mas_lee_los_datos(self, on_sqlite: Installation) -> None:
        assert on_sqlite.data.stat().st_mode & 0o777 == 0o700
        assert supervision.socket_path(on_sqlite.data).stat().st_mode & 0o777 == 0o600
        for key in (on_sqlite.data / "keys").glob("*.pem"):
            assert key.stat().st_mode & 0o777 == 0o600

    def test_una_base_por_servicio(self, on_postgresql: Installation) -> None:
        assert not list(on_postgresql.data.glob("*.db"))

    def test_credenciales_equivocadas(self, on_sqlite: Installation) -> None:
        wrong = on_sqlite.run("seed", "--password", "not the password")
        assert wrong.returncode == 1
        assert "does not accept the credentials" in wrong.stderr

    def test_un_cliente_no_vende(self, on_sqlite: Installation) -> None:
        answer = new_customer(on_sqlite).request("productos", "POST", "/productos", json={"sku": "X", "nombre": "X"})
        assert (answer.status_code, slug(answer)) == (403, "no-autorizado")


def _try(client: Api, service: str) -> int | Unreachable:
    try:
        return client.request(service, "GET", "/readyz").status_code
    except Unreachable as reason:
        return reason
