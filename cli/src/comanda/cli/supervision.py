"""The supervisor (http://supervisord.org) that `comanda up` becomes: its configuration, and questions to it."""

import getpass
import hashlib
import os
import shlex
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xmlrpc.client import Fault, ServerProxy

if TYPE_CHECKING:
    from comanda.common.settings import ServiceSettings

MAX_SOCKET_CHARS = 90
"""The kernel takes 107 (macOS 103), and the supervisor appends its pid while it makes the socket."""

LOG_ROTATION = "10MB"

GATEWAY = "gateway"
GATEWAY_SHUTDOWN_SECONDS = 20
"""`grace_period` in deploy/gateway/Caddyfile."""

_CONFIGURATION = """\
[supervisord]
nodaemon = true
silent = true
{user}logfile = %(here)s/../logs/supervisor.log
logfile_maxbytes = {rotation}
logfile_backups = 3
childlogdir = %(here)s/../logs
pidfile = %(here)s/supervisor.pid

[unix_http_server]
file = {socket}
chmod = 0600

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface

; One group: the members of a group are stopped at the same time, groups one after the other.
[group:comanda]
programs = {programs}
"""

_PROGRAM = """
[program:{name}]
command = {python} -m {module}
autostart = true
autorestart = true
startsecs = 1
startretries = 1000000
stopsignal = TERM
stopwaitsecs = {stop_seconds}
stopasgroup = false
killasgroup = true
redirect_stderr = true
stdout_logfile = %(here)s/../logs/{name}.log
stdout_logfile_maxbytes = {rotation}
stdout_logfile_backups = 3
"""


def write_configuration(data: Path, settings: Mapping[str, "ServiceSettings"], *, gateway: bool = False) -> Path:
    path = data / "run" / "supervisor.conf"
    path.write_text(configuration(data, settings, gateway=gateway))
    return path


def configuration(data: Path, settings: Mapping[str, "ServiceSettings"], *, gateway: bool = False) -> str:
    """The text of the supervisor's configuration file."""
    programs = {service: (f"comanda.{service}", setting.shutdown_seconds) for service, setting in settings.items()}
    if gateway:
        programs[GATEWAY] = ("comanda.cli.gateway_process", GATEWAY_SHUTDOWN_SECONDS)
    # Paths below the data folder are given from where the file is: nothing in their names can then be misread.
    python = _escaped(shlex.quote(sys.executable))
    # The supervisor warns a root user that no user is named; others may not name one.
    user = f"user = {getpass.getuser()}\n" if os.geteuid() == 0 else ""
    path = socket_path(data)
    text = _CONFIGURATION.format(
        user=user,
        rotation=LOG_ROTATION,
        socket=f"%(here)s/{path.name}" if path.parent == data / "run" else _escaped(str(path)),
        programs=",".join(programs),
    )
    for name, (module, shutdown_seconds) in programs.items():
        text += _PROGRAM.format(
            name=name, module=module, python=python, stop_seconds=shutdown_seconds + 5, rotation=LOG_ROTATION
        )
    return text


def _escaped(value: str) -> str:
    return value.replace("%", "%%")


def socket_path(data: Path) -> Path:
    """Where the supervisor of that data folder listens: in it, or under a short name if its path is too long."""
    path = data / "run" / "supervisor.sock"
    if len(os.fsencode(path)) <= MAX_SOCKET_CHARS:
        return path
    digest = hashlib.sha256(os.fsencode(data)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"comanda-{os.geteuid()}-{digest}.sock"


@dataclass(frozen=True)
class Program:
    """A supervised service, or the gateway, as the supervisor sees it."""

    name: str
    state: str
    pid: int
    uptime_seconds: int


class NotRunning(Exception):
    """No supervisor answers for that data folder."""


def programs(data: Path) -> list[Program]:
    """The services that the supervisor of that folder looks after.

    Raises:
        NotRunning: if there is none.
    """
    return [
        Program(info["name"], info["statename"], info["pid"], info["now"] - info["start"] if info["pid"] else 0)
        for info in _ask(data, "getAllProcessInfo")
    ]


def running_pid(data: Path) -> int | None:
    """The process id of the supervisor of that folder, if one answers."""
    try:
        return int(_ask(data, "getPID"))
    except NotRunning:
        return None


def _ask(data: Path, method: str) -> Any:
    from supervisor.xmlrpc import SupervisorTransport

    transport = SupervisorTransport(None, None, f"unix://{socket_path(data)}")
    try:
        proxy = ServerProxy("http://127.0.0.1", transport=transport)
        return getattr(proxy.supervisor, method)()
    except (OSError, Fault, ValueError) as error:
        raise NotRunning(str(error)) from None
    finally:
        transport.close()
