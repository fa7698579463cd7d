"""What waits in this process, and how much of it is let in: for whoever operates it."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Queue:
    """Where requests wait for their turn; of a pool, its connections in use."""

    name: str
    waiting: Callable[[], int]
    most: int | None = None
    """None: whoever waits is a request in hand, and those have a bound."""
