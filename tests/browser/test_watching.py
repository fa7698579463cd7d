"""That trouble in a page is noticed: without it, the other tests would say less than they seem to."""

import re

import pytest
from browser.chromium import Visits, until

SCRIPT = """
const script = document.createElement("script");
script.textContent = "window.ran = true";
document.head.append(script);
"""


@pytest.mark.parametrize(
    ("script", "trouble"),
    [
        (SCRIPT, "Content-Security-Policy: script-src-elem inline"),
        ("document.body.setAttribute('style', 'color: red')", "Content-Security-Policy: style-src-attr inline"),
        ("console.error('broken')", "error: broken"),
        ("setTimeout(() => { throw new Error('thrown'); })", "uncaught: .*thrown"),
        ("Promise.reject(new Error('rejected')); undefined", "uncaught: .*rejected"),
        ("fetch('/pedidos')", "error: Failed to load resource: .* status of 401 "),
    ],
)
def test_trouble_is_noticed(visits: Visits, script: str, trouble: str) -> None:
    page = visits.new()
    page.get_by_role("heading", level=1).wait_for()
    page.evaluate(script)
    until(page, lambda: any(re.search(trouble, found) for found in visits.troubles))
    assert page.evaluate("window.ran") is None
    assert visits.unexpected == visits.troubles
    visits.troubles.clear()
