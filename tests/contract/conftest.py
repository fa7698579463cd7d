"""productos, inventario and pedidos as one system in this process: real code, real databases, a network in memory."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from contract.invariants import assert_invariants
from contract.system import StillClock, System, start

from comanda.testing import Databases, FakeClock, Issuer

Arrancar = Callable[..., Awaitable[System]]


@pytest.fixture
def clock() -> FakeClock:
    return StillClock()


@pytest.fixture
async def arrancar(databases: Databases, clock: FakeClock, issuer: Issuer, tmp_path: Path) -> AsyncIterator[Arrancar]:
    """Starts the system: `await arrancar(relojes=2, max_open_orders=1)`.

    With two clocks inventario has its own, for a test to set apart; everything else is a setting of pedidos. When the
    test is over and the network whole, the invariants must hold.
    """
    started: list[System] = []
    async with AsyncExitStack() as stack:

        async def make(relojes: int = 1, **settings: Any) -> System:
            inventario_clock = clock if relojes == 1 else StillClock(seed=1)
            started.append(await start(stack, databases, tmp_path, clock, inventario_clock, issuer, **settings))
            return started[-1]

        yield make
        for system in started:
            if system.red.entera:
                await assert_invariants(system)


@pytest.fixture
async def system(arrancar: Arrancar) -> System:
    return await arrancar()
