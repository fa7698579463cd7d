"""A service that is killed and stays away until the test lets it come back."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from xmlrpc.client import Fault, ServerProxy

import httpx2
from supervisor.xmlrpc import SupervisorTransport

from comanda.cli import gateway, supervision
from comanda.cli.installation import Installation

SECONDS_TO_SETTLE = 30


@contextmanager
def killed(tienda: Installation, service: str) -> Iterator[Callable[[], None]]:
    """The service is dead, and nobody starts it again until the given function is called, or the block left.

    Args:
        service: not auth.
    """
    program = f"comanda:{service}"
    os.kill(tienda.service_pid(service), signal.SIGKILL)

    def is_stopped() -> bool:
        with _supervisor(tienda) as supervisor:
            with suppress(Fault):  # between two processes of it there is none to stop
                supervisor.stopProcess(program)
            return bool(supervisor.getProcessInfo(program)["statename"] == "STOPPED")

    def come_back() -> None:
        with _supervisor(tienda) as supervisor, suppress(Fault):  # it is back already
            supervisor.startProcess(program)

    _wait(is_stopped)
    _wait(lambda: not _is_offered(tienda, service))
    try:
        yield come_back
    finally:
        come_back()
        _wait(lambda: _is_offered(tienda, service))


@contextmanager
def _supervisor(tienda: Installation) -> Iterator[Any]:
    transport = SupervisorTransport(None, None, f"unix://{supervision.socket_path(tienda.data)}")
    try:
        yield ServerProxy("http://127.0.0.1", transport=transport).supervisor
    finally:
        transport.close()


def _is_offered(tienda: Installation, service: str) -> bool:
    """Whether the gateway leads to it: without a token it says 401."""
    try:
        answer = httpx2.get(f"{gateway.address(tienda.variables)}/{service}", trust_env=False, timeout=15)
    except httpx2.TransportError:
        return False
    return answer.status_code == 401


def _wait(succeeds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS_TO_SETTLE
    while not succeeds():
        assert time.monotonic() < deadline
        time.sleep(0.05)
