import os
import signal
import subprocess
import sys

PROGRAM = """
from comanda.common.crashpoints import crash_point
for passage in range(1, 4):
    crash_point("before-commit")
    crash_point("after-commit")
    print(passage, flush=True)
"""


def run(crash_at: str) -> tuple[int, str]:
    environment = os.environ | {"COMANDA_CRASH_AT": crash_at}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, timeout=30)
    return done.returncode, done.stdout


class TestCrashPoint:
    def test_kills_at_that_passage(self) -> None:
        assert run("after-commit:2") == (-signal.SIGKILL, "1\n")

    def test_kills_at_the_first_when_no_number_is_given(self) -> None:
        assert run("before-commit") == (-signal.SIGKILL, "")

    def test_nothing_without_the_variable(self) -> None:
        assert run("") == (0, "1\n2\n3\n")
