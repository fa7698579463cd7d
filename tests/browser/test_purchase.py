"""Buying: once, whatever happens meanwhile."""

import re

import pytest
from browser.chromium import PHONE, Visits, until
from browser.outage import killed
from browser.steps import (
    PASSWORD,
    go_to_cart,
    new_customer,
    new_email,
    pedido_of,
    pedidos_of,
    put_into_cart,
    sell,
    sku_of,
)
from playwright.sync_api import Page, Request, Route, expect

from comanda.cli.api import Api
from comanda.cli.installation import Installation

WORDS = {
    "es-ES": {
        "register": "Crear cuenta",
        "name": "Nombre",
        "password": "Contraseña",
        "add": "Añadir",
        "cart": "Carrito",
        "buy": "Hacer el pedido",
        "reserved": "Reservado",
        "completed": "Completado",
        "thanks": "Gracias por su compra",
    },
    "en-GB": {
        "register": "Create account",
        "name": "Name",
        "password": "Password",
        "add": "Add",
        "cart": "Cart",
        "buy": "Place the order",
        "reserved": "Reserved",
        "completed": "Completed",
        "thanks": "Thank you for your purchase",
    },
}
BUY = WORDS["es-ES"]["buy"]
PEDIDOS = re.compile("/pedidos$")


class TestCompra:
    @pytest.mark.parametrize("locale", WORDS)
    def test_entera_en_un_telefono(self, visits: Visits, admin: Api, locale: str) -> None:
        """From nobody to a completed order, without a reload."""
        words = WORDS[locale]
        page = visits.new("", locale=locale, **PHONE)
        page.get_by_role("main").get_by_role("link", name=words["register"]).click()
        page.get_by_label("Email").fill(new_email())
        page.get_by_label(words["name"]).fill("Ana")
        page.get_by_label(words["password"], exact=True).fill(PASSWORD)
        page.get_by_role("button", name=words["register"]).click()
        page.get_by_role("searchbox").fill("etiopia")
        card = page.get_by_test_id("producto")
        expect(card).to_have_count(1)
        card.get_by_role("button", name=words["add"]).click()
        page.get_by_role("link", name=words["cart"]).click()
        expect(page.get_by_test_id("total")).to_contain_text("11")
        page.get_by_role("button", name=words["buy"]).click()
        estado = page.get_by_test_id("estado")
        expect(estado).to_have_text(words["reserved"])
        assert page.evaluate("document.documentElement.scrollWidth") <= 375
        page.evaluate("window.not_reloaded = true")
        expect(page.locator(".on-air.live")).to_be_visible()
        assert admin.request("pedidos", "POST", f"/pedidos/{pedido_of(page)}/completar").status_code == 200
        expect(estado).to_have_text(words["completed"])
        expect(page.get_by_text(words["thanks"])).to_be_visible()
        expect(page.get_by_test_id("historial").get_by_role("listitem")).to_have_count(4)
        assert page.evaluate("window.not_reloaded")

    def test_doble_clic(self, visits: Visits, tienda: Installation) -> None:
        page, customer = new_customer(visits, tienda.api())
        sent = orders_sent(page)
        put_into_cart(page, "CAF-001")
        go_to_cart(page)
        page.get_by_role("button", name=BUY).dblclick()
        pedido_id = pedido_of(page)
        assert len(sent) == 1
        assert [pedido["id"] for pedido in pedidos_of(customer)] == [pedido_id]

    def test_recargar_a_medias(self, visits: Visits, tienda: Installation) -> None:
        """The order was made, its answer never came: after a reload the page asks for the same one, and finds it."""
        page, customer = new_customer(visits, tienda.api())
        sent = orders_sent(page)
        made: list[str] = []
        page.route(PEDIDOS, lambda route: made.append(route.fetch().json()["id"]), times=1)
        put_into_cart(page, "CAF-001", 2)
        go_to_cart(page)
        page.get_by_role("button", name=BUY).click()
        expect(page.get_by_role("button", name="Haciendo el pedido")).to_be_visible()
        until(page, lambda: made)
        page.reload()
        assert [pedido_of(page)] == made
        assert [pedido["id"] for pedido in pedidos_of(customer)] == made
        assert len(sent) == 2
        assert len({request.headers["idempotency-key"] for request in sent}) == 1
        expect(page.get_by_test_id("unidades")).to_have_text("0")

    def test_otra_pestana(self, visits: Visits, tienda: Installation) -> None:
        """It waits for the one that is ordering, and goes on with the same order when that one is closed."""
        visits.expect_answer(409)  # the browser may let go of what was held, and the service be at work on it
        page, customer = new_customer(visits, tienda.api())
        other = page.context.new_page()
        sent = [orders_sent(tab) for tab in (page, other)]
        held: list[Route] = []

        def hold(route: Route) -> None:
            held.append(route)

        page.route(PEDIDOS, hold)
        put_into_cart(page, "CAF-001", 2)
        go_to_cart(page)
        page.get_by_role("button", name=BUY).click()
        until(page, lambda: held)
        other.goto("/#/carrito")
        expect(other.get_by_role("button", name="Haciendo el pedido")).to_be_visible()
        assert [len(requests) for requests in sent] == [1, 0]
        page.close()
        pedido_id = pedido_of(other)
        assert [pedido["id"] for pedido in pedidos_of(customer)] == [pedido_id]
        assert len({request.headers["idempotency-key"] for requests in sent for request in requests}) == 1
        expect(other.get_by_test_id("unidades")).to_have_text("0")

    def test_sin_almacen_y_de_vuelta(self, visits: Visits, tienda: Installation) -> None:
        """The stock service dies: the page says so, keeps the cart, counts down, and orders once it is back."""
        visits.expect_answer(503)
        page, customer = new_customer(visits, tienda.api())
        sent = orders_sent(page)
        put_into_cart(page, "CAF-001", 2)
        go_to_cart(page)
        with killed(tienda, "inventario") as come_back:
            page.get_by_role("button", name=BUY).click()
            waiting = page.get_by_test_id("espera")
            expect(waiting).to_contain_text("Ahora mismo no podemos hablar con el almacén")
            expect(waiting).to_contain_text("Su carrito está a salvo")
            expect(waiting.get_by_role("timer")).to_have_text(re.compile(r"^0:0\d$"))
            until(page, lambda: len(sent) > 1)
            expect(page.get_by_test_id("unidades")).to_have_text("2")
            come_back()
            pedido_id = pedido_of(page)
        expect(page.get_by_test_id("estado")).to_have_text("Reservado")
        assert [pedido["id"] for pedido in pedidos_of(customer)] == [pedido_id]
        assert len({request.headers["idempotency-key"] for request in sent}) == 1
        expect(page.get_by_test_id("unidades")).to_have_text("0")


class TestEscasez:
    def test_dos_quieren_la_ultima(self, visits: Visits, tienda: Installation, admin: Api) -> None:
        visits.expect_answer(409)
        sku = sku_of(admin, stock=1)
        pages = [new_customer(visits, tienda.api())[0] for _ in range(2)]
        held: list[Route] = []

        def hold(route: Route) -> None:
            held.append(route)

        for page in pages:
            put_into_cart(page, sku)
            go_to_cart(page)
            page.route(PEDIDOS, hold, times=1)
            page.get_by_role("button", name=BUY).click()
        until(pages[0], lambda: len(held) == 2)
        for route in held:
            route.continue_()
        for page in pages:
            expect(page.get_by_test_id("estado").or_(page.locator(".objection"))).to_be_visible()
        (without,) = [page for page in pages if page.locator(".objection").is_visible()]
        (buyer,) = [page for page in pages if page is not without]
        expect(buyer.get_by_test_id("estado")).to_have_text("Reservado")
        line = without.get_by_test_id("linea")
        expect(line).to_contain_text("Se ha agotado: alguien se llevó lo último.")
        expect(without.get_by_role("alert")).to_contain_text("No se ha apartado nada")
        line.get_by_role("button", name="Quitar").last.click()
        expect(without.get_by_text("Su carrito está vacío")).to_be_visible()

    def test_se_ofrece_lo_que_queda(self, visits: Visits, tienda: Installation, admin: Api) -> None:
        """Of two products the one that is short is named; with what is left of it, the order is made."""
        visits.expect_answer(409)
        sku = sku_of(admin, stock=3)
        page, customer = new_customer(visits, tienda.api())
        put_into_cart(page, "CAF-002")
        put_into_cart(page, sku, 3)
        sell(admin, tienda, sku, 1)
        go_to_cart(page)
        page.get_by_role("button", name=BUY).click()
        short = page.get_by_test_id("linea").filter(has_text="Ha pedido 3 y solo quedan 2.")
        expect(short).to_have_count(1)
        expect(short).to_contain_text("2,50")
        short.get_by_role("button", name="Dejarlo en 2").click()
        page.get_by_role("button", name=BUY).click()
        pedido_id = pedido_of(page)
        (reservado, rechazado) = pedidos_of(customer)
        assert (reservado["id"], [linea["cantidad"] for linea in reservado["lineas"]]) == (pedido_id, [1, 2])
        assert rechazado["estado"] == "CANCELADO"


def orders_sent(page: Page) -> list[Request]:
    """The requests of that page that ask for an order, as they are sent."""
    sent: list[Request] = []

    def note(request: Request) -> None:
        if request.method == "POST" and PEDIDOS.search(request.url):
            sent.append(request)

    page.on("request", note)
    return sent
