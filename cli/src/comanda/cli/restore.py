"""`comanda restore`: puts a backup of SQLite databases into the data folder, while nothing runs there.

Everything is copied beside its place and checked before anything is replaced. From the first replacement to the last a
file in the data folder says that it is half-way: until the same command has been run again, `comanda up` refuses.
"""

import shutil
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from comanda.cli import environment, supervision
from comanda.cli.backup import chosen_services, sqlite_files
from comanda.cli.backup_manifest import Manifest, copy_file, sha256, sync_folder
from comanda.cli.errors import CommandFailed
from comanda.common.files import write_if_changed

UNFINISHED = "restoring"
"""The file that says so; in it the name of the backup."""

STAGED = ".restoring"
SIDE_FILES = ("", "-wal", "-shm")


def restore(source: Path, *, replace: bool) -> None:
    """Puts what is in the backup in place; what was there is kept in a folder of its own.

    Args:
        replace: even if there are databases already.

    Raises:
        CommandFailed: Comanda runs, there is data, or the backup is not whole or of a later schema; nothing is changed.
    """
    variables = environment.prepared()
    manifest = Manifest.read(source)
    databases = sqlite_files(environment.load_settings(chosen_services(list(manifest.databases))))
    _check_schemas(manifest)
    data = Path(variables["COMANDA_DATA"])
    places = {name: databases.get(name.removesuffix(".db"), data / name) for name in manifest.sha256}
    _check_free(data, databases, replace=replace or (data / UNFINISHED).exists())
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        kept = _replace(source, data, places, manifest)
    except OSError as error:
        raise CommandFailed(f"{error.filename}: {error.strerror}; repetir cuando esté resuelto") from None
    for service, copied in manifest.databases.items():
        print(f"{service}: como estaba en {copied.en}")
    if kept.exists():
        print(f"lo que había está en {kept}")
    for name, place in manifest.external.items():
        print(f"necesita además {name} ({place}), como cuando se copió")
    print("Ahora: comanda up y, en otra terminal, comanda verify --repair")


def unfinished(data: Path) -> str | None:
    """Which backup a restore has put there half-way; None: there is no such thing."""
    try:
        return (data / UNFINISHED).read_text()
    except FileNotFoundError:
        return None


def _check_schemas(manifest: Manifest) -> None:
    from comanda.common.migrations import revisions

    for service, copied in manifest.databases.items():
        if copied.revision not in revisions(f"comanda.{service}"):
            raise CommandFailed(
                f"{service}: su esquema ({copied.revision}) es de una versión más nueva que esta: "
                f"instalar Comanda {manifest.version} y repetir"
            )


def _check_free(data: Path, databases: Mapping[str, Path], *, replace: bool) -> None:
    if (pid := supervision.running_pid(data)) is not None:
        raise CommandFailed(f"Comanda está en marcha en {data} (pid {pid}): pararla antes")
    present = [path for path in databases.values() if path.exists()]
    if present and not replace:
        names = ", ".join(str(path) for path in present)
        raise CommandFailed(f"ya hay datos ({names}): con --replace se guardan aparte y se restaura")
    for path in present:
        if _in_use(path):
            raise CommandFailed(f"{path}: un servicio la tiene abierta: pararlo antes")


def _in_use(path: Path) -> bool:
    """Whether another process has the database open: only then WAL cannot be ended."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=0)) as database:
            return bool(database.execute("PRAGMA journal_mode = DELETE").fetchone() != ("delete",))
    except sqlite3.OperationalError as error:
        return error.sqlite_errorcode in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
    except sqlite3.DatabaseError:
        return False  # damaged, which may be why it is to be replaced


def _replace(source: Path, data: Path, places: Mapping[str, Path], manifest: Manifest) -> Path:
    """Returns where that is kept which was there before."""
    staged = _staged(source, data, places, manifest)
    write_if_changed(data / UNFINISHED, str(source.absolute()).encode(), 0o600)
    sync_folder(data)
    kept = data / f"before-restore-{datetime.now(UTC):%Y%m%dT%H%M%S%f}"
    for name, place in places.items():
        _keep(place, kept)
        staged[name].rename(place)
        sync_folder(place.parent)
    shutil.rmtree(data / STAGED)
    (data / UNFINISHED).unlink()
    sync_folder(data)
    return kept


def _staged(source: Path, data: Path, places: Mapping[str, Path], manifest: Manifest) -> dict[str, Path]:
    """Copies of all files, checked, each in the file system of its place, so that a rename puts it there."""
    shutil.rmtree(data / STAGED, ignore_errors=True)
    (data / STAGED).mkdir(mode=0o700)
    staged = {}
    for name, place in places.items():
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        inside = place.is_relative_to(data)
        staged[name] = data / STAGED / name if inside else place.with_name(f".{place.name}{STAGED}")
        staged[name].unlink(missing_ok=True)
        try:
            copy_file(source / name, staged[name])
        except FileNotFoundError:
            raise CommandFailed(f"{source / name}: falta; usar otra copia") from None
        if sha256(staged[name]) != manifest.sha256[name]:
            raise CommandFailed(f"{source / name}: no es como se copió (sha256); usar otra copia")
    return staged


def _keep(place: Path, kept: Path) -> None:
    """Moves a file away, a database with its WAL, which would ruin the new one."""
    for suffix in SIDE_FILES if place.suffix == ".db" else ("",):
        old = place.with_name(place.name + suffix)
        if old.exists():
            kept.mkdir(mode=0o700, exist_ok=True)
            shutil.move(old, kept / old.name)
            sync_folder(kept)
