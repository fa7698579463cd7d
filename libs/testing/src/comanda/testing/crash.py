"""Kills a service at a named place of its code, to show that dying there loses and doubles nothing.

    COMANDA_CRASH_AT=before-commit:7 python -m comanda.testing.crash pedidos

is `python -m comanda.pedidos`, but for its end: SIGKILL at the seventh passage of that place, without a number at the
first. The places: `comanda.common.crashpoints`. It is this process alone that dies; workers of its own are not armed.
"""

import os
import runpy
import signal
import sys
from typing import get_args

from comanda.common import crashpoints

VARIABLE = "COMANDA_CRASH_AT"


def main() -> None:
    service = sys.argv[1]
    arm(os.environ.get(VARIABLE, ""))
    become(service, *sys.argv[2:])


def arm(crash_at: str) -> None:
    """Has this process kill itself at that place and passage, `after-call:3` for example; empty: does nothing.

    Raises:
        ValueError: there is no such place, or no such passage.
    """
    if not crash_at:
        return
    place, _, passage = crash_at.partition(":")
    left = int(passage or 1)
    if place not in get_args(crashpoints.Point) or left < 1:
        raise ValueError(f"{VARIABLE}={crash_at}")

    def die(point: crashpoints.Point) -> None:
        nonlocal left
        left -= point == place
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    crashpoints.hook = die


def become(service: str, *arguments: str) -> None:
    """Runs that service in this process, as `python -m comanda.<service>` does."""
    sys.argv = [f"comanda.{service}", *arguments]
    runpy.run_module(f"comanda.{service}", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
