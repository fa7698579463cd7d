"""Being somebody: how a session lives in the browser, and how it ends."""

import json
import re
import sqlite3
import time
from contextlib import closing

import httpx2
from browser.accessible import assert_accessible
from browser.chromium import Visits, until
from browser.steps import PASSWORD, go_to_cart, log_in, new_customer, new_email, pedido_of, pedidos_of, put_into_cart
from playwright.sync_api import Page, expect

from comanda.cli.installation import Installation

SECONDS_TO_LEARN = 30
"""Until a service knows that a session has ended: five, and what a busy machine takes."""
SECRET = re.compile(r"eyJ[A-Za-z0-9_-]{8,}\.|[A-Za-z0-9_-]{70}")
"""What looks like an access or a refresh token."""


class TestSecretos:
    def test_fuera_del_alcance_de_los_scripts(self, visits: Visits, tienda: Installation) -> None:
        page, _ = new_customer(visits, tienda.api())
        cookies = {str(cookie["name"]): cookie for cookie in page.context.cookies(f"{visits.address}/auth/sesion")}
        (session,) = cookies.values()
        assert SECRET.search(session["value"])
        assert (session["httpOnly"], session["sameSite"], session["path"]) == (True, "Strict", "/auth/sesion")
        assert page.evaluate("document.cookie") == ""
        kept = page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, history.state, location.href])")
        assert json.loads(kept)[0]["comanda.sesion"] == "true"
        assert not SECRET.search(kept)
        assert page.evaluate("indexedDB.databases()") == []

    def test_sigue_tras_recargar_y_en_otra_pestana(self, visits: Visits, tienda: Installation) -> None:
        page, _ = new_customer(visits, tienda.api())
        page.reload()
        expect(page.get_by_role("heading", name="Tienda")).to_be_visible()
        other = page.context.new_page()
        other.goto("/#/cuenta")
        other.get_by_role("button", name="Salir").click()
        for tab in (other, page):
            expect(tab.get_by_role("heading", name="Pida con tranquilidad")).to_be_visible()
        until(page, lambda: not page.context.cookies(f"{visits.address}/auth/sesion"))


class TestCaducidad:
    def test_a_mitad_de_la_compra(self, visits: Visits, tienda: Installation) -> None:
        """The session is ended from elsewhere: one logs in again in place, and the order that was asked for is made."""
        visits.expect_answer(401)
        email = _registered(visits)
        page = visits.new("#/entrar")
        bearers = _bearers(page)
        log_in(page, email, PASSWORD)
        put_into_cart(page, "CAF-001", 2)
        go_to_cart(page)
        customer = tienda.api().login(email, PASSWORD)
        ended = customer.request("auth", "POST", "/auth/yo/sesiones/terminar", json={"password": PASSWORD})
        assert ended.status_code == 204, ended.text
        _wait_until_refused(visits, bearers[-1])
        page.get_by_role("button", name="Hacer el pedido").click()
        dialog = page.get_by_role("dialog", name="Su sesión ha terminado")
        expect(dialog).to_be_visible()
        expect(dialog.get_by_label("Email")).to_have_value(email)
        expect(dialog.get_by_label("Contraseña", exact=True)).to_be_focused()
        expect(page.get_by_test_id("unidades")).to_have_text("2")
        for _ in range(2):
            page.keyboard.press("Escape")  # leaves only who says so
        dialog.get_by_label("Contraseña", exact=True).fill(PASSWORD)
        dialog.get_by_role("button", name="Entrar").click()
        expect(dialog).to_have_count(0)
        pedido_id = pedido_of(page)
        assert [pedido["id"] for pedido in pedidos_of(customer)] == [pedido_id]

    def test_el_carrito_espera(self, visits: Visits, tienda: Installation) -> None:
        """Who does not log in again is out; the cart is there when they come back, and not for somebody else."""
        visits.expect_answer(401)
        email = _registered(visits)
        page = visits.new("#/entrar")
        log_in(page, email, PASSWORD)
        put_into_cart(page, "CAF-001", 3)
        customer = tienda.api().login(email, PASSWORD)
        ended = customer.request("auth", "POST", "/auth/yo/sesiones/terminar", json={"password": PASSWORD})
        assert ended.status_code == 204, ended.text
        page.get_by_role("link", name="Cuenta").click()
        page.get_by_role("dialog").get_by_role("button", name="Salir").click()
        expect(page.get_by_role("heading", name="Pida con tranquilidad")).to_be_visible()
        for who, units in ((_registered(visits), "0"), (email, "3")):
            page.get_by_role("main").get_by_role("link", name="Entrar").click()
            page.get_by_label("Email").fill(who)
            page.get_by_label("Contraseña", exact=True).fill(PASSWORD)
            page.locator("form").get_by_role("button", name="Entrar").click()
            expect(page.get_by_test_id("unidades")).to_have_text(units)
            page.goto("/#/cuenta")
            page.get_by_role("button", name="Salir").click()
            expect(page.get_by_role("heading", name="Pida con tranquilidad")).to_be_visible()


class TestEnlaces:
    def test_password_nueva_de_quien_esta_dentro(self, visits: Visits, tienda: Installation) -> None:
        """A new password ends every session, this one too; what is shown is that it was set."""
        page, _ = new_customer(visits, tienda.api())
        page.route("**/auth/password/restablecer", lambda route: route.fulfill(status=204))
        page.goto("/#/restablecer?token=de-un-correo")
        page.get_by_label("Contraseña nueva", exact=True).fill(PASSWORD)
        page.get_by_role("button", name="Guardar la contraseña").click()
        note = page.get_by_role("status").filter(has_text="Contraseña cambiada")
        expect(note).to_be_focused()
        expect(page.get_by_role("button", name="Salir")).to_have_count(0)


class TestSesiones:
    def test_quien_entro_hace_tiempo_dice_su_password(self, visits: Visits, tienda: Installation) -> None:
        """One's other session is ended from the account's page, and then all; the log-ins were an hour ago."""
        visits.expect_answer(401, 422)
        email = _registered(visits)
        tienda.api().login(email, PASSWORD)
        page = visits.new("#/entrar")
        log_in(page, email, PASSWORD)
        _an_hour_passes(tienda)
        page.reload()
        page.get_by_role("link", name="Cuenta").click()
        sessions = page.get_by_test_id("sesion")
        expect(sessions).to_have_count(2)
        sessions.filter(has_not_text="Esta").get_by_role("button", name="Cerrar").click()
        dialog = page.get_by_role("dialog")
        field = dialog.get_by_label("Contraseña", exact=True)
        expect(field).to_be_focused()
        field.fill("no es esta, seguro")
        dialog.get_by_role("button", name="Cerrar").last.click()
        expect(dialog).to_contain_text("No es la contraseña.")
        assert_accessible(page)
        field.fill(PASSWORD)
        dialog.get_by_role("button", name="Cerrar").last.click()
        expect(sessions).to_have_count(1)
        expect(sessions).to_contain_text("Esta")
        page.get_by_role("button", name="Cerrar todas").click()
        page.get_by_role("dialog").get_by_role("button", name="Cerrar todas").click()
        field.fill(PASSWORD)
        page.get_by_role("dialog").get_by_role("button", name="Cerrar todas").click()
        expect(page.get_by_role("heading", name="Pida con tranquilidad")).to_be_visible()


def _an_hour_passes(tienda: Installation) -> None:
    """Every session was begun an hour earlier."""
    earlier = "UPDATE familias SET creada_en = strftime('%Y-%m-%d %H:%M:%f000', creada_en, '-1 hour')"
    with closing(sqlite3.connect(tienda.data / "auth.db", timeout=20)) as database, database:
        assert database.execute(earlier).rowcount >= 2


def _registered(visits: Visits) -> str:
    """The email of a new customer."""
    email = new_email()
    user = {"email": email, "password": PASSWORD}
    httpx2.post(f"{visits.address}/auth/usuarios", json=user, trust_env=False).raise_for_status()
    return email


def _bearers(page: Page) -> list[str]:
    """The access tokens that the page sends, as it does."""
    sent: list[str] = []
    page.on("request", lambda request: sent.extend(filter(None, [request.headers.get("authorization")])))
    return sent


def _wait_until_refused(visits: Visits, bearer: str) -> None:
    """Until pedidos knows that the session is over."""
    deadline = time.monotonic() + SECONDS_TO_LEARN
    while True:
        answer = httpx2.get(f"{visits.address}/pedidos", headers={"Authorization": bearer}, trust_env=False)
        if answer.status_code == 401:
            return
        assert time.monotonic() < deadline
        time.sleep(0.1)
