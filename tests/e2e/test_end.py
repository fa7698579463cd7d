"""`comanda up`: what is left when it ends, however it ends."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from e2e.helpers import SETTINGS, is_alive, new_product

from comanda.cli import environment, gateway, supervision
from comanda.cli.installation import Installation
from comanda.common.ports import free_ports

SECONDS_TO_END = 40
SECONDS_TO_START = 30


class TestEnd:
    def test_ctrl_c_y_kill(self, tmp_path: Path) -> None:
        """One installation through its life, for each start takes seconds."""
        front = {"COMANDA_GATEWAY_PORT": str(free_ports(1)[0])} if gateway.caddy().exists() else {}
        comanda = Installation(tmp_path, {"COMANDA_ADMIN_EMAIL": "jefa@example.com", **front}).start()
        try:
            email, password = _written_credentials(tmp_path)
            assert email == "jefa@example.com"
            assert password not in "".join(comanda.output)
            product_id = new_product(comanda.api().login(email, password), 5)

            processes = _processes(comanda)
            os.killpg(comanda.pid, signal.SIGINT)  # as a terminal does: to everyone in the foreground
            assert comanda.stop(signal.SIGINT) == 0
            _assert_gone(processes)
            assert "Traceback" not in "".join(comanda.output)

            comanda.start()
            stock = comanda.api().login(email, password).get("inventario", f"/inventario/{product_id}")
            assert stock is not None
            assert stock.json()["fisico"] == 5

            processes = _processes(comanda)
            os.kill(comanda.pid, signal.SIGKILL)
            _assert_gone(processes)
        finally:
            comanda.stop(signal.SIGKILL)

    def test_ctrl_c_mientras_arranca(self, tmp_path: Path) -> None:
        starting = Installation(tmp_path, SETTINGS)
        process = subprocess.Popen(
            [sys.executable, "-m", "comanda.cli", "up"],
            env=starting.variables,
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        deadline = time.monotonic() + SECONDS_TO_START
        while not _is_starting(starting):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)
        output, _ = process.communicate(timeout=SECONDS_TO_END)
        assert process.returncode == 0
        assert output == ""


def _written_credentials(data: Path) -> tuple[str, str]:
    path = data / "admin-credentials.txt"
    assert path.stat().st_mode & 0o777 == 0o600
    email, password = path.read_text().splitlines()
    return email.removeprefix("email: "), password.removeprefix("password: ")


def _processes(comanda: Installation) -> list[int]:
    return [comanda.pid, *(program.pid for program in supervision.programs(comanda.data))]


def _is_starting(comanda: Installation) -> bool:
    """Whether the processes of the services exist, though they cannot be ready yet."""
    try:
        commands = [Path(f"/proc/{comanda.service_pid(service)}/cmdline") for service in environment.SERVICES]
        return all(b"comanda." in command.read_bytes() for command in commands)
    except (supervision.NotRunning, FileNotFoundError):
        return False


def _assert_gone(processes: list[int]) -> None:
    deadline = time.monotonic() + SECONDS_TO_END
    while any(map(is_alive, processes)):
        assert time.monotonic() < deadline, [pid for pid in processes if is_alive(pid)]
        time.sleep(0.05)
