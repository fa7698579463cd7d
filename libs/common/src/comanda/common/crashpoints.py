"""Places of the code that are named, for it has to be shown that dying there loses and doubles nothing.

Nothing happens at them. Who wants it otherwise sets `hook`, which no code that is deployed does; without one a place
costs a comparison.

    before-commit, after-commit   of every write transaction
    before-call, after-call       of every send to a neighbour
"""

from collections.abc import Callable
from typing import Literal

Point = Literal["before-commit", "after-commit", "before-call", "after-call"]

hook: Callable[[Point], None] | None = None
"""Called at each passage of each place."""


def crash_point(point: Point) -> None:
    """Marks that place."""
    if hook is not None:
        hook(point)
