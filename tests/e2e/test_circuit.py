"""The circuit between pedidos and inventario, with a listener in between that counts who comes through."""

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from uuid import UUID

import httpx2
import pytest
from e2e.helpers import ADMIN, SETTINGS, new_customer, new_product

from comanda.cli.api import slug
from comanda.cli.installation import Installation

FAIL_MAX, RETRIES, RETRY_WAIT_SECONDS, BREAKER_SECONDS = 5, 2, 0.2, 12.0
REFUSALS, PROBERS, AT_ONCE_SECONDS = 200, 20, 0.05


class Gate:
    """A TCP relay to inventario that counts connections.

    Open it relays; closed it hangs up; held it keeps whoever comes waiting until it is opened.
    """

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=200)
        self.port = int(self._listener.getsockname()[1])
        self.target = 0
        self.connections = 0
        self._closed = False
        self._open = threading.Event()
        self._open.set()
        self._sockets: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._closed = True
        self._hang_up_all()

    def hold(self) -> None:
        self._open.clear()
        self._closed = False
        self._hang_up_all()

    def open(self) -> None:
        self._closed = False
        self._open.set()

    def stop(self) -> None:
        self.close()
        _hang_up(self._listener)

    def _hang_up_all(self) -> None:
        self.connections = 0
        for one in self._sockets:
            _hang_up(one)
        self._sockets.clear()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            if self._closed:
                _hang_up(client)
            else:
                self._sockets.append(client)
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        self._open.wait(60)
        server = socket.create_connection(("127.0.0.1", self.target))
        self._sockets.append(server)
        threading.Thread(target=_relay, args=(server, client), daemon=True).start()
        _relay(client, server)


def _relay(source: socket.socket, destination: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            destination.sendall(data)
    _hang_up(destination)


def _hang_up(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()


@pytest.fixture(scope="module")
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.stop()


@pytest.fixture(scope="module")
def comanda(tmp_path_factory: pytest.TempPathFactory, gate: Gate) -> Iterator[Installation]:
    settings = SETTINGS | {
        "PEDIDOS_INVENTARIO_URL": f"http://127.0.0.1:{gate.port}",
        "PEDIDOS_BREAKER_FAIL_MAX": str(FAIL_MAX),
        "PEDIDOS_BREAKER_TIMEOUT_SECONDS": str(BREAKER_SECONDS),
        "PEDIDOS_RETRY_ATTEMPTS": str(RETRIES),
        "PEDIDOS_RETRY_WAIT_SECONDS": str(RETRY_WAIT_SECONDS),
        "PEDIDOS_HTTP_TIMEOUT_SECONDS": "3",
        "PEDIDOS_RECOVERY_SECONDS": "3600",  # else recovery might be the one who probes
    }
    installation = Installation(tmp_path_factory.mktemp("circuit"), settings)
    gate.target = int(installation.variables["INVENTARIO_PORT"])
    yield installation.start()
    assert installation.stop() == 0


async def test_el_circuito_como_lo_promete_la_arquitectura(comanda: Installation, gate: Gate) -> None:
    """One story: failures after retries, open at the fifth, refusals at once, one probe, closed again."""
    admin = comanda.api().login(*ADMIN)
    order = {"lineas": [{"producto_id": new_product(admin, 100), "cantidad": 1}]}
    nothing = {"lineas": [{"producto_id": str(UUID(int=0)), "cantidad": 1}]}
    headers = new_customer(comanda).headers("pedidos")

    def state() -> str:
        circuits = admin.request("pedidos", "GET", "/circuitos").json()
        return next(str(one["estado"]) for one in circuits if one["nombre"] == "inventario")

    async with httpx2.AsyncClient(base_url=comanda.address("pedidos"), headers=headers, timeout=30) as session:

        async def place() -> httpx2.Response:
            return await session.post("/pedidos", json=order)

        assert (await place()).status_code == 201
        assert state() == "CERRADO"

        gate.close()
        for failure in range(FAIL_MAX):
            assert state() == "CERRADO", failure
            began = time.perf_counter()
            _assert_unavailable(await place())
            assert time.perf_counter() - began >= RETRIES * RETRY_WAIT_SECONDS
        opened = time.monotonic()
        assert gate.connections == FAIL_MAX * (1 + RETRIES)
        assert state() == "ABIERTO"

        gate.hold()
        refusals: list[float] = []
        others: list[float] = []
        while len(refusals) < REFUSALS and time.monotonic() - opened < BREAKER_SECONDS - 2:
            began = time.perf_counter()
            _assert_unavailable(await place())
            refusals.append(time.perf_counter() - began)
            if len(refusals) % 2:
                began = time.perf_counter()
                assert (await session.post("/pedidos", json=nothing)).status_code == 422
                others.append(time.perf_counter() - began)
        assert (len(refusals), gate.connections) == (REFUSALS, 0)
        # On a machine that is busy with other tests, an order that never comes to inventario takes its time too.
        assert _p99(refusals) <= AT_ONCE_SECONDS + _p99(others)

        await asyncio.sleep(opened + BREAKER_SECONDS + 0.2 - time.monotonic())
        probing = [asyncio.create_task(place()) for _ in range(PROBERS)]
        done, waiting = await asyncio.wait(probing, timeout=1)
        assert (len(done), len(waiting), gate.connections) == (PROBERS - 1, 1, 1)
        for task in done:
            _assert_unavailable(task.result())
        assert state() == "SEMIABIERTO"

        gate.open()
        assert (await waiting.pop()).status_code == 201
        assert state() == "CERRADO"
        assert (await place()).status_code == 201
    audit = comanda.run("verify")
    assert audit.returncode == 0, audit.stderr


def _p99(seconds: list[float]) -> float:
    return sorted(seconds)[int(len(seconds) * 0.99) - 1]


def _assert_unavailable(answer: httpx2.Response) -> None:
    assert (answer.status_code, slug(answer)) == (503, "servicio-no-disponible"), answer.text
    assert answer.json()["servicio"] == "inventario"
    assert int(answer.headers["retry-after"]) >= 1
