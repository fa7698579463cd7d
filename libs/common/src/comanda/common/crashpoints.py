"""Places at which tests kill a process, to show that dying there loses and doubles nothing.

`COMANDA_CRASH_AT=before-commit:7` ends the process with SIGKILL at its seventh passage of that point. Without the
variable a point costs one comparison.

    before-commit, after-commit   of every write transaction
    before-call, after-call       of every send to a neighbour
"""

import os
import signal
from typing import Literal

VARIABLE = "COMANDA_CRASH_AT"

Point = Literal["before-commit", "after-commit", "before-call", "after-call"]

_target, _, _passages = os.environ.get(VARIABLE, "").partition(":")
_left = int(_passages or 1)


def crash_point(point: Point) -> None:
    """Kills this process if the environment says so."""
    if point != _target:
        return
    global _left  # noqa: PLW0603  # the count belongs to the process
    _left -= 1
    if _left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
