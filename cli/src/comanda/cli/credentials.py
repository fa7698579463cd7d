"""The administrator's credentials: as given, or as auth wrote them down when it made the first administrator."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from comanda.cli.errors import CommandFailed

DEFAULT_EMAIL = "admin@comanda.local"


@dataclass(frozen=True)
class Credentials:
    email: str
    password: str
    code: str | None = None
    """Of a second factor."""


def credentials_file(data: Path) -> Path:
    return data / "admin-credentials.txt"


def find(variables: Mapping[str, str], email: str | None = None, password: str | None = None) -> Credentials:
    """The credentials to use.

    Raises:
        CommandFailed: if there are none, saying how to give them.
    """
    email = email or variables.get("COMANDA_ADMIN_EMAIL")
    password = password or variables.get("COMANDA_ADMIN_PASSWORD")
    code = variables.get("COMANDA_ADMIN_CODE") or None
    path = credentials_file(Path(variables["COMANDA_DATA"]))
    if password is None:
        written = read(path)
        if written is not None and email in (None, written.email):
            return replace(written, code=code)
        raise CommandFailed(f"no password: {path} has none; set COMANDA_ADMIN_EMAIL and COMANDA_ADMIN_PASSWORD")
    return Credentials(email or DEFAULT_EMAIL, password, code)


def read(path: Path) -> Credentials | None:
    """What stands in the file, None if it does not exist or says something else."""
    try:
        lines = path.read_text().splitlines()
    except FileNotFoundError:
        return None
    entries = dict(line.split(": ", 1) for line in lines if ": " in line)
    if not {"email", "password"} <= entries.keys():
        return None
    return Credentials(entries["email"].strip(), entries["password"].strip())
