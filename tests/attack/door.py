"""A service as a process of its own, spoken to byte by byte over a real socket."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from attack.target import ADMIN_EMAIL, ADMIN_PASSWORD
from chaos.processes import Handle, launch

from comanda.testing import free_port

READY_SECONDS = 40
ANSWER_SECONDS = 20
"""Longest wait for the server to say something, or to close a connection that it is to close."""

FORM = "Content-Type: application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Door:
    """Where auth listens, and what it writes."""

    port: int
    log: Path
    process: Handle

    def exchange(self, sent: bytes) -> bytes:
        """All that the server answers to those bytes, until it closes. Raises `TimeoutError` if it does not."""
        answer = b""
        with socket.create_connection(("127.0.0.1", self.port), ANSWER_SECONDS) as client:
            client.sendall(sent)
            with suppress(ConnectionError):
                while more := client.recv(65536):
                    answer += more
        return answer

    def ask(self, target: str | bytes, *headers: str | bytes, method: bytes = b"GET", body: bytes = b"") -> bytes:
        """The answer to one request with that request target and those header lines, as they are."""
        raw = target if isinstance(target, bytes) else target.encode("latin-1")
        lines = [header if isinstance(header, bytes) else header.encode("latin-1") for header in headers]
        if body:
            lines.append(b"Content-Length: %d" % len(body))
        head = b"\r\n".join([method + b" " + raw + b" HTTP/1.1", b"Host: localhost", b"Connection: close", *lines])
        return self.exchange(head + b"\r\n\r\n" + body)

    def log_in(self, email: str, *headers: str | bytes) -> bytes:
        """The answer to a log-in with a wrong password."""
        form = f"grant_type=password&username={email}&password=no-es-esta".encode()
        return self.ask("/auth/token", FORM, *headers, method=b"POST", body=form)


def status(answer: bytes) -> int:
    """That of the first answer; 0: there is none."""
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else 0


@contextmanager
def auth_process(folder: Path, **settings: str) -> Iterator[Door]:
    """auth on SQLite with cheap hashes, ready."""
    port, log = free_port(), folder / "auth.log"
    environment = {
        **{name: os.environ[name] for name in os.environ if not name.startswith(("AUTH_", "COMANDA_"))},
        "COMANDA_DATA": str(folder),
        "COMANDA_ADMIN_EMAIL": ADMIN_EMAIL,
        "COMANDA_ADMIN_PASSWORD": ADMIN_PASSWORD,
        "AUTH_PORT": str(port),
        "AUTH_ARGON2_TIME_COST": "1",
        "AUTH_ARGON2_MEMORY_KIB": "8",
        "AUTH_LOG_FORMAT": "json",
    }
    process = launch("auth", environment | settings, log)
    try:
        door = Door(port, log, process)
        _until_ready(door)
        yield door
    finally:
        assert isinstance(process, subprocess.Popen)
        process.terminate()
        process.wait(READY_SECONDS)


def _until_ready(door: Door) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and door.process.poll() is None:
        with suppress(OSError):
            if status(door.ask("/readyz")) == 200:
                return
        time.sleep(0.05)
    raise AssertionError(door.log.read_text())
