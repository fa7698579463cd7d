"""Tells when Comanda is ready. It runs beside the supervisor and ends with it."""

import contextlib
import http.client
import os
import socket
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

from comanda.cli import credentials, environment, gateway, supervision
from comanda.cli.errors import CommandFailed

POLL_SECONDS = 0.1
PATIENCE_SECONDS = 20
GATEWAY_SECONDS = 1
READY = "Comanda lista"


def announce(*, seed: bool) -> None:
    """Waits for every service, seeds an empty shop the first time, prints where everything is."""
    with contextlib.suppress(BrokenPipeError):  # whoever read our output may have left
        supervisor = int(os.environ["COMANDA_SUPERVISOR_PID"])
        data = Path(os.environ["COMANDA_DATA"])
        _wait_until_ready(supervisor, data)
        front = _front(supervisor, data) if gateway.INSTANCE_VARIABLE in os.environ else ""
        if seed:
            _seed_once(data)
        print(_summary(data, front, to_terminal=sys.stdout.isatty()), flush=True)


def _wait_until_ready(supervisor: int, data: Path) -> None:
    """Raises SystemExit when the supervisor is gone."""
    waiting = list(environment.SERVICES)
    is_awake = False
    complain_at = time.monotonic() + PATIENCE_SECONDS
    while waiting:
        if os.getppid() != supervisor:
            sys.exit(1)
        is_awake = is_awake or _wake(data)
        waiting = [service for service in waiting if not _is_ready(environment.address(os.environ, service))]
        if waiting and time.monotonic() >= complain_at:
            logs = ", ".join(str(data / "logs" / f"{service}.log") for service in waiting)
            print(f"Still waiting for {', '.join(waiting)}. Why: {logs}", flush=True)
            complain_at = time.monotonic() + PATIENCE_SECONDS
        time.sleep(POLL_SECONDS)


def _front(supervisor: int, data: Path) -> str:
    """The gateway's address, once it answers there; empty if it does not start, which must keep nobody from buying.

    Raises SystemExit when the supervisor is gone.
    """
    look_at = time.monotonic() + GATEWAY_SECONDS
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while (found := gateway.who_answers(os.environ)) != os.environ[gateway.INSTANCE_VARIABLE]:
        if os.getppid() != supervisor:
            sys.exit(1)
        now = time.monotonic()
        if found is not None or now >= give_up_at or (now >= look_at and not _is_starting(data)):
            what = "something else has its port" if found is not None else "it does not start"
            why = data / "logs" / f"{supervision.GATEWAY}.log"
            print(f"No gateway: {what}. See {why}, or set {gateway.PORT_VARIABLE}.", flush=True)
            return ""
        time.sleep(POLL_SECONDS)
    return gateway.address(os.environ)


def _is_starting(data: Path) -> bool:
    with contextlib.suppress(supervision.NotRunning):
        programs = {program.name: program.state for program in supervision.programs(data)}
        return programs.get(supervision.GATEWAY) in ("STARTING", "RUNNING")
    return False


def _wake(data: Path) -> bool:
    """Makes the supervisor start the services now. It does so when it first wakes up: at a connection, or after 1 s."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(supervision.socket_path(data)))
        return True
    return False


def _is_ready(url: str) -> bool:
    place = urlsplit(url)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _seed_once(data: Path) -> None:
    marker = data / "seeded"
    if marker.exists():
        return
    from comanda.cli.seed import seed

    try:
        seed(os.environ)
    except CommandFailed as fault:
        print(f"The catalogue was not filled: {fault}", flush=True)
        return
    marker.touch()


def _summary(data: Path, front: str, *, to_terminal: bool) -> str:
    lines = [f"  {'tienda':<11} {front}/"] if front else []
    lines += [f"  {service:<11} {environment.address(os.environ, service)}/docs" for service in environment.SERVICES]
    lines += _admin(data, to_terminal=to_terminal)
    lines += [f"  {'logs':<11} {data / 'logs'}", "", READY]
    return "\n".join(["", *lines])


def _admin(data: Path, *, to_terminal: bool) -> list[str]:
    path = credentials.credentials_file(data)
    given, written = os.environ.get("COMANDA_ADMIN_PASSWORD"), credentials.read(path)
    if given or written is None:
        email = os.environ.get("COMANDA_ADMIN_EMAIL", credentials.DEFAULT_EMAIL)
        return [f"  {'admin':<11} {email}"]
    password = written.password if to_terminal else f"in {path}"
    return [f"  {'admin':<11} {written.email}", f"  {'password':<11} {password}"]
