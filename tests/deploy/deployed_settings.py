"""What a deployment sets must be settings, and settings that a service starts with in production."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from comanda.cli import environment
from comanda.common.settings import ServiceSettings, load

SERVICES = environment.SERVICES
MOUNTED = "/secrets"
"""Where deployments mount what deploy/make_secrets.py makes."""


def known_variables() -> set[str]:
    """Every variable of .env.example, set or only commented out there."""
    example = Path(__file__).parents[2] / ".env.example"
    lines = (line.lstrip("#").strip() for line in example.read_text().splitlines())
    return {line.split("=", 1)[0] for line in lines if "=" in line and line.split("=", 1)[0].isupper()}


def settings_of(
    service: str, variables: Mapping[str, str], secrets: Path, monkeypatch: pytest.MonkeyPatch
) -> ServiceSettings:
    """The settings that the service starts with in that environment and no other."""
    for name in list(os.environ):
        if name.startswith((f"{service.upper()}_", "COMANDA_")):
            monkeypatch.delenv(name)
    for name, value in variables.items():
        monkeypatch.setenv(name, value.replace(f"{MOUNTED}/", f"{secrets}/"))
    return load(environment.settings_class(service))


def assert_they_agree(settings: Mapping[str, ServiceSettings], secrets: Path) -> None:
    """Who issues tokens, who is called where and by what name, and whose keys are whose."""
    issuers = {getattr(found, "issuer", found.auth_issuer) for found in settings.values()}
    assert len(issuers) == 1, "one issuer, as clients see it"
    for service, found in settings.items():
        assert found.production
        assert found.listens_everywhere
        assert not found.migrate_on_start
        assert found.port == environment.PORTS[service]
        assert found.database_url.startswith("postgresql://")
        assert found.operador_jwks == f"{secrets}/public/operador.jwks.json"
        for name in ("productos", "inventario", "pedidos"):
            if jwks := getattr(found, f"{name}_jwks", None):
                assert jwks == f"{secrets}/public/{name}.jwks.json"
        if service != "auth":
            assert found.auth_jwks == f"http://auth:{environment.PORTS['auth']}/.well-known/jwks.json"
            assert "auth" in settings["auth"].allowed_host_names
    for variable, callee in environment.NEIGHBOURS.items():
        caller = variable.split("_", 1)[0].lower()
        field = variable.split("_", 1)[1].lower()
        assert getattr(settings[caller], field) == f"http://{callee}:{environment.PORTS[callee]}"
        assert callee in settings[callee].allowed_host_names
