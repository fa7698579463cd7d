"""A service as a process that tests kill, stop, continue and start again."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

import httpx2

from comanda.testing.crash import VARIABLE

READY_SECONDS = 40
LOOK_SECONDS = 0.05


class Handle(Protocol):
    """A started process."""

    pid: int

    def poll(self) -> int | None: ...


Launcher = Callable[[str, Mapping[str, str], Path], Handle]


def launch(service: str, environment: Mapping[str, str], log: Path) -> Handle:
    """`python -m comanda.<service>`, in that environment and no other; its output goes into that file.

    With a crash point in the environment, `python -m comanda.testing.crash <service>`.
    """
    program = ["comanda.testing.crash", service] if VARIABLE in environment else [f"comanda.{service}"]
    with log.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", *program],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )


class Service:
    """One replica of a service.

    Args:
        name: of the replica, for example `pedidos-2`.
        port: where it listens; each start is on the same.
    """

    def __init__(
        self, name: str, service: str, port: int, environment: Mapping[str, str], log: Path, launcher: Launcher
    ) -> None:
        self.name = name
        self.service = service
        self.port = port
        self.log = log
        self.supervised = True
        self._environment = environment
        self._launcher = launcher
        self._handle: Handle | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self._handle is not None
        return self._handle.pid

    @property
    def alive(self) -> bool:
        return self._handle is not None and self._handle.poll() is None

    def start(self, crash_at: str = "") -> None:
        """Starts it; `crash_at` is a crash point and passage at which it will die."""
        armed = {VARIABLE: crash_at} if crash_at else {}
        self._handle = self._launcher(self.service, {**self._environment, **armed}, self.log)

    def signal(self, number: int) -> None:
        if self.alive:
            os.kill(self.pid, number)

    async def kill(self) -> None:
        """SIGKILL, and waits until it is gone."""
        self.signal(signal.SIGKILL)
        await self.died(10)

    async def died(self, seconds: float) -> bool:
        """Whether it is dead, or dies within that time."""
        deadline = time.monotonic() + seconds
        while self.alive:
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(LOOK_SECONDS / 5)
        return True

    async def stopped(self, seconds: float) -> bool:
        """Whether a signal has stopped it, or does so within that time."""
        deadline = time.monotonic() + seconds
        while _state(self.pid) != "T":
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(LOOK_SECONDS / 5)
        return True

    async def ready(self, http: httpx2.AsyncClient) -> bool:
        """Waits until it serves; False: it died before."""
        deadline = time.monotonic() + READY_SECONDS
        while self.alive:
            try:
                if (await http.get(f"{self.url}/readyz")).status_code == 200:
                    return True
            except httpx2.TransportError:
                pass
            assert time.monotonic() < deadline, f"{self.name} does not get ready:\n{self.log.read_text()[-2000:]}"
            await asyncio.sleep(LOOK_SECONDS)
        return False


def _state(pid: int) -> str:
    """The letter that Linux gives to what a process is doing (proc(5))."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]


async def supervise(services: list[Service]) -> None:
    """Starts again, for ever, whatever has died and is meant to run; a crash point is for one life only."""
    while True:
        for service in services:
            if service.supervised and not service.alive:
                service.start()
        await asyncio.sleep(LOOK_SECONDS)
