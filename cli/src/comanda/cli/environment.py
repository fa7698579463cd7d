"""The environment of the four services: what was given stays, the rest is derived from it."""

import os
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from comanda.cli.errors import CommandFailed

if TYPE_CHECKING:
    from comanda.common.settings import ServiceSettings

PORTS = {"auth": 8000, "productos": 8001, "inventario": 8002, "pedidos": 8003}
SERVICES = tuple(PORTS)
NEIGHBOURS = {
    "PEDIDOS_INVENTARIO_URL": "inventario",
    "PEDIDOS_PRODUCTOS_URL": "productos",
    "INVENTARIO_PRODUCTOS_URL": "productos",
}
ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # compared with, not listened on


def prepared() -> dict[str, str]:
    """The environment of this process, completed. The process itself gets it too, for it loads settings from there."""
    environment = derive(os.environ)
    os.environ.update(environment)
    return environment


def derive(given: Mapping[str, str]) -> dict[str, str]:
    """The given environment and the variables that follow from it; one that is given, and not empty, stays."""
    environment = {name: value for name, value in given.items() if value}
    environment["COMANDA_DATA"] = str(Path(environment.get("COMANDA_DATA", ".data")).absolute())
    for variable, value in _derived(environment).items():
        environment.setdefault(variable, value)
    return environment


def _derived(environment: Mapping[str, str]) -> dict[str, str]:
    issuer = environment.get("AUTH_ISSUER", address(environment, "auth"))
    derived = {"AUTH_ISSUER": issuer}
    derived |= {variable: address(environment, service) for variable, service in NEIGHBOURS.items()}
    for service in SERVICES:
        prefix = service.upper()
        derived[f"{prefix}_AUTH_ISSUER"] = issuer
        derived[f"{prefix}_AUTH_JWKS"] = f"{address(environment, 'auth')}/.well-known/jwks.json"
        if server := postgres_server(environment):
            derived[f"{prefix}_DATABASE_URL"] = with_database(server, database_name(service))
    return derived


def postgres_server(environment: Mapping[str, str]) -> str | None:
    """The PostgreSQL server that holds a database for each service; None: SQLite.

    Raises:
        CommandFailed: the variable names something else.
    """
    server = environment.get("COMANDA_POSTGRES_URL")
    if not server:
        return None
    scheme, separator, rest = server.partition("://")
    if scheme not in ("postgresql", "postgres") or not separator:
        raise CommandFailed("COMANDA_POSTGRES_URL: not a URL like postgresql://user:password@host:port/")
    return f"postgresql://{rest}"


def address(environment: Mapping[str, str], service: str) -> str:
    """Where this machine reaches the service."""
    host = environment.get(f"{service.upper()}_HOST") or "127.0.0.1"
    host = ANY_ADDRESS.get(host, host)
    port = environment.get(f"{service.upper()}_PORT") or PORTS[service]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def database_name(service: str) -> str:
    return f"comanda_{service}"


def with_database(server: str, name: str) -> str:
    """The URL of one database on that server."""
    return urlunsplit(urlsplit(server)._replace(path=f"/{name}"))


def load_settings(services: tuple[str, ...] = SERVICES) -> dict[str, "ServiceSettings"]:
    """The settings of each service, from the environment of this process.

    Raises:
        CommandFailed: with a line for each variable that is wrong.
    """
    from comanda.common.settings import InvalidSettings, load

    settings, faults = {}, []
    for service in services:
        try:
            settings[service] = load(settings_class(service))
        except InvalidSettings as error:
            faults.append(str(error))
    if faults:
        raise CommandFailed("\n".join(faults))
    return settings


def settings_class(service: str) -> "type[ServiceSettings]":
    found: type[ServiceSettings] = import_module(f"comanda.{service}.settings").Settings
    return found


def read_env_file(path: Path) -> None:
    """Takes variables from a file like `.env.example`; those that the environment already has win."""
    if path.is_file():
        from dotenv import load_dotenv

        load_dotenv(path)
