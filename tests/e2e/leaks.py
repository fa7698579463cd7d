"""Secrets that got into the logs of an installation."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

SHAPES = {
    "a JWT": re.compile(r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"),
    "a bearer token": re.compile(r"\bbearer\s+[A-Za-z0-9._~+/-]{8,}", re.IGNORECASE),
    "a refresh token": re.compile(r"(?<![A-Za-z0-9_-])[A-Za-z0-9_-]{70}(?![A-Za-z0-9_-])"),
    "a private key": re.compile(r"PRIVATE KEY"),
}


def leaks(logs: Path, secrets: Iterable[str]) -> list[str]:
    """A line for each place in the logs of that folder where one of the secrets stands, or what has the shape of one.

    Raises:
        FileNotFoundError: there are no logs to look at.
    """
    files = sorted(logs.glob("*.log*"))
    if not files:
        raise FileNotFoundError(f"no logs in {logs}")
    return [
        f"{file.name}:{number}: {what}: {line[:300]}"
        for file in files
        for number, line in enumerate(file.read_text(errors="replace").splitlines(), 1)
        for what in _found(line, list(secrets))
    ]


def _found(line: str, secrets: list[str]) -> Iterator[str]:
    yield from (what for what, shape in SHAPES.items() if shape.search(line))
    if any(secret in line for secret in secrets):
        yield "a secret of this run"
