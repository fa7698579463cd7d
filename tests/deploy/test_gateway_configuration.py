"""What Caddy makes of the rules with what deployments set: they are the same rules everywhere."""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from deploy import composed
from deploy.manifests import Overlay

from comanda.cli import environment, gateway

pytestmark = pytest.mark.skipif(not gateway.caddy().exists(), reason="Caddy is not installed (group gateway)")
REACHED = {f"{service}:{port}" for service, port in environment.PORTS.items()}


def adapted(variables: Mapping[str, str]) -> dict[str, Any]:
    """The one server that Caddy would run."""
    command = [str(gateway.caddy()), "adapt", "--config", str(gateway.CADDYFILE)]
    given = {"PATH": os.environ["PATH"], **variables}
    done = subprocess.run(command, env=given, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    (server,) = json.loads(done.stdout)["apps"]["http"]["servers"].values()
    found: dict[str, Any] = server
    return found


def dialled(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if "dial" in part:
            yield part["dial"]
        for value in part.values():
            yield from dialled(value)
    elif isinstance(part, list):
        for value in part:
            yield from dialled(value)


def test_compose() -> None:
    server = adapted(
        composed.compose({**composed.GIVEN, "COMANDA_SITE": "tienda.es"})["services"]["gateway"]["environment"]
    )
    assert server["listen"] == ["0.0.0.0:443"]
    assert server["routes"][0]["match"] == [{"host": ["tienda.es"]}]
    assert set(dialled(server)) == REACHED
    assert "ranges" not in server.get("trusted_proxies", {})


def test_kubernetes(overlay: Overlay) -> None:
    variables = {entry["name"]: entry.get("value", "pod") for entry in overlay.container("gateway")["env"]}
    server = adapted(variables)
    (port,) = overlay.container("gateway")["ports"]
    assert server["listen"] == [f"0.0.0.0:{port['containerPort']}"]
    assert set(dialled(server)) == REACHED
    assert "10.0.0.0/8" in server["trusted_proxies"]["ranges"]
