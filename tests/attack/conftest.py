from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from attack.target import Target, attacked

from comanda.testing import Databases

ENGINES = ("sqlite", "postgresql")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A file whose attacks no database ever sees says so by `ENGINES` of its own."""
    if "target" in metafunc.fixturenames:
        engines = getattr(metafunc.module, "ENGINES", ENGINES)
        metafunc.parametrize("target", engines, indirect=True, scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def target(
    request: pytest.FixtureRequest,
    sqlite_databases: Databases,
    postgres_databases: Databases,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Target]:
    """One system for all tests of a file, on each engine of `ENGINES`: what is refused disturbs nobody."""
    chosen = sqlite_databases if request.param == "sqlite" else postgres_databases
    async with attacked(chosen, tmp_path_factory.mktemp("attack")) as system:
        yield system
