"""`comanda migrate`: brings schemas up to date before services start that are told to wait for it."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

from comanda.cli import environment
from comanda.cli.errors import CommandFailed


def migrate(services: Sequence[str]) -> None:
    """Migrates those services, or all of them."""
    unknown = set(services) - set(environment.SERVICES)
    if unknown:
        raise CommandFailed(
            f"no such service: {', '.join(sorted(unknown))}; there are {', '.join(environment.SERVICES)}"
        )
    chosen = tuple(services) or environment.SERVICES
    variables = environment.prepared()
    settings = environment.load_settings(chosen)
    Path(variables["COMANDA_DATA"]).mkdir(mode=0o700, parents=True, exist_ok=True)
    create_databases(variables, chosen)
    for service in chosen:
        _migrate(service, settings[service].database_url)
        print(f"{service}: up to date")


def create_databases(variables: Mapping[str, str], services: Sequence[str]) -> None:
    """Makes those databases of the services that COMANDA_POSTGRES_URL stands for."""
    if server := variables.get("COMANDA_POSTGRES_URL"):
        from comanda.cli import postgres

        names = {service: environment.database_name(service) for service in services}
        wanted = [
            name
            for service, name in names.items()
            if variables[f"{service.upper()}_DATABASE_URL"] == environment.with_database(server, name)
        ]
        postgres.create_databases(server, wanted)


def _migrate(service: str, url: str) -> None:
    from comanda.common import migrations
    from comanda.common.database import DatabaseUnavailable

    try:
        asyncio.run(migrations.migrate_at(url, f"comanda.{service}"))
    except DatabaseUnavailable as fault:
        raise CommandFailed(f"{service.upper()}_DATABASE_URL: the database does not answer ({fault})") from None
