import os
import subprocess
import sys

import pytest

from comanda.common import crashpoints
from comanda.common.clock import SystemClock
from comanda.common.database import Database
from comanda.testing import Databases


class TestCrashPoint:
    async def test_the_hook_hears_of_each_passage(self, databases: Databases, monkeypatch: pytest.MonkeyPatch) -> None:
        heard: list[crashpoints.Point] = []
        monkeypatch.setattr(crashpoints, "hook", heard.append)
        database = Database(await databases.new(), clock=SystemClock())
        async with database.transaction():
            assert heard == []
        assert heard == ["before-commit", "after-commit"]
        await database.aclose()

    def test_the_environment_sets_none(self) -> None:
        program = "from comanda.common.crashpoints import crash_point as p, hook; p('before-commit'); print(hook)"
        environment = os.environ | {"COMANDA_CRASH_AT": "before-commit:1"}
        done = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=30
        )
        assert (done.returncode, done.stdout) == (0, "None\n")
