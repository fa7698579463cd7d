"""Files that are written whole or not at all, whoever else writes them and whenever this process dies."""

import os
import stat
import tempfile
from pathlib import Path

import structlog

_log = structlog.get_logger(__name__)


def create_once(path: Path, content: bytes, mode: int) -> None:
    """Makes the file unless it is there; of several processes that try at once one succeeds and all may read it.

    Raises:
        OSError: if the folder can be neither made nor written.
    """
    if path.exists():
        return
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = temporary_file(path, content, mode)
    try:
        # Unlike a rename, a link never replaces: whoever comes second keeps the file of the first.
        os.link(temporary, path)
    except FileExistsError:
        pass
    finally:
        temporary.unlink(missing_ok=True)


def write_if_changed(path: Path, content: bytes, mode: int) -> None:
    """Replaces the file in one step, so that a reader sees the old content or the new; leaves an equal one alone.

    Raises:
        OSError: if the folder does not take the file.
    """
    try:
        if path.read_bytes() == content:
            return
    except FileNotFoundError:
        pass
    temporary = temporary_file(path, content, mode)
    try:
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def temporary_file(path: Path, content: bytes, mode: int) -> Path:
    """A new file of its own beside `path`, on disk with that content and mode, to be renamed or linked to it."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise
    return Path(name)


def read_secret(path: Path) -> bytes:
    """The content of a file that its owner alone should read; a warning says so if others may.

    Raises:
        OSError: if it cannot be read.
    """
    if is_exposed(path):
        _log.warning("secret_file_exposed", path=str(path), remedy=f"chmod 600 {path}")
    return path.read_bytes()


def is_exposed(path: Path) -> bool:
    """Whether others than its owner may read or write the file.

    The group may read what root owns (0640): so a secret is mounted for a process that is not root. libpq judges the
    keys of its clients by the same rule.
    """
    status = path.stat()
    allowed = stat.S_IRWXU | (stat.S_IRGRP if status.st_uid == 0 else 0)
    return bool(stat.S_IMODE(status.st_mode) & ~allowed)
