"""`comanda status`: what the supervisor says of the services."""

import os
from datetime import timedelta
from pathlib import Path

from comanda.cli import environment, supervision
from comanda.cli.errors import CommandFailed


def status() -> None:
    variables = environment.derive(os.environ)
    data = Path(variables["COMANDA_DATA"])
    try:
        programs = {program.name: program for program in supervision.programs(data)}
    except supervision.NotRunning:
        raise CommandFailed(f"Comanda is not running on {data}") from None
    for service in environment.SERVICES:
        program = programs[service]
        uptime = timedelta(seconds=program.uptime_seconds)
        pid = program.pid or "-"
        print(f"{service:<11} {program.state:<9} pid {pid:<8} {uptime!s:>9}  {environment.address(variables, service)}")
