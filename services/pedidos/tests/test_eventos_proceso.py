"""A real process with open streams: it stops at once, and the next one goes on where it was."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from comanda.common.clock import SystemClock
from comanda.pedidos.domain import Fase
from comanda.testing import Issuer, free_port

pytestmark = pytest.mark.proc

SHUTDOWN_SECONDS = 60
"""What requests would get; far more than a stream may take."""


class Proceso:
    """pedidos on its own port, started and stopped."""

    def __init__(self, folder: Path, database_url: str) -> None:
        self.issuer = Issuer(SystemClock())
        self.port = free_port()
        self._environment = os.environ | {
            "COMANDA_DATA": str(folder),
            "PEDIDOS_PORT": str(self.port),
            "PEDIDOS_DATABASE_URL": database_url,
            "PEDIDOS_AUTH_JWKS": json.dumps(self.issuer.jwks),
            "PEDIDOS_SHUTDOWN_SECONDS": str(SHUTDOWN_SECONDS),
        }
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = subprocess.Popen([sys.executable, "-m", "comanda.pedidos"], env=self._environment)
        deadline = time.monotonic() + 30
        while not self._is_ready():
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def stop(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(SHUTDOWN_SECONDS / 2)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def listen(self, *headers: str) -> socket.socket:
        """An open stream of events, its head read."""
        client = socket.create_connection(("127.0.0.1", self.port), 20)
        token = self.issuer.token("pedidos:propios", subject="ana")
        lines = ["GET /pedidos/eventos HTTP/1.1", "Host: localhost", f"Authorization: Bearer {token}", *headers]
        client.sendall("\r\n".join([*lines, "", ""]).encode())
        received = b""
        while b"retry: " not in received:
            received += client.recv(65536)
        assert received.startswith(b"HTTP/1.1 200 ")
        return client

    def _is_ready(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 5) as client:
            client.sendall(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            return b" 200 " in client.recv(65536).split(b"\r\n", 1)[0]
        return False


def rest(client: socket.socket) -> bytes:
    received = b""
    while more := client.recv(65536):
        received += more
    return received


def until(client: socket.socket, text: bytes) -> bytes:
    received = b""
    while text not in received:
        more = client.recv(65536)
        assert more, received
        received += more
    return received


@pytest.fixture
def proceso(tmp_path: Path, database_url: str) -> Iterator[Proceso]:
    proceso = Proceso(tmp_path, database_url)
    yield proceso
    proceso.kill()


async def test_para_con_flujos_abiertos_y_se_reanudan(proceso: Proceso, mundo: Any) -> None:
    proceso.start()
    with closing(proceso.listen()) as uno, closing(proceso.listen()) as otro:
        assert proceso.stop() == -signal.SIGTERM  # as the server raises it again when it is done
        assert rest(uno).endswith(b"0\r\n\r\n")  # whole, so that a client knows that nothing was cut off
        assert rest(otro).endswith(b"0\r\n\r\n")
    pedido = await mundo.en_fase(Fase.SOLICITADO)
    await mundo.database.aclose()  # on SQLite one process has the file
    proceso.start()
    with closing(proceso.listen("Last-Event-ID: 0")) as de_nuevo:
        assert str(pedido.id).encode() in until(de_nuevo, b"id: 1\n")
