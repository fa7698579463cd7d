"""A whole Comanda of its own, as a real `comanda up` on free ports: for the demo, and for tests of what it shows."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from comanda.cli import environment, supervision
from comanda.cli.announce import READY
from comanda.cli.api import Api, addresses
from comanda.cli.errors import CommandFailed
from comanda.common.ports import free_ports

START_SECONDS = 60
STOP_SECONDS = 40
OWN_PREFIXES = ("COMANDA_", "GATEWAY_", *(f"{service.upper()}_" for service in environment.SERVICES))
NO_GATEWAY = {"COMANDA_GATEWAY_PORT": "0"}
"""Or all of them would want the same port."""


class Installation:
    """Four services under one supervisor, and a gateway if the variables name a port for it.

    Args:
        data: its data folder.
        variables: settings of the services; nothing of ours is taken from the environment of this process.
    """

    def __init__(self, data: Path, variables: Mapping[str, str]) -> None:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(OWN_PREFIXES)}
        ports = zip(environment.SERVICES, free_ports(len(environment.SERVICES)), strict=True)
        chosen = {f"{service.upper()}_PORT": str(port) for service, port in ports}
        self.data = data
        self._environment = {**inherited, **chosen, "COMANDA_DATA": str(data), **NO_GATEWAY, **variables}
        self.variables = environment.derive(self._environment)
        self.output: list[str] = []
        self._process: subprocess.Popen[str] | None = None
        self._ready = threading.Event()
        self._reader: threading.Thread | None = None
        self._api: Api | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None  # noqa: S101  # started before it is asked
        return self._process.pid

    def start(self) -> "Installation":
        """Starts everything and waits until it is ready.

        Raises:
            CommandFailed: with what it printed, if it does not get there.
        """
        self._ready.clear()
        self.output = []
        self._process = subprocess.Popen(
            [sys.executable, "-m", "comanda.cli", "up"],
            env=self._environment,
            cwd=self.data,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, args=(self._process,), daemon=True)
        self._reader.start()
        deadline = time.monotonic() + START_SECONDS
        while not self._ready.wait(0.05):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise CommandFailed("Comanda did not start:\n" + "".join(self.output))
        return self

    def stop(self, signal_number: int = signal.SIGTERM) -> int:
        """Ends it with that signal; returns the exit status."""
        assert self._process is not None  # noqa: S101
        if self._api is not None:
            self._api.close()
            self._api = None
        if self._process.poll() is None:
            self._process.send_signal(signal_number)
        try:
            return self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise
        finally:
            if self._reader is not None:
                self._reader.join(5)

    def service_pid(self, service: str) -> int:
        """The process of a service, 0 while it has none."""
        return next((program.pid for program in supervision.programs(self.data) if program.name == service), 0)

    def address(self, service: str) -> str:
        return environment.address(self.variables, service)

    def api(self) -> Api:
        """A client of the services, closed when they are stopped."""
        if self._api is None:
            self._api = Api(addresses(self.variables))
        return self._api

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs another `comanda` command in the same environment."""
        command = [sys.executable, "-m", "comanda.cli", *arguments]
        return subprocess.run(
            command, env=self._environment, cwd=self.data, capture_output=True, text=True, timeout=120, check=False
        )

    def _read(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None  # noqa: S101
        with process.stdout:
            for line in process.stdout:
                self.output.append(line)
                if line.rstrip("\n") == READY:
                    self._ready.set()
