"""How a command ends when it cannot do its work."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


class CommandFailed(Exception):
    """The command ends with this message on standard error, and no traceback.

    Args:
        code: its exit status.
    """

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.code = code


@contextmanager
def plain_errors() -> Iterator[None]:
    """Turns `CommandFailed` into its message and its exit status."""
    try:
        yield
    except CommandFailed as error:
        print(error, file=sys.stderr, flush=True)
        sys.exit(error.code)
