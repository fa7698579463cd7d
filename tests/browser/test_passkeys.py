"""Logging in without a password, with the authenticator that Chromium plays itself (WebAuthn §11)."""

from browser.chromium import Visits
from browser.steps import PASSWORD, log_in, new_email
from playwright.sync_api import Page, expect

from comanda.cli.installation import Installation


class TestPasskeys:
    def test_crear_entrar_y_quitar(self, visits: Visits, tienda: Installation) -> None:
        email = new_email()
        user = {"email": email, "password": PASSWORD}
        registered = tienda.api().request("auth", "POST", "/auth/usuarios", json=user)
        assert registered.status_code == 201, registered.text
        page = _at_localhost(visits)
        _with_authenticator(page)
        log_in(page, email, PASSWORD)
        _go_to_account(page)
        page.get_by_role("button", name="Crear una llave de acceso").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_label("Nombre").fill("Portátil")
        dialog.get_by_label("Contraseña", exact=True).fill(PASSWORD)
        dialog.get_by_role("button", name="Seguir").click()
        expect(page.get_by_test_id("passkey")).to_contain_text("Portátil")
        page.get_by_role("button", name="Salir").click()
        expect(page.get_by_role("heading", name="Pida con tranquilidad")).to_be_visible()
        page.goto(f"{_address(visits)}/#/entrar")
        page.get_by_role("button", name="Entrar con una llave de acceso").click()
        expect(page.get_by_role("heading", name="Tienda")).to_be_visible()
        _go_to_account(page)
        expect(page.get_by_text(email)).to_be_visible()
        page.get_by_test_id("passkey").get_by_role("button", name="Quitar").click()
        page.get_by_role("dialog").get_by_role("button", name="Quitar").click()
        expect(page.get_by_test_id("passkey")).to_have_count(0)

    def test_quien_no_tiene_ninguna(self, visits: Visits) -> None:
        page = _at_localhost(visits)
        _with_authenticator(page)
        page.get_by_role("button", name="Entrar con una llave de acceso").click()
        expect(page.get_by_text("No se ha usado ninguna llave de acceso.")).to_be_visible()

    def test_en_una_direccion_de_cifras_no_se_ofrecen(self, visits: Visits) -> None:
        page = visits.new("#/entrar")
        expect(page.get_by_label("Email")).to_be_visible()
        expect(page.get_by_role("button", name="Entrar con una llave de acceso")).to_have_count(0)


def _address(visits: Visits) -> str:
    """No passkey is of an IP address."""
    return visits.address.replace("127.0.0.1", "localhost")


def _at_localhost(visits: Visits) -> Page:
    page = visits.new()
    page.goto(f"{_address(visits)}/#/entrar")
    return page


def _with_authenticator(page: Page) -> None:
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    session.send("WebAuthn.addVirtualAuthenticator", {"options": options})


def _go_to_account(page: Page) -> None:
    page.get_by_role("link", name="Cuenta").click()
    expect(page.get_by_role("heading", name="Llaves de acceso")).to_be_visible()
