"""The process of a service, as its supervisor and its clients see it: real processes, real signals."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from comanda.testing import Databases, free_port

pytestmark = pytest.mark.proc

APP = """
import asyncio
import os

from fastapi import FastAPI

from comanda.common import app as common
from comanda.common.clock import SystemClock
from comanda.common.database import Database
from comanda.common.requests import router
from comanda.common.server import prepare_process, serve
from comanda.common.settings import ServiceSettings, load
from comanda.common.trust import verifier
from pydantic_settings import SettingsConfigDict


class Settings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="COSAS_")


def build() -> FastAPI:
    settings = load(Settings)
    prepare_process(settings, "cosas")
    clock = SystemClock()
    routes = router()

    @routes.post("/eco")
    async def eco(datos: dict[str, int]) -> dict[str, int]:
        return datos | {"pid": os.getpid()}

    return common.create_app(
        common.Wiring(
            name="cosas",
            description="",
            settings=settings,
            clock=clock,
            database=Database(settings.database_url, clock=clock),
            migrations="cosas",
            verifier=verifier(settings, "cosas", clock, {}),
            routers=[routes],
            use_cases=None,
        )
    )
"""
MAIN = """
from comanda.common.server import serve
from cosas.app import Settings

if __name__ == "__main__":
    serve("cosas", Settings)
"""
SUPERVISOR = """
import os, subprocess, sys
os.environ["COMANDA_SUPERVISOR_PID"] = str(os.getpid())
child = subprocess.Popen([sys.executable, "-m", "cosas"])
print(child.pid, flush=True)
child.wait()
"""
Launch = Callable[..., subprocess.Popen[str]]


@pytest.fixture(scope="module", autouse=True)
def _service(package_folder: Path) -> None:
    (package_folder / "cosas" / "app.py").write_text(APP)
    (package_folder / "cosas" / "__main__.py").write_text(MAIN)


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def launch(package_folder: Path, tmp_path: Path, port: int) -> Iterator[Launch]:
    """Starts `python -m cosas`, or another program, in a group of its own that ends with the test."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str, program: str | None = None, **environment: str) -> subprocess.Popen[str]:
        variables = {
            "PYTHONPATH": str(package_folder),
            "COMANDA_DATA": str(tmp_path),
            "COSAS_PORT": str(port),
            "COSAS_DATABASE_URL": f"sqlite:///{tmp_path}/cosas.db",
        }
        command = ["-c", program] if program else ["-m", "cosas"]
        process = subprocess.Popen(
            [sys.executable, *command, *arguments],
            env=os.environ | variables | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def until(condition: Callable[[], Any], seconds: float = 20) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with suppress(OSError):
            if answer := condition():
                return answer
        time.sleep(0.02)
    raise AssertionError("it did not come to pass")


def exchange(port: int, *parts: bytes, between: Callable[[], None] = lambda: None) -> bytes:
    with socket.create_connection(("127.0.0.1", port), 5) as client:
        client.sendall(parts[0])
        for part in parts[1:]:
            between()
            client.sendall(part)
        answer = b""
        while more := client.recv(65536):
            answer += more
        return answer


def ask(port: int, path: str) -> bytes:
    return exchange(port, f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())


def is_ready(port: int) -> bool:
    return b" 200 " in ask(port, "/readyz").split(b"\r\n", 1)[0]


def refuses(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) != 0


class TestHelp:
    def test_lists_every_variable(self, launch: Launch) -> None:
        process = launch("--help")
        output, _ = process.communicate(timeout=20)
        assert process.returncode == 0
        for name in ("COSAS_PORT", "COSAS_DATABASE_URL", "COSAS_BREAKER_FAIL_MAX", "COSAS_LOG_LEVEL"):
            assert name in output


class TestRefusal:
    def test_setting_that_is_wrong(self, launch: Launch) -> None:
        process = launch(COSAS_WORKERS="none")
        output, errors = process.communicate(timeout=20)
        assert (process.returncode, output) == (1, "")
        assert errors.startswith("COSAS_WORKERS: ")
        assert len(errors.splitlines()) == 1

    def test_port_in_use(self, launch: Launch, port: int) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", port))
            taken.listen()
            process = launch()
            output, errors = process.communicate(timeout=20)
        assert (process.returncode, output) == (1, "")
        assert "COSAS_PORT" in errors
        assert str(port) in errors
        assert len(errors.splitlines()) == 1


class TestSigterm:
    def test_what_runs_finishes_and_nothing_new_begins(self, launch: Launch, port: int) -> None:
        process = launch()
        until(lambda: is_ready(port))
        head = b"POST /eco HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 8\r\n\r\n"

        def stop() -> None:
            time.sleep(0.1)  # the service has begun to read
            process.terminate()
            until(lambda: refuses(port))

        answer = exchange(port, head + b'{"a"', b": 1}", between=stop)
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert json.loads(answer.split(b"\r\n\r\n", 1)[1])["a"] == 1
        assert process.wait(10) in (0, -signal.SIGTERM)


class TestConnections:
    def test_a_head_that_never_ends(self, launch: Launch, port: int) -> None:
        launch(COSAS_HEADER_TIMEOUT_SECONDS="0.4")
        until(lambda: is_ready(port))
        assert exchange(port, b"GET /livez HTTP/1.1\r\nHo").startswith(b"HTTP/1.1 408 ")
        assert exchange(port, b"") == b""

    def test_bounds_are_those_of_the_settings(self, launch: Launch, port: int) -> None:
        launch(COSAS_MAX_CONNECTIONS="2", COSAS_MAX_HEADER_BYTES="1024")
        until(lambda: is_ready(port))
        assert ask(port, "/" + "x" * 1024).startswith(b"HTTP/1.1 431 ")
        with socket.create_connection(("127.0.0.1", port), 5), socket.create_connection(("127.0.0.1", port), 5):
            until(lambda: exchange(port, b"").startswith(b"HTTP/1.1 503 "))
        until(lambda: is_ready(port))

    def test_does_not_say_what_it_runs_on(self, launch: Launch, port: int) -> None:
        launch()
        until(lambda: is_ready(port))
        for answer in (ask(port, "/livez"), exchange(port, b"no HTTP\r\n\r\n")):
            head = answer.split(b"\r\n\r\n")[0].lower()
            assert b"\r\nx-content-type-options: nosniff" in head
            assert b"\r\nserver:" not in head
            assert b"uvicorn" not in answer


class TestSupervisor:
    def test_the_service_does_not_outlive_it(self, launch: Launch, port: int) -> None:
        supervisor = launch(program=SUPERVISOR)
        assert supervisor.stdout is not None
        service = int(supervisor.stdout.readline())
        until(lambda: is_ready(port))
        supervisor.kill()
        until(lambda: refuses(port), 10)
        until(lambda: not is_running(service), 10)


class TestWorkers:
    @pytest.fixture
    async def url(self, postgres_databases: Databases, package_folder: Path) -> str:
        return await postgres_databases.new("cosas")

    @pytest.mark.parametrize("victim", ["main process", "supervisor"])
    def test_none_stays(self, launch: Launch, port: int, url: str, victim: str) -> None:
        supervisor = launch(program=SUPERVISOR, COSAS_DATABASE_URL=url, COSAS_WORKERS="2")
        assert supervisor.stdout is not None
        main = int(supervisor.stdout.readline())
        until(lambda: is_ready(port))
        workers = until(lambda: found if len(found := children(main)) >= 2 else None)
        if victim == "supervisor":
            supervisor.kill()
        else:
            os.kill(main, signal.SIGKILL)
        until(lambda: not any(map(is_running, [main, *workers])), 20)
        assert refuses(port)


def children(pid: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
                if int(fields[1]) == pid:
                    found.append(int(entry.name))
    return found


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
