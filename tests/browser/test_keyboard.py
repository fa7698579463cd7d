"""The client without a mouse."""

from browser.chromium import Visits
from browser.steps import PASSWORD, new_email, pedido_of
from playwright.sync_api import Page, expect

MAX_STEPS = 60

_FOCUS = """() => {
  const focused = document.activeElement;
  const outlines = [focused, focused.closest("label") ?? focused].map((one) => getComputedStyle(one));
  const box = focused.getBoundingClientRect();
  return {
    name: (focused.getAttribute("aria-label") ?? focused.innerText ?? "").replace(/\\s+/g, " ").trim()
      || focused.labels?.[0]?.innerText.trim() || focused.tagName,
    drawn: outlines.some((one) => one.outlineStyle !== "none" && parseFloat(one.outlineWidth) >= 2),
    inView: box.bottom > 0 && box.top < innerHeight && box.width > 0,
  };
}"""


def test_comprar_sin_raton(visits: Visits) -> None:
    """From the first page to the order; wherever the focus goes, it is seen."""
    page = visits.new()
    expect(page.get_by_role("heading", name="Pida con tranquilidad")).to_be_visible()
    page.keyboard.press("Tab")
    assert _focused(page) == "Saltar al contenido"
    page.keyboard.press("Enter")
    _tab_to(page, "Crear cuenta")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Crear cuenta")).to_be_focused()
    _tab_to(page, "Email")
    page.keyboard.type(new_email())
    _tab_to(page, "Contraseña")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Tienda")).to_be_focused()
    expect(page.get_by_test_id("producto").first).to_be_visible()
    _tab_to(page, "Buscar productos")
    page.keyboard.type("colombia")
    expect(page.get_by_test_id("producto")).to_have_count(1)
    _tab_to(page, "Añadir Café de Colombia, Huila, 250 g")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Uno más")).to_be_focused()
    assert _focused(page) == "Uno más de Café de Colombia, Huila, 250 g"
    page.keyboard.press("Enter")
    _tab_to(page, "Carrito: 2 unidades", back=True)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Carrito")).to_be_focused()
    expect(page.get_by_role("button", name="Hacer el pedido")).to_be_visible()
    _tab_to(page, "Hacer el pedido")
    page.keyboard.press("Enter")
    pedido_of(page)
    expect(page.get_by_role("heading", name="Pedido", exact=True)).to_be_focused()
    expect(page.get_by_role("button", name="Cancelar el pedido")).to_be_visible()
    _tab_to(page, "Cancelar el pedido")
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(page.get_by_role("button", name="Cancelar el pedido")).to_be_focused()
    assert _focused(page) == "Cancelar el pedido"


def _tab_to(page: Page, name: str, *, back: bool = False) -> None:
    """Presses Tab until what has that name is focused."""
    passed = []
    for _ in range(MAX_STEPS):
        page.keyboard.press("Shift+Tab" if back else "Tab")
        passed.append(_focused(page))
        if passed[-1] == name:
            return
    raise AssertionError(f"{name} not among {passed}")


def _focused(page: Page) -> str:
    """The name of what is focused, which is seen to be."""
    focus = page.evaluate(_FOCUS)
    assert (focus["drawn"], focus["inView"]) == (True, True), focus
    return str(focus["name"])
