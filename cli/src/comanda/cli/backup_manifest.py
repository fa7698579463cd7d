"""What a backup holds: `manifest.json`, written last, names each file with its sum."""

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

from comanda.cli.errors import CommandFailed

FORMAT = 1
MANIFEST = "manifest.json"
CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class Copied:
    """The database of one service.

    Args:
        revision: of its schema (Alembic).
        en: the moment of which it is, UTC, ISO 8601.
    """

    revision: str
    en: str


@dataclass(frozen=True)
class Manifest:
    """Args: version: of Comanda. external: what a restore needs besides, and where the installation had it. sha256: of
    each file, by its path in the backup."""

    version: str
    databases: dict[str, Copied]
    external: dict[str, str]
    sha256: dict[str, str]
    format: int = FORMAT

    def write(self, folder: Path) -> None:
        with private(folder / MANIFEST) as file:
            file.write(json.dumps(asdict(self), ensure_ascii=False, indent=2).encode())
            file.flush()
            os.fsync(file.fileno())

    @classmethod
    def read(cls, folder: Path) -> "Manifest":
        """The manifest of the backup in that folder.

        Raises:
            CommandFailed: it is no backup, not whole, or of another format.
        """
        try:
            document = json.loads((folder / MANIFEST).read_text())
        except OSError:
            raise CommandFailed(f"{folder}: no es una copia completa: falta {MANIFEST}") from None
        except ValueError:
            raise CommandFailed(f"{folder / MANIFEST}: está dañado; usar otra copia") from None
        try:
            if document["format"] != FORMAT:
                raise CommandFailed(f"{folder}: la copia es de otra versión ({document['version']}): instalar esa")
            databases = {name: Copied(**copied) for name, copied in document["databases"].items()}
            manifest = cls(document["version"], databases, document["external"], document["sha256"])
            outside = [name for name in manifest.sha256 if Path(name).is_absolute() or ".." in Path(name).parts]
            missing = {f"{name}.db" for name in databases} - manifest.sha256.keys()
        except (KeyError, TypeError, AttributeError):
            raise CommandFailed(f"{folder / MANIFEST}: está dañado; usar otra copia") from None
        if outside or missing:
            raise CommandFailed(f"{folder / MANIFEST}: está dañado; usar otra copia")
        return manifest


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def private(path: Path) -> BinaryIO:
    """A new file that only its owner may read."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def copy_file(source: Path, target: Path) -> None:
    """Copies it durably, readable by its owner alone."""
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with source.open("rb") as read, private(target) as written:
        while chunk := read.read(CHUNK_BYTES):
            written.write(chunk)
        written.flush()
        os.fsync(written.fileno())


def sync_folder(folder: Path) -> None:
    """Makes what was created or renamed in it last."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
