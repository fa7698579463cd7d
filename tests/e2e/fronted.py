"""A gateway alone, before services that do as a test says."""

import http.server
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx2

from comanda.cli import gateway
from comanda.common.ports import free_ports

SECONDS_TO_START = 20


class Backend(http.server.ThreadingHTTPServer):
    """A service that notes what reaches it, except probes."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", free_ports(1)[0]), _Handler)
        self.met: list[tuple[str, str]] = []
        self.headers: list[Mapping[str, str]] = []
        self.drop_next = False
        self.may_go_on = threading.Event()
        self.connections: list[socket.socket] = []

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_port}"

    def die(self) -> None:
        """Ends as a killed process does: nobody listens, and every connection is closed."""
        self.may_go_on.set()
        self.shutdown()
        self.server_close()
        for connection in self.connections:
            with suppress(OSError):  # it was closed before
                connection.shutdown(socket.SHUT_RDWR)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Backend

    def setup(self) -> None:
        super().setup()
        self.server.connections.append(self.connection)

    def do_GET(self) -> None:  # the name that the base class calls
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path != "/readyz":
            self.server.met.append((self.command, self.path))
            self.server.headers.append(self.headers)
            if self.server.drop_next:
                self.server.drop_next = False
                self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True
                return
        if self.path == "/pedidos/eventos":
            self._stream()
            return
        self._head({"Content-Type": "application/json", "Content-Length": str(len(body))})
        self.wfile.write(body)

    def do_POST(self) -> None:  # likewise
        self.do_GET()

    def _stream(self) -> None:
        self._head({"Content-Type": "text/event-stream", "Connection": "close"})
        self.wfile.write(b"id: 1\n\n")
        self.wfile.flush()
        self.server.may_go_on.wait(30)
        self.wfile.write(b"id: 2\n\n")

    def _head(self, headers: Mapping[str, str]) -> None:
        self.send_response(200)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def backends(count: int) -> Iterator[list[Backend]]:
    running = [Backend() for _ in range(count)]
    for backend in running:
        threading.Thread(target=backend.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield running
    finally:
        for backend in running:
            backend.die()


@contextmanager
def caddy(folder: Path, **variables: str) -> Iterator[httpx2.Client]:
    """A gateway with those variables, and a client of it."""
    port = free_ports(1)[0]
    given = {
        "PATH": os.environ["PATH"],
        "GATEWAY_SITE": f"http://:{port}",
        "GATEWAY_BIND": "127.0.0.1",
        "GATEWAY_STATE": str(folder / "caddy"),
        "XDG_DATA_HOME": str(folder),
        "GATEWAY_WEB": str(folder),
        **variables,
    }
    command = [str(gateway.caddy()), "run", "--config", str(gateway.CADDYFILE), "--adapter", "caddyfile"]
    with (folder / "gateway.log").open("wb") as log:
        process = subprocess.Popen(command, env=given, stdout=log, stderr=log)
    try:
        with httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=15, trust_env=False) as client:
            _wait(client, process)
            yield client
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def _wait(client: httpx2.Client, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + SECONDS_TO_START
    while True:
        try:
            assert client.get("/livez").status_code == 200
            return
        except httpx2.TransportError:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
