"""Passwords of breaches: the list of Have I Been Pwned, in the one file that its downloader writes.

A line is `SHA1:times`, the lines are sorted. It has tens of gigabytes, so it is searched where it is, and nothing of it
is kept.
"""

import hashlib
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_LINE = re.compile(rb"[0-9A-F]{40}:[0-9]{1,12}\r?")
_CHUNK = 128
"""Bytes that hold the end of one line and the whole next one."""

_SAMPLES = 64
"""Lines that are looked at before a file is trusted."""


class Filtradas:
    """Opened anew for each search, so a newer file may take its place at any time (rename it there: rename(2))."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def comprobar(self) -> None:
        """Whether it can be read and is such a list, judged by some of its lines.

        Raises:
            OSError: it cannot be read.
            ValueError: it is something else.
        """
        with self._open() as (descriptor, size):
            lines = [_line(descriptor, size * sample // _SAMPLES)[1] for sample in range(_SAMPLES)]
        if not lines[0] or not all(_LINE.fullmatch(line) for line in lines if line):
            raise ValueError(f"{self._path} no es la lista de Have I Been Pwned (líneas «SHA1:veces»)")
        hashes = [line[:40] for line in lines if line]
        if hashes != sorted(hashes):
            raise ValueError(f"{self._path} no está ordenado por hash")

    def contiene(self, password: str) -> bool:
        """Some 36 short reads in 45 GB. Raises `OSError`."""
        wanted = hashlib.sha1(password.encode(), usedforsecurity=False).hexdigest().upper().encode()
        with self._open() as (descriptor, size):
            low, high = 0, size  # where a line may begin that has it
            while low < high:
                middle = (low + high) // 2
                start, line = _line(descriptor, middle)
                if line[:40] == wanted:
                    return True
                if line and start < high and line[:40] < wanted:
                    low = start + len(line) + 1
                else:
                    high = middle
        return False

    @contextmanager
    def _open(self) -> Iterator[tuple[int, int]]:
        """Descriptor and size."""
        descriptor = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise ValueError(f"{self._path} no es un fichero")
            yield descriptor, status.st_size
        finally:
            os.close(descriptor)


def _line(descriptor: int, offset: int) -> tuple[int, bytes]:
    """The first line that begins at that offset or later, and where it does; an empty one if there is none."""
    if offset == 0:
        return 0, os.pread(descriptor, _CHUNK, 0).partition(b"\n")[0]
    before, newline, after = os.pread(descriptor, _CHUNK, offset - 1).partition(b"\n")
    return offset + len(before), after.partition(b"\n")[0] if newline else b""
