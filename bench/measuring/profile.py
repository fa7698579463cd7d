"""Where the services spend their time, as py-spy sees it from outside."""

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from measuring.system import SERVICES, System

SAMPLES_PER_SECOND = 200


@contextmanager
def profiled(system: System, folder: Path | None) -> Iterator[None]:
    """While it lasts, py-spy samples each service into `<folder>/<service>.txt`: a stack a line, how often it was seen.

    Flame graphs are drawn from that (https://www.speedscope.app reads it). It takes some CPU of its own.
    """
    if folder is None:
        yield
        return
    program = shutil.which("py-spy", path=str(Path(sys.executable).parent)) or shutil.which("py-spy")
    if program is None:
        raise RuntimeError("a profile needs py-spy: .venv/bin/uv pip install py-spy")
    folder.mkdir(parents=True, exist_ok=True)
    watchers = [
        subprocess.Popen(
            [program, "record", "--pid", str(system.processes[service].pid), "--subprocesses", "--nonblocking",
             "--rate", str(SAMPLES_PER_SECOND), "--duration", "unlimited", "--format", "raw",
             "--output", str(folder / f"{service}.txt")],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for service in SERVICES
    ]  # fmt: skip
    try:
        yield
    finally:
        for watcher in watchers:
            watcher.send_signal(signal.SIGINT)  # it writes down what it has seen
            watcher.wait(20)
