"""Pictures of each page for the documentation: `make screenshots` writes them anew."""

import random
import tempfile
from pathlib import Path

from browser.chromium import DESKTOP, PATIENCE_MS, PHONE, Visits, chromium, until
from browser.outage import killed
from browser.steps import PASSWORD, go_to_cart, log_in, pedido_of, put_into_cart, show
from e2e.helpers import ADMIN, SETTINGS, new_customer
from playwright.sync_api import Page, expect

from comanda.cli import gateway
from comanda.cli.api import Api
from comanda.cli.installation import Installation
from comanda.common.ports import free_ports

IMAGES = Path(__file__).parents[2] / "docs" / "images"
MAX_BYTES = 150_000
ORDERS, MILLISECONDS_BETWEEN_ORDERS = 150, 60
EMAIL = "ana@example.com"


def write_all() -> None:
    expect.set_options(timeout=PATIENCE_MS)
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="comanda-screenshots-") as folder:
        settings = SETTINGS | {"COMANDA_GATEWAY_PORT": str(free_ports(1)[0])}
        installation = Installation(Path(folder), settings).start()
        try:
            with chromium() as browser:
                visits = Visits(browser, gateway.address(installation.variables))
                _of_a_customer(visits, installation.api())
                _of_the_administrator(visits, installation)
                visits.close()
                assert visits.unexpected == [], visits.unexpected
        finally:
            installation.stop()


def _of_a_customer(visits: Visits, nobody: Api) -> None:
    user = {"email": EMAIL, "password": PASSWORD, "nombre": "Ana"}
    nobody.request("auth", "POST", "/auth/usuarios", json=user)
    admin = nobody.login(*ADMIN)
    _sell_out(admin)
    phone = visits.new("#/entrar", color_scheme="dark", **PHONE)
    log_in(phone, EMAIL, PASSWORD)
    for sku, cantidad in (("CAF-002", 2), ("TAZ-001", 1), ("MAT-001", 1)):
        put_into_cart(phone, sku, cantidad)
    phone.get_by_role("searchbox").fill("")
    expect(phone.get_by_test_id("producto")).to_have_count(12)
    _take(phone, "tienda-telefono-oscuro")
    go_to_cart(phone)
    _take(phone, "carrito-telefono-oscuro")
    phone.get_by_role("button", name="Hacer el pedido").click()
    pedido_id = pedido_of(phone)
    expect(phone.locator(".on-air.live")).to_be_visible()
    desktop = visits.new("#/entrar", color_scheme="light", **DESKTOP)
    log_in(desktop, EMAIL, PASSWORD)
    for sku, cantidad in (("CAF-001", 2), ("DUL-001", 1)):
        put_into_cart(desktop, sku, cantidad)
    desktop.get_by_role("searchbox").fill("")
    expect(desktop.get_by_test_id("producto")).to_have_count(12)
    _take(desktop, "tienda-escritorio-claro")
    desktop.goto(f"/#/pedidos/{pedido_id}")
    expect(desktop.locator(".on-air.live")).to_be_visible()
    _take(desktop, "pedido-escritorio-claro")
    assert admin.request("pedidos", "POST", f"/pedidos/{pedido_id}/completar").status_code == 200
    expect(phone.get_by_test_id("estado")).to_have_text("Completado")
    _take(phone, "pedido-telefono-oscuro")
    desktop.goto("/#/cuenta")
    expect(desktop.get_by_test_id("sesion")).to_have_count(2)
    _take(desktop, "cuenta-escritorio-claro")


def _of_the_administrator(visits: Visits, installation: Installation) -> None:
    """Also the moments after a service died, under orders that keep coming."""
    page = visits.new("#/entrar", color_scheme="light", **DESKTOP)
    log_in(page, *ADMIN)
    show(page, "gestion/existencias?ver=pocas&umbral=100")
    _take(page, "gestion-escritorio-claro")
    visits.expect_answer(503)
    show(page, "operacion")
    customers = [new_customer(installation) for _ in range(3)]
    (producto, *_) = customers[0].all("productos", "/productos", buscar="MAT-004")
    lineas = [{"producto_id": producto["id"], "cantidad": 1}]

    def order() -> int:
        page.wait_for_timeout(MILLISECONDS_BETWEEN_ORDERS)
        customer = random.choice(customers)  # noqa: S311  # of a picture
        return customer.request("pedidos", "POST", "/pedidos", json={"lineas": lineas}).status_code

    for _ in range(ORDERS):
        assert order() == 201
    with killed(installation, "inventario"):
        circuit = page.get_by_test_id("circuitos").get_by_role("listitem").first
        until(page, lambda: order() and "abierto" in circuit.inner_text())
        _take(page, "operacion-escritorio-claro")
        page.emulate_media(color_scheme="dark")
        page.set_viewport_size(PHONE["viewport"])
        _take(page, "operacion-telefono-oscuro")


def _sell_out(admin: Api) -> None:
    """Of some there is little or nothing left, so that the shop shows all that it can say; of one, enough for many."""
    for sku, fisico in (("CAF-003", 0), ("CAF-004", 3), ("MAT-004", 5_000)):
        (producto,) = admin.all("productos", "/productos", buscar=sku)
        ajuste = {"tipo": "AJUSTE", "cantidad": fisico, "fisico_esperado": 100, "motivo": "Recuento"}
        answer = admin.request("inventario", "POST", f"/inventario/{producto['id']}/movimientos", json=ajuste)
        assert answer.status_code == 201, answer.text


def _take(page: Page, name: str) -> None:
    """What is in view, without what moves or passes.

    Raises:
        ValueError: the picture is larger than the repository should hold.
    """
    page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
    page.mouse.move(0, 0)
    page.get_by_role("status").get_by_role("button", name="Cerrar").evaluate_all(
        "(all) => all.forEach((one) => one.click())"
    )
    path = IMAGES / f"{name}.png"
    page.screenshot(path=path, animations="disabled", scale="css" if page.viewport_size["width"] > 500 else "device")
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"{path.name} has {path.stat().st_size} bytes, more than {MAX_BYTES}")


if __name__ == "__main__":
    write_all()
