"""Where the services spend their time, as py-spy sees it from outside."""

import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from measuring.system import SERVICES, System

SAMPLES_PER_SECOND = 200
HOTTEST = 15
"""Functions that are printed of each service."""

WAITING = ("Condition.wait (threading.py)", "_die_with (common/server.py)")
"""Threads that sleep there, which py-spy does not always notice."""


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
            [program, "record", "--pid", str(system.processes[service].pid), "--subprocesses",
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
    for service in SERVICES:
        print(f"{service}:\n{_hottest(folder / f'{service}.txt')}")


def _hottest(profile: Path) -> str:
    """The functions that were seen most often, by themselves and with what they call, in percent."""
    own, total = Counter[str](), Counter[str]()
    for line in profile.read_text().splitlines():
        stack, _, seen = line.rpartition(" ")
        frames = [frame for frame in stack.split(";") if not frame.startswith("process ")]
        functions = [frame.rpartition(":")[0] + ")" if ":" in frame else frame for frame in frames]
        if not functions or functions[-1] in WAITING:
            continue
        own[functions[-1]] += int(seen)
        total.update(dict.fromkeys(functions, int(seen)))
    everything = own.total() or 1
    return "\n".join(
        f"  {100 * own[name] / everything:5.1f} {100 * total[name] / everything:5.1f}  {name}"
        for name, _ in own.most_common(HOTTEST)
    )
