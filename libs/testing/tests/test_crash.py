"""Dying on demand: in a program of a few lines, and in a real service."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from comanda.common.crashpoints import crash_point
from comanda.testing import crash, free_port

PROGRAM = """
import sys
from comanda.common.crashpoints import crash_point
from comanda.testing import crash
crash.arm(sys.argv[1])
for passage in range(1, 4):
    crash_point("before-commit")
    crash_point("after-commit")
    print(passage, flush=True)
"""


def python(*arguments: str, **environment: str) -> tuple[int, str]:
    """How it ended, and what it printed."""
    command = [sys.executable, *arguments]
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout


class TestArm:
    def test_kills_at_that_passage(self) -> None:
        assert python("-c", PROGRAM, "after-commit:2") == (-signal.SIGKILL, "1\n")

    def test_kills_at_the_first_when_no_number_is_given(self) -> None:
        assert python("-c", PROGRAM, "before-commit") == (-signal.SIGKILL, "")

    def test_empty(self) -> None:
        assert python("-c", PROGRAM, "") == (0, "1\n2\n3\n")

    @pytest.mark.parametrize("crash_at", ["before-comit", "before-commit:0", "before-commit:a", ":1"])
    def test_what_could_never_happen(self, crash_at: str) -> None:
        with pytest.raises(ValueError, match=crash_at.rpartition(":")[2]):
            crash.arm(crash_at)
        crash_point("before-commit")


@pytest.mark.proc
class TestService:
    def test_dies_in_its_first_transaction(self, tmp_path: Path) -> None:
        variables = {"COMANDA_DATA": str(tmp_path), "AUTH_PORT": str(free_port()), "COMANDA_CRASH_AT": "before-commit"}
        assert python("-m", "comanda.testing.crash", "auth", **variables) == (-signal.SIGKILL, "")
        assert (tmp_path / "auth.db").exists()

    def test_is_otherwise_the_same_program(self) -> None:
        assert python("-m", "comanda.testing.crash", "auth", "--help") == python("-m", "comanda.auth", "--help")
