"""`python -m comanda.cli.gateway_process`: takes the gateway's port, then becomes Caddy."""

import ctypes
import os
import signal
import sys
from typing import NoReturn

from comanda.cli import gateway

BACKLOG = 2048
PASSED_ON = ("HOME", "PATH", "TZ")
PR_SET_PDEATHSIG = 1


def main() -> NoReturn:
    """Exits 1 with one line if the port is taken."""
    _end_with_supervisor(int(os.environ["COMANDA_SUPERVISOR_PID"]))
    place = gateway.place(os.environ)
    try:
        # Caddy would share the port with any other Caddy of this user (SO_REUSEPORT); so we take it, for ourselves.
        listener = place.bind()
        listener.listen(BACKLOG)
    except OSError as error:
        sys.exit(place.explain(error))
    listener.set_inheritable(True)
    # No secret of the services is any business of Caddy's.
    environment = {
        name: value
        for name, value in os.environ.items()
        if name in PASSED_ON or name.startswith("GATEWAY_") or name.endswith("_UPSTREAMS")
    }
    environment["GATEWAY_BIND"] = f"fd/{listener.fileno()}"
    caddy = str(gateway.caddy())
    command = [caddy, "run", "--config", str(gateway.CADDYFILE), "--adapter", "caddyfile"]
    os.execve(caddy, command, environment)  # noqa: S606  # no shell is wanted


def _end_with_supervisor(supervisor: int) -> None:
    """Linux ends this process, and what it becomes, when the supervisor is gone, however that ended."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != supervisor:
        sys.exit("the supervisor is gone")


if __name__ == "__main__":
    main()
