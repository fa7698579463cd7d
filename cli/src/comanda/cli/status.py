"""`comanda status`: what the supervisor says of the services and the gateway."""

import os
from datetime import timedelta
from pathlib import Path

from comanda.cli import environment, gateway, supervision
from comanda.cli.errors import CommandFailed


def status() -> None:
    variables = environment.derive(os.environ)
    data = Path(variables["COMANDA_DATA"])
    try:
        programs = {program.name: program for program in supervision.programs(data)}
    except supervision.NotRunning:
        raise CommandFailed(f"Comanda is not running on {data}") from None
    addresses = {service: environment.address(variables, service) for service in environment.SERVICES}
    if supervision.GATEWAY in programs:
        addresses[supervision.GATEWAY] = gateway.address(variables)
    for name, address in addresses.items():
        program = programs[name]
        uptime = timedelta(seconds=program.uptime_seconds)
        print(f"{name:<11} {program.state:<9} pid {program.pid or '-':<8} {uptime!s:>9}  {address}")
