"""`comanda backup`: copies the SQLite databases, and what a restore needs besides, while the services run."""

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from comanda.cli import environment
from comanda.cli.backup_manifest import Copied, Manifest, copy_file, private, sha256, sync_folder
from comanda.cli.errors import CommandFailed

if TYPE_CHECKING:
    from comanda.common.settings import ServiceSettings

ORDER = ("inventario", "pedidos", "productos", "auth")
"""Whoever is referred to comes after who refers to it: no reservation without its order, no order without its product
and its client."""

BESIDES = ("keys", "admin-credentials.txt", "seeded")
"""What else of the data folder a restore needs."""

BUSY_SECONDS = 30


def backup(target: Path, services: Sequence[str]) -> None:
    """Makes the folder `target`, which appears when everything in it is whole.

    Raises:
        CommandFailed: it is there already, a database is not SQLite, or a copy failed; nothing is left behind.
    """
    variables = environment.prepared()
    chosen = chosen_services(services)
    databases = sqlite_files(environment.load_settings(chosen))
    if target.exists():
        raise CommandFailed(f"{target}: ya existe; dar el nombre de una carpeta nueva")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))  # mode 0700
    except OSError as error:
        raise CommandFailed(f"{error.filename}: {error.strerror}") from None
    try:
        manifest = _fill(partial, databases, variables)
        partial.rename(target)
        sync_folder(target.parent)
    except OSError as error:
        raise CommandFailed(f"{error.filename or target}: {error.strerror}; no hay copia") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    for service, copied in manifest.databases.items():
        print(f"{service}: {copied.en}, esquema {copied.revision}")
    for name, place in manifest.external.items():
        print(f"no incluido: {name} ({place}): guardarlo aparte")


def chosen_services(services: Sequence[str]) -> tuple[str, ...]:
    """Those services, or all, in the order of backups. Raises `CommandFailed` if there is no such service."""
    if unknown := set(services) - set(ORDER):
        raise CommandFailed(f"no hay servicio {', '.join(sorted(unknown))}; los hay: {', '.join(ORDER)}")
    return tuple(service for service in ORDER if service in services or not services)


def sqlite_files(settings: Mapping[str, "ServiceSettings"]) -> dict[str, Path]:
    """The file of each service's database. Raises `CommandFailed` if one is not SQLite."""
    from sqlalchemy.engine import make_url

    files = {}
    for service, setting in settings.items():
        url = make_url(setting.database_url)
        if url.get_backend_name() != "sqlite" or not url.database:
            raise CommandFailed(
                f"{setting.variable('database_url')}: {service} no está en SQLite: copiar el servidor PostgreSQL "
                "entero con pg_basebackup (docs/operations.md, Backup)"
            )
        files[service] = Path(url.database)
    return files


def _fill(folder: Path, databases: Mapping[str, Path], variables: Mapping[str, str]) -> Manifest:
    copies = {service: _copy_database(service, path, folder) for service, path in databases.items()}
    data = Path(variables["COMANDA_DATA"])
    for name in BESIDES:
        for path in sorted((data / name).rglob("*")) if (data / name).is_dir() else [data / name]:
            if path.is_file() and not path.name.startswith("."):  # those are being written
                copy_file(path, folder / path.relative_to(data))
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    sums = {str(path.relative_to(folder)): sha256(path) for path in paths}
    manifest = Manifest(version("comanda-cli"), copies, _external(variables), sums)
    manifest.write(folder)
    for path in [*folder.rglob("*"), folder]:
        if path.is_dir():
            sync_folder(path)
    return manifest


def _copy_database(service: str, source: Path, folder: Path) -> Copied:
    """One moment of it: all pages are read in a single read transaction, which holds up no writer (WAL)."""
    target = folder / f"{service}.db"
    private(target).close()
    try:
        with (
            closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=rw", uri=True, timeout=BUSY_SECONDS)) as there,
            closing(sqlite3.connect(target)) as here,
        ):
            moment = datetime.now(UTC)
            there.backup(here)
            here.execute("PRAGMA journal_mode = DELETE")  # one file; whoever serves it sets WAL again
            (verdict,) = here.execute("PRAGMA quick_check(1)").fetchone()
            (revision,) = here.execute("SELECT version_num FROM alembic_version").fetchone()
    except (sqlite3.Error, TypeError) as error:
        raise CommandFailed(f"{source}: no se puede copiar ({error}); no hay copia") from None
    if verdict != "ok":
        raise CommandFailed(f"{source}: la base de datos está dañada ({verdict}); no hay copia")
    with target.open("rb") as file:
        os.fsync(file.fileno())
    return Copied(str(revision), moment.isoformat(timespec="milliseconds"))


def _external(variables: Mapping[str, str]) -> dict[str, str]:
    """Secrets that are not in the data folder, by the variable that has them or says where."""
    signing = [f"{service.upper()}_SIGNING_KEY" for service in environment.SERVICES]
    found = {name: variables[name] for name in signing if name in variables}
    secret = ("AUTH_MASTER_KEY", "AUTH_MASTER_KEY_PREVIOUS")
    return found | {name: "del entorno" for name in secret if variables.get(name)}
