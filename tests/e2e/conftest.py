"""Whole installations, as real processes: `comanda up` on SQLite and on a PostgreSQL server of its own."""

from collections.abc import Callable, Iterator

import pytest
from e2e.helpers import ADMIN, SECRETS, SETTINGS, new_customer, new_product
from e2e.leaks import leaks

from comanda.cli.api import Api
from comanda.cli.installation import Installation
from comanda.testing import PostgresServer


@pytest.fixture(scope="session")
def on_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    installation = Installation(tmp_path_factory.mktemp("sqlite"), SETTINGS).start()
    yield installation
    assert installation.stop() == 0
    assert leaks(installation.data / "logs", SECRETS) == []


@pytest.fixture(scope="session")
def on_postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    server = PostgresServer().start()
    try:
        settings = SETTINGS | {"COMANDA_POSTGRES_URL": f"{server.url}/"}
        installation = Installation(tmp_path_factory.mktemp("postgresql"), settings).start()
        yield installation
        assert installation.stop() == 0
        assert leaks(installation.data / "logs", SECRETS) == []
    finally:
        server.stop()


@pytest.fixture(params=["sqlite", "postgresql"])
def comanda(request: pytest.FixtureRequest) -> Installation:
    """A running installation that the tests of a database share; whatever a test breaks, it mends."""
    installation: Installation = request.getfixturevalue(f"on_{request.param}")
    return installation


@pytest.fixture
def admin(comanda: Installation) -> Api:
    return comanda.api().login(*ADMIN)


@pytest.fixture
def customer(comanda: Installation) -> Api:
    return new_customer(comanda)


@pytest.fixture
def product(admin: Api) -> Callable[[int], str]:
    """Makes a product with that much stock; gives its id."""
    return lambda stock: new_product(admin, stock)
