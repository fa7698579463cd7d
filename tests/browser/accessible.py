"""axe-core, which finds what keeps people from using a page."""

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

_AXE = Axe()
_OPTIONS = {"resultTypes": ["violations"]}
_SETTLED = """() => Promise.all(document.getAnimations()
  .filter((one) => one.effect.getComputedTiming().endTime !== Infinity).map((one) => one.finished.catch(() => {})))"""
_RUN = "(options) => axe.run(document, options)"


def assert_accessible(page: Page) -> None:
    """No violation of any rule of axe-core, best practices too, on the page as it is now."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(_AXE.axe_script)
    page.evaluate(_SETTLED)
    found = page.evaluate(_RUN, _OPTIONS)["violations"]
    faults = [
        f"{rule['id']} ({rule['help']}): {node['html']} {node['failureSummary']}"
        for rule in found
        for node in rule["nodes"]
    ]
    assert not faults, "\n".join([page.url, *faults])
