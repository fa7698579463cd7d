"""What administrators do: the catalogue, its stock, orders, imports; and watching the services."""

import os
import re
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from browser.accessible import assert_accessible
from browser.chromium import Visits, until
from browser.outage import killed
from browser.steps import LOOKS, Size, Theme, log_in, show
from e2e.helpers import ADMIN
from e2e.helpers import new_customer as other_customer
from playwright.sync_api import Page, expect

from comanda.cli.api import Api
from comanda.cli.installation import Installation

ROWS = 5_000
FAILURES_THAT_OPEN = 5
IMPORT_MS = 120_000
PAGES = (
    "gestion",
    "gestion/productos/nuevo",
    "gestion/importar",
    "gestion/existencias",
    "gestion/existencias?ver=pocas",
    "gestion/pedidos",
    "gestion/usuarios",
    "gestion/cuentas",
    "gestion/registro",
    "operacion",
)


@pytest.fixture
def page(visits: Visits) -> Page:
    """Where the administrator is logged in."""
    page = visits.new("#/entrar")
    log_in(page, *ADMIN)
    return page


class TestProductos:
    def test_crear_y_contar(self, visits: Visits, page: Page, admin: Api) -> None:
        """A new product, with its first stock, then an entry and a count."""
        visits.expect_answer(404)
        sku = _new_sku()
        page.get_by_role("link", name="Gestión").click()
        page.get_by_role("link", name="Producto nuevo").click()
        page.get_by_label("SKU").fill(sku)
        page.get_by_label("Nombre").fill("Tetera de hierro")
        page.get_by_label("Precio").fill("39,50")
        page.get_by_role("button", name="Crear el producto").click()
        expect(page.get_by_role("heading", name="Tetera de hierro")).to_be_visible()
        page.get_by_label("Cantidad").fill("5")
        page.get_by_role("button", name="Registrar lo que hay").click()
        expect(page.get_by_test_id("disponible")).to_have_text("5")
        page.get_by_label("Cantidad").fill("7")
        page.get_by_role("button", name="Registrar la entrada").click()
        expect(page.get_by_test_id("disponible")).to_have_text("12")
        page.get_by_role("button", name="Ajuste", exact=True).click()
        page.get_by_label("Cuántas ha contado").fill("11")
        page.get_by_role("button", name="Ajustar a lo contado").click()
        expect(page.get_by_test_id("disponible")).to_have_text("11")
        changes = page.get_by_test_id("libro").locator("tbody td:nth-child(3)")
        expect(changes).to_have_text(["+5", "+7", re.compile("^[-−]1$")])
        (producto,) = admin.all("productos", "/productos", buscar=sku)
        assert (producto["nombre"], producto["precio"]) == ("Tetera de hierro", "39.50")

    def test_dos_lo_cambian_a_la_vez(self, visits: Visits, page: Page, admin: Api) -> None:
        """Who saves last sees what the other wrote, and chooses; nothing is overwritten unseen."""
        visits.expect_answer(404, 412)
        producto = _new_product(admin)
        page.goto(f"/#/gestion/productos/{producto['id']}")
        page.get_by_label("Nombre").fill("Mío")
        page.get_by_label("Descripción").fill("Solo mía")
        changed = admin.request(
            "productos", "PATCH", f"/productos/{producto['id']}", json={"nombre": "Suyo", "precio": "7.00"}
        )
        assert changed.status_code == 200
        page.get_by_role("button", name="Guardar").click()
        conflict = page.get_by_test_id("conflicto")
        expect(conflict).to_contain_text("Otra persona ha cambiado este producto")
        assert_accessible(page)
        conflict.get_by_role("group", name="Nombre").get_by_label("Lo que usted ha escrito").check()
        conflict.get_by_role("button", name="Guardar lo elegido").click()
        expect(page.get_by_role("heading", name="Mío")).to_be_visible()
        expect(page.get_by_label("Precio")).to_have_value("7.00")
        now = _read(admin, producto["id"])
        assert (now["nombre"], now["precio"], now["descripcion"]) == ("Mío", "7.00", "Solo mía")

    def test_retirar_y_volver(self, visits: Visits, page: Page, admin: Api) -> None:
        visits.expect_answer(404)
        producto = _new_product(admin)
        page.goto(f"/#/gestion/productos/{producto['id']}")
        for button, badge in (("Retirar de la venta", "Retirado"), ("Poner a la venta", "A la venta")):
            page.get_by_role("button", name=button).click()
            page.get_by_role("dialog").get_by_role("button", name=button).click()
            expect(page.get_by_test_id("venta")).to_have_text(badge)
            assert _read(admin, producto["id"])["activo"] == (badge == "A la venta")


class TestPedidos:
    def test_completar_y_cancelar(self, tienda: Installation, page: Page) -> None:
        customer = other_customer(tienda)
        (producto, *_) = customer.all("productos", "/productos", buscar="CAF-001")
        lineas = [{"producto_id": producto["id"], "cantidad": 1}]
        pedidos = [customer.request("pedidos", "POST", "/pedidos", json={"lineas": lineas}).json() for _ in range(2)]
        page.goto("/#/gestion/pedidos")
        for pedido, button, estado in zip(
            pedidos, ("Completar el pedido", "Cancelar el pedido"), ("Completado", "Cancelado"), strict=True
        ):
            page.locator(f"a[href='#/gestion/pedidos/{pedido['id']}']").click()
            page.get_by_role("button", name=button).click()
            page.get_by_role("dialog").get_by_role("button", name=button).click()
            expect(page.get_by_test_id("estado")).to_have_text(estado)
            page.get_by_role("link", name="Volver").click()
            row = page.locator(f"a[href='#/gestion/pedidos/{pedido['id']}']")
            expect(row.get_by_test_id("estado")).to_have_text(estado)
        assert {pedido["estado"] for pedido in customer.all("pedidos", "/pedidos")} == {"COMPLETADO", "CANCELADO"}


class TestImportar:
    def test_cinco_mil_filas(self, page: Page, admin: Api, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """All that can be imported is; rows with faults are told, by line and reason."""
        prefix = _new_sku()
        file = tmp_path / "catalogo.csv"
        file.write_text(_catalogue(prefix), "utf-8")
        page.goto("/#/gestion/importar")
        page.get_by_label("Archivo CSV").set_input_files(file)
        expect(page.get_by_test_id("resumen")).to_contain_text(
            re.compile(r"4\.?998 listas para importar, 2 con fallos")
        )
        began = time.monotonic()
        page.get_by_role("button", name="Importar 4").click()
        progress = page.get_by_test_id("importacion")
        expect(progress.get_by_role("progressbar")).to_be_visible()
        expect(progress).to_have_attribute("data-state", "done", timeout=IMPORT_MS)
        with capsys.disabled():
            sys.stdout.write(f"\n{ROWS} rows imported in {time.monotonic() - began:.0f} s\n")
        expect(page.get_by_test_id("creado")).to_have_text(re.compile(r"^4\.?998$"))
        expect(page.get_by_test_id("fallo")).to_have_text("2")
        assert_accessible(page)
        faults = page.get_by_test_id("fallos").locator("tbody tr")
        expect(faults).to_have_text(
            [re.compile(r"^3.*El precio va de 0"), re.compile(r"^5.*El SKU ya está en la línea 4")]
        )
        assert sum(1 for _ in admin.all("productos", "/productos", buscar=prefix)) == ROWS - 2
        (counted,) = admin.all("productos", "/productos", buscar=f"{prefix}-00100")
        stock = admin.get("inventario", f"/inventario/{counted['id']}")
        assert stock is not None
        assert stock.json()["fisico"] == 100


class TestCuentas:
    def test_el_secreto_no_se_pierde(self, page: Page) -> None:
        """It is shown once: it stays until somebody says that they have it."""
        page.goto("/#/gestion/cuentas")
        page.get_by_role("button", name="Cuenta nueva").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_label("Nombre").fill("Almacén")
        dialog.get_by_label("productos:leer").check()
        dialog.get_by_role("button", name="Crear la cuenta").click()
        expect(page.get_by_test_id("secreto")).to_be_visible()
        for _ in range(2):
            page.keyboard.press("Escape")
        dialog.get_by_role("button", name="Copiar el secreto").click()
        expect(dialog.get_by_role("status")).to_have_text(re.compile("[Cc]opiado"))
        dialog.get_by_role("button", name="Lo he guardado").click()
        expect(dialog).to_have_count(0)


class TestFiltros:
    def test_con_el_teclado(self, page: Page) -> None:
        """Each arrow and each digit is only on its way to what is wanted; the focus stays where it is."""
        page.goto("/#/gestion/pedidos")
        state = page.get_by_label("Estado")
        state.focus()
        for _ in range(2):
            page.keyboard.press("ArrowDown")
        page.wait_for_url("**/pedidos?estado=COMPLETADO")
        expect(state).to_be_focused()
        page.get_by_label("Desde el día").focus()
        page.keyboard.type("01022020")
        page.wait_for_url(re.compile("estado=COMPLETADO&desde=2020-0[12]-0[12]$"))
        page.get_by_role("link", name="Quitar filtros").click()
        expect(state).to_have_value("")


class TestOperacion:
    def test_un_circuito_se_abre_y_se_cierra(self, visits: Visits, tienda: Installation, page: Page) -> None:
        """The stock service dies, orders fail, the circuit opens before one's eyes, and closes once it is back."""
        visits.expect_answer(503)
        customer = other_customer(tienda)
        (producto, *_) = customer.all("productos", "/productos", buscar="CAF-001")
        body = {"lineas": [{"producto_id": producto["id"], "cantidad": 1}]}
        page.goto("/#/operacion")
        circuits = page.get_by_test_id("circuitos").get_by_role("listitem")
        expect(circuits.first).to_contain_text("cerrado")
        with killed(tienda, "inventario"):
            down = page.locator("[data-testid=servicio][data-servicio=inventario]")
            expect(down).to_contain_text("no responde")
            for _ in range(FAILURES_THAT_OPEN):
                assert customer.request("pedidos", "POST", "/pedidos", json=body).status_code == 503
            expect(circuits.first).to_contain_text(re.compile("abierto|probando"))
        until(page, lambda: customer.request("pedidos", "POST", "/pedidos", json=body).status_code == 201)
        expect(circuits.first).to_contain_text("cerrado")
        expect(down).not_to_contain_text("no responde")


class TestAccesibilidad:
    @LOOKS
    def test_sin_faltas_en_ninguna_pagina(
        self, visits: Visits, tienda: Installation, admin: Api, theme: Theme, size: Size
    ) -> None:
        (producto, *_) = admin.all("productos", "/productos", buscar="CAF-002")
        lineas = [{"producto_id": producto["id"], "cantidad": 1}]
        pedido = other_customer(tienda).request("pedidos", "POST", "/pedidos", json={"lineas": lineas}).json()
        paths = (f"productos/{producto['id']}", f"existencias/{producto['id']}", f"pedidos/{pedido['id']}")
        page = visits.new("#/entrar", color_scheme=theme, **size)
        log_in(page, *ADMIN)
        for path in (*PAGES, *(f"gestion/{path}" for path in paths)):
            show(page, path)
            assert_accessible(page)
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path


def _catalogue(prefix: str) -> str:
    """As a supplier sends it, every hundredth with its stock; the second has no price, the third comes twice."""
    rows = [
        f"{prefix}-{at:05},Producto {at},{at % 90 + 1}.50,{at if at % 100 == 0 else ''}" for at in range(1, ROWS + 1)
    ]
    rows[1] = f"{prefix}-00002,Sin precio,,"
    rows[3] = rows[2]
    return "\n".join(["sku,nombre,precio,existencias", *rows]) + "\n"


def _new_sku() -> str:
    return f"B-{os.urandom(4).hex()}"


def _new_product(admin: Api) -> dict[str, Any]:
    made = admin.request(
        "productos", "POST", "/productos", json={"sku": _new_sku(), "nombre": "De antes", "precio": "5"}
    )
    assert made.status_code == 201, made.text
    producto: dict[str, Any] = made.json()
    return producto


def _read(admin: Api, product_id: str) -> dict[str, Any]:
    answer = admin.get("productos", f"/productos/{product_id}")
    assert answer is not None
    producto: dict[str, Any] = answer.json()
    return producto
