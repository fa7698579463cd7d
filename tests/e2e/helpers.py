"""What the tests of whole installations share."""

import os
from pathlib import Path

from comanda.cli.api import Api
from comanda.cli.installation import Installation

ADMIN = ("admin@example.com", "a password for tests only")
SECRETS = (ADMIN[1],)
SETTINGS = {
    "COMANDA_ADMIN_EMAIL": ADMIN[0],
    "COMANDA_ADMIN_PASSWORD": ADMIN[1],
    "AUTH_ARGON2_MEMORY_KIB": "1024",
    "AUTH_ARGON2_TIME_COST": "1",
    "AUTH_LOGIN_ATTEMPTS_PER_MINUTE": "1000",
    "PEDIDOS_RETRY_ATTEMPTS": "1",
    "PEDIDOS_RETRY_WAIT_SECONDS": "0.1",
}


def new_customer(comanda: Installation) -> Api:
    nobody = comanda.api()
    email = f"cliente-{os.urandom(4).hex()}@example.com"
    user = {"email": email, "password": ADMIN[1], "nombre": "Cliente"}
    assert nobody.request("auth", "POST", "/auth/usuarios", json=user).status_code == 201
    return nobody.login(email, ADMIN[1])


def new_product(admin: Api, stock: int) -> str:
    product = {"sku": f"E2E-{os.urandom(4).hex()}", "nombre": "Producto", "precio": "2.50"}
    product_id = str(admin.request("productos", "POST", "/productos", json=product).json()["id"])
    stocked = admin.request("inventario", "POST", "/inventario", json={"producto_id": product_id, "cantidad": stock})
    assert stocked.status_code == 201, stocked.text
    return product_id


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that has ended and waits only for its parent to notice does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
