"""The wall clock of pedidos is set forward and back while customers shop; inventario's is not.

It needs libfaketime, a Debian package (`apt-get install faketime`); `COMANDA_LIBFAKETIME` names the library where it is
not in the usual place. Without it the test is skipped: the deterministic simulation sets clocks, too.
"""

import asyncio
import os
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest
from chaos.checks import CLEAN_SECONDS, become_clean, faults
from chaos.cluster import running
from chaos.databases import sqlite
from chaos.load import Memory, shopping, until
from chaos.processes import Handle, launch

STOCK = 10_000
JUMPS_SECONDS = (25, -25, 0)
"""Less than the 30 seconds by which the clocks of who signs a token and who verifies it may differ."""

BETWEEN_SECONDS = 3


def _library() -> str:
    places = [*Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), Path("/usr/lib/faketime/libfaketime.so.1")]
    return os.environ.get("COMANDA_LIBFAKETIME") or next((str(place) for place in places if place.exists()), "")


@pytest.mark.skipif(not _library(), reason="needs libfaketime (apt-get install faketime); the simulation covers this")
async def test_clock_of_pedidos_jumps(folder: Path) -> None:
    memory, offset = Memory(), folder / "offset"
    offset.write_text("+0")
    launcher = partial(_with_clock, offset)
    async with asyncio.timeout(120), running(folder, sqlite(folder), launcher=launcher) as cluster:
        product = await cluster.product(STOCK)
        end = time.monotonic() + BETWEEN_SECONDS * (len(JUMPS_SECONDS) + 1)
        async with asyncio.TaskGroup() as group:
            group.create_task(shopping(cluster, memory, [product], customers=8, is_open=until(end), seed=1))
            for jump in JUMPS_SECONDS:
                await asyncio.sleep(BETWEEN_SECONDS)
                offset.write_text(f"{jump:+d}")
        # What was to be looked at soon may now be due later, by as much as the clock went back.
        await become_clean(cluster, time.monotonic(), within=CLEAN_SECONDS + 2 * JUMPS_SECONDS[0])
        wrong = await faults(cluster, memory, {product: STOCK})
    assert not wrong, "\n".join(wrong[:20]) + cluster.log()
    assert any(order.estado == "COMPLETADO" for order in memory.orders)
    created = [datetime.fromisoformat(order.body["creado_en"]) for order in memory.orders if order.body]
    # Forward only: within a process ids, and the times of creation that are read off them, never go back.
    assert max(after - before for before, after in pairwise(created)) > timedelta(seconds=JUMPS_SECONDS[0] - 5)


def _with_clock(offset: Path, service: str, environment: Mapping[str, str], log: Path) -> Handle:
    """pedidos takes the wall clock from the machine's and that file; durations are real."""
    if service == "pedidos":
        faked = {"LD_PRELOAD": _library(), "FAKETIME_TIMESTAMP_FILE": str(offset)}
        environment = {**environment, **faked, "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    return launch(service, environment, log)
