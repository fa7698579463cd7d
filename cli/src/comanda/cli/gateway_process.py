"""`python -m comanda.cli.gateway_process`: takes the gateway's port, then becomes Caddy."""

import ctypes
import errno
import os
import signal
import socket
import sys
import time
from typing import NoReturn

from comanda.cli import gateway
from comanda.cli.listening import Place

BACKLOG = 2048
RETRY_SECONDS = 5
PASSED_ON = ("HOME", "PATH", "TZ")
PR_SET_PDEATHSIG = 1


def main() -> NoReturn:
    """Exits 1 with one line if it cannot listen there."""
    supervisor = int(os.environ["COMANDA_SUPERVISOR_PID"])
    _end_with(supervisor)
    listener = _listen(gateway.place(os.environ), supervisor)
    listener.set_inheritable(True)
    # No secret of the services is any business of Caddy's.
    environment = {
        name: value
        for name, value in os.environ.items()
        if name in PASSED_ON or name.startswith("GATEWAY_") or name.endswith("_UPSTREAMS")
    }
    environment["XDG_DATA_HOME"] = environment["GATEWAY_STATE"]  # or it leaves a file in the home of whoever starts it
    environment["GATEWAY_BIND"] = f"fd/{listener.fileno()}"
    caddy = str(gateway.caddy())
    command = [caddy, "run", "--config", str(gateway.CADDYFILE), "--adapter", "caddyfile"]
    os.execve(caddy, command, environment)  # noqa: S606  # no shell is wanted


def _listen(place: Place, supervisor: int) -> socket.socket:
    """Takes the port for ourselves; Caddy would share it with any other Caddy of this user (SO_REUSEPORT).

    Somebody who took it since `comanda up` looked is waited for: to be started again and again costs more.
    """
    is_first = True
    while True:
        try:
            listener = place.bind()
            listener.listen(BACKLOG)
            return listener
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                sys.exit(place.explain(error))
            if is_first:
                print(place.explain(error), file=sys.stderr, flush=True)
            is_first = False
        _stop_without(supervisor)
        time.sleep(RETRY_SECONDS)


def _end_with(supervisor: int) -> None:
    """Linux ends this process, and what it becomes, when the supervisor is gone, however that ended."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    _stop_without(supervisor)


def _stop_without(supervisor: int) -> None:
    if os.getppid() != supervisor:
        sys.exit("the supervisor is gone")


if __name__ == "__main__":
    main()
