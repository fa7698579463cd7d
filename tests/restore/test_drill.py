"""Backups of the four databases taken seconds apart, while people order; all of it restored, and mended.

By default one short round. `make restore-drill RESTORES=20` is the full acceptance, with a line of the report for each.
`COMANDA_RESTORE_SEED` repeats a round: its order of backups and its customers' choices, not the machine's timing.
"""

import json
import os
import random
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from e2e.helpers import ADMIN, SETTINGS
from restore.busy_shop import BusyShop

from comanda.cli import verify
from comanda.cli.backup import backup
from comanda.cli.environment import SERVICES
from comanda.cli.errors import CommandFailed
from comanda.cli.installation import Installation
from comanda.cli.restore import restore
from comanda.testing.postgres import memory_folder

ROUNDS = int(os.environ.get("COMANDA_RESTORE_ROUNDS", "0"))
SEED = int(os.environ.get("COMANDA_RESTORE_SEED") or random.SystemRandom().randrange(10**6))
ORDERS = 50 if ROUNDS else 10
"""Placed before the first backup."""

APART_SECONDS = (0.5, 2.0) if ROUNDS else (0.2, 0.5)
"""Between two backups."""

QUICK = {
    "PEDIDOS_ABANDON_SECONDS": "15",
    "PEDIDOS_BREAKER_TIMEOUT_SECONDS": "1",
    "PEDIDOS_RECOVERY_SECONDS": "0.2",
    "PEDIDOS_RECOVERY_BACKOFF_SECONDS": "1",
    "PEDIDOS_HTTP_TIMEOUT_SECONDS": "5",  # whatever else this machine is doing
}
TTL_SECONDS = (3, 900)
"""What was held at the restored moment has ended by the time of the restore, or not: by the seed."""


@pytest.fixture(scope="module")
def comanda() -> Iterator[Installation]:
    """Runs from round to round, so that there is ever more to lose; what its disk would cost is not asked here."""
    ttl = random.Random(SEED).choice(TTL_SECONDS)  # noqa: S311  # reproducible on purpose
    variables = SETTINGS | QUICK | {"INVENTARIO_RESERVA_TTL_SECONDS": str(ttl)}
    with tempfile.TemporaryDirectory(prefix="comanda-drill-", dir=memory_folder()) as folder:
        comanda = Installation(Path(folder), variables)
        try:
            yield comanda.start()
        finally:
            assert comanda.stop() == 0


@pytest.mark.parametrize("number", range(1, max(ROUNDS, 1) + 1))
def test_restored_and_mended(
    number: int, comanda: Installation, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = random.Random(SEED + number)  # noqa: S311  # reproducible on purpose
    order = source.sample(SERVICES, len(SERVICES))
    shop = BusyShop(comanda, SEED + number)
    try:
        shop.open()
        shop.wait_for(ORDERS)
        began = _backed_up(comanda, tmp_path, order, source)
    finally:
        assert comanda.stop() == 0
        shop.close()
    with _in(comanda):
        for service in order:
            restore(tmp_path / service, replace=True)
    comanda.start()
    mended, clean, states = _verified(comanda, repair=True), _verified(comanda, strict=True), _states(comanda)
    lost = [one for one in shop.ended if one.at < began and states.get(one.pedido_id) != one.estado]
    with capsys.disabled():
        print(_row(number, order, shop, mended, clean))  # noqa: T201  # the report
    assert mended["sin_reparar"] == []
    assert (clean["violaciones"], clean["sin_decidir"]) == ([], [])
    assert lost == []  # what had ended before the first backup is in all of them


def _backed_up(comanda: Installation, folder: Path, order: list[str], source: random.Random) -> float:
    """Returns when (monotonic) the first backup began."""
    began = time.monotonic()
    for service in order:
        with _in(comanda):
            backup(folder / service, [service])
        time.sleep(source.uniform(*APART_SECONDS))
    return began


@contextmanager
def _in(comanda: Installation) -> Iterator[StringIO]:
    """Commands in this process, with the environment of that installation; what they print."""
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(StringIO()) as printed:
        patch.setattr("os.environ", dict(comanda.variables))
        yield printed


def _verified(comanda: Installation, **options: bool) -> dict[str, Any]:
    with _in(comanda) as printed, suppress(CommandFailed):
        verify.command(None, inventario=None, pedidos=None, as_json=True, **options)
    found: dict[str, Any] = json.loads(printed.getvalue())
    return found


def _states(comanda: Installation) -> dict[str, str]:
    admin = comanda.api().login(*ADMIN)
    return {order["id"]: order["estado"] for order in admin.all("pedidos", "/pedidos")}


def _row(number: int, order: list[str], shop: BusyShop, mended: dict[str, Any], clean: dict[str, Any]) -> str:
    kinds = Counter(f"{one['invariante']} {one['sujeto']['estado']}: {one['encontrado']}" for one in mended["reparado"])
    return (
        f"\nround {number} seed {SEED}: backups of {', '.join(order)}; {shop.placed} orders placed; mended "
        f"{sum(kinds.values())} {dict(kinds)}, not mended {len(mended['sin_reparar'])}; then {clean['pedidos']} "
        f"orders, {len(clean['violaciones'])} violations, {len(clean['sin_decidir'])} undecided"
    )
