"""What people do in the client, one step each, in Spanish."""

import os
import re
from typing import Any, Literal

import pytest
from browser.chromium import DESKTOP, PHONE, Visits
from e2e.helpers import new_customer as other_customer
from e2e.helpers import new_product
from playwright.sync_api import Page, expect

from comanda.cli.api import Api
from comanda.cli.installation import Installation

Theme = Literal["light", "dark"]
Size = dict[str, Any]
SIZES = pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
LOOKS = pytest.mark.parametrize(("theme", "size"), [("dark", PHONE), ("light", DESKTOP)], ids=["phone", "desktop"])
"""Both themes and both sizes; colours depend on the one, the order of things on the other."""

PASSWORD = "tres gatos verdes en el tejado"  # of accounts that live as long as a test


def new_email() -> str:
    return f"persona-{os.urandom(4).hex()}@example.com"


def new_customer(visits: Visits, nobody: Api, **options: Any) -> tuple[Page, Api]:
    """A page where a new person is logged in, and what they may do through the API."""
    email = new_email()
    user = {"email": email, "password": PASSWORD, "nombre": "Ana"}
    assert nobody.request("auth", "POST", "/auth/usuarios", json=user).status_code == 201
    page = visits.new("#/entrar", **options)
    log_in(page, email, PASSWORD)
    return page, nobody.login(email, PASSWORD)


def log_in(page: Page, email: str, password: str) -> None:
    page.get_by_label("Email").fill(email)
    page.get_by_label("Contraseña", exact=True).fill(password)
    page.locator("form").get_by_role("button", name="Entrar").click()
    expect(page.get_by_role("heading", name="Tienda")).to_be_visible()


def put_into_cart(page: Page, sku: str, cantidad: int = 1) -> None:
    """Searches for the product and takes that many."""
    page.get_by_role("searchbox").fill(sku)
    card = page.locator(f"[data-testid=producto][data-sku={sku}]")
    card.get_by_role("button", name="Añadir").click()
    for _ in range(cantidad - 1):
        card.get_by_role("button", name="Uno más").click()
    expect(card.get_by_role("textbox")).to_have_value(str(cantidad))


def go_to_cart(page: Page) -> None:
    page.get_by_role("link", name="Carrito").click()
    expect(page.get_by_role("heading", name="Carrito")).to_be_visible()


def pedido_of(page: Page) -> str:
    """The id of the order whose page is shown, once it is."""
    page.wait_for_url(re.compile("#/pedidos/."))
    return page.url.rpartition("/")[2]


def pedidos_of(customer: Api) -> list[dict[str, Any]]:
    return list(customer.all("pedidos", "/pedidos"))


def sku_of(admin: Api, stock: int) -> str:
    """The SKU of a new product of which there is that much."""
    producto = admin.get("productos", f"/productos/{new_product(admin, stock)}")
    assert producto is not None
    return str(producto.json()["sku"])


def sell(admin: Api, tienda: Installation, sku: str, cantidad: int) -> None:
    """Somebody else orders that many."""
    (producto,) = admin.all("productos", "/productos", buscar=sku)
    lineas = [{"producto_id": producto["id"], "cantidad": cantidad}]
    made = other_customer(tienda).request("pedidos", "POST", "/pedidos", json={"lineas": lineas})
    assert made.status_code == 201, made.text


def show(page: Page, name: str) -> None:
    """Goes there, and waits until nothing is loading."""
    page.goto(f"/#/{name}")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.locator(".skeletons")).to_have_count(0)
