"""`python -m comanda.productos`, as an operator starts it."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx2
import pytest

from comanda.productos.settings import Settings
from comanda.testing import free_port

pytestmark = pytest.mark.proc


def command(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "comanda.productos", *arguments],
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


class TestMain:
    def test_help_lists_every_variable(self) -> None:
        process = command("--help")
        output, errors = process.communicate(timeout=20)
        assert (process.returncode, errors) == (0, "")
        assert {Settings.variable(name) for name in Settings.model_fields} <= set(output.split())

    def test_port_in_use(self) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            process = command(PRODUCTOS_PORT=str(taken.getsockname()[1]))
            _, errors = process.communicate(timeout=20)
        assert process.returncode == 1
        assert "PRODUCTOS_PORT" in errors
        assert errors.count("\n") == 1

    def test_starts_on_a_fresh_folder(self, tmp_path: Path) -> None:
        port = free_port()
        process = command(PRODUCTOS_PORT=str(port), COMANDA_DATA=str(tmp_path))
        try:
            for _ in range(400):
                time.sleep(0.05)
                try:
                    if httpx2.get(f"http://127.0.0.1:{port}/readyz").status_code == 200:
                        break
                except httpx2.ConnectError:
                    assert process.poll() is None
            assert (tmp_path / "productos.db").exists()
        finally:
            process.terminate()
            output, errors = process.communicate(timeout=20)
        assert errors == ""
        assert '"event": "ready"' in output
