"""Starts services by forking a process that has imported them already: in a tenth of a second instead of two.

Run as a program it reads one JSON object a line, `{"service", "environment", "log"}`, forks a child that becomes
`python -m comanda.<service>` in that environment, and answers with its process id. It ends, and its children with it,
when its input does.

A child can also be stopped at a crash point instead of killed there. A signal from outside comes at any moment, mostly
while the child waits for something, and then it wakes to the end of that wait's time limit. One that is to wake with an
answer in its hands and nothing between it and the next step has to stop itself.
"""

import importlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from comanda.common import crashpoints, server
from comanda.testing import crash

STOP_VARIABLE = "CHAOS_STOP_AFTER_CALL"
"""Names a file. When it is there, the next answer of a neighbour stops the process, before anything is made of it."""

PRELOADED = (
    "comanda.auth.app",
    "comanda.productos.app",
    "comanda.inventario.app",
    "comanda.pedidos.app",
    "uvicorn.loops.uvloop",
    "uvicorn.protocols.http.httptools_impl",
)


class Nursery:
    """Calling it launches a service."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __call__(self, service: str, environment: Mapping[str, str], log: Path) -> "Child":
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        order = {"service": service, "environment": dict(environment), "log": str(log)}
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return Child(int(self._process.stdout.readline()))

    def close(self) -> None:
        self._process.communicate(timeout=20)


class Child:
    """A process whose parent is the nursery."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def poll(self) -> int | None:
        """None while it runs; the nursery reaps it at once, so its id is gone as soon as it is dead."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return -1
        return None


def main() -> None:
    for module in PRELOADED:
        importlib.import_module(module)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _become(order["service"], order["environment"], order["log"])
        print(pid, flush=True)  # noqa: T201  # the answer


def _become(service: str, environment: Mapping[str, str], log: str) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.environ.clear()
    os.environ.update(environment)
    os.environ[server.SUPERVISOR_VARIABLE] = str(os.getppid())
    null, output = os.open(os.devnull, os.O_RDONLY), os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for target, source in ((0, null), (1, output), (2, output)):
        os.dup2(source, target)
    crash.arm(environment.get(crash.VARIABLE, ""))
    if STOP_VARIABLE in environment:
        _stop_after_call(Path(environment[STOP_VARIABLE]))
    crash.become(service)
    os._exit(0)


def _stop_after_call(wanted: Path) -> None:
    """Makes that file stop this process, once, at the point at which `comanda.testing.crash` would kill it."""

    def stop(point: crashpoints.Point) -> None:
        if point == "after-call" and wanted.exists():
            wanted.unlink()
            os.kill(os.getpid(), signal.SIGSTOP)

    crashpoints.hook = stop


if __name__ == "__main__":
    main()
