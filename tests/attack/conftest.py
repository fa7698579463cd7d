from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from attack.target import Target, attacked

from comanda.common.testing import Databases


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["sqlite", "postgresql"])
async def target(
    request: pytest.FixtureRequest,
    sqlite_databases: Databases,
    postgres_databases: Databases,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Target]:
    """One system for all tests of a file, on each engine: what is refused disturbs nobody."""
    chosen = sqlite_databases if request.param == "sqlite" else postgres_databases
    async with attacked(chosen, tmp_path_factory.mktemp("attack")) as system:
        yield system
