"""Fixtures of all tests: one real PostgreSQL for the whole run, databases on both engines, a clock to set."""

import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from comanda.testing import Databases, FakeClock, Issuer, PostgresServer
from comanda.testing.filling import filled
from comanda.testing.plans import Scales, scales
from comanda.testing.postgres import memory_folder

POSTGRES_VARIABLE = "COMANDA_TEST_POSTGRES_URL"


def pytest_configure(config: pytest.Config) -> None:
    """Starts PostgreSQL once, in the controlling process; parallel workers inherit its address."""
    if POSTGRES_VARIABLE not in os.environ and not hasattr(config, "workerinput") and not config.option.collectonly:
        server = PostgresServer().start()
        os.environ[POSTGRES_VARIABLE] = server.url
        config.add_cleanup(server.stop)


@pytest.fixture(scope="session")
def postgres_url() -> str:
    return os.environ[POSTGRES_VARIABLE]


@pytest.fixture(scope="session")
def sqlite_databases() -> Iterator[Databases]:
    with tempfile.TemporaryDirectory(prefix="comanda-sqlite-", dir=memory_folder()) as folder:
        yield Databases(Path(folder), None)


@pytest.fixture(scope="session")
def postgres_databases(tmp_path_factory: pytest.TempPathFactory, postgres_url: str) -> Databases:
    return Databases(tmp_path_factory.mktemp("postgresql"), postgres_url)


@pytest.fixture(params=["sqlite", "postgresql"])
async def databases(
    request: pytest.FixtureRequest, sqlite_databases: Databases, postgres_databases: Databases
) -> AsyncIterator[Databases]:
    """Fresh databases; a test that uses this runs once on each engine."""
    chosen = sqlite_databases if request.param == "sqlite" else postgres_databases
    yield chosen
    await chosen.discard()


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["sqlite", "postgresql"])
async def few_and_many(
    request: pytest.FixtureRequest, sqlite_databases: Databases, postgres_databases: Databases
) -> AsyncIterator[tuple[str, str]]:
    """URLs of two databases of the module's `PACKAGE`, filled as its `fill` says: with few rows and with many."""
    chosen = sqlite_databases if request.param == "sqlite" else postgres_databases
    async with filled(chosen, request.module.PACKAGE, request.module.fill) as urls:
        yield urls


@pytest.fixture
async def escalas(few_and_many: tuple[str, str]) -> AsyncIterator[Scales]:
    """To ask in both."""
    async with scales(*few_and_many) as found:
        yield found


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def issuer(clock: FakeClock) -> Issuer:
    return Issuer(clock)
