"""A small list of breached passwords, in the format of Have I Been Pwned."""

from collections.abc import Sequence
from hashlib import sha1
from pathlib import Path


def digest(password: str) -> str:
    return sha1(password.encode(), usedforsecurity=False).hexdigest().upper()


def lines(passwords: Sequence[str]) -> list[str]:
    """Sorted; the counts have one to seven digits, so the lines are of different lengths."""
    return sorted(f"{digest(password)}:{7 ** (1 + number % 8)}" for number, password in enumerate(passwords))


def write_list(path: Path, passwords: Sequence[str], *, newline: str = "\n", end: str | None = None) -> Path:
    path.write_bytes((newline.join(lines(passwords)) + (newline if end is None else end)).encode())
    return path
