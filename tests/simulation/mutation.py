"""One deliberate fault."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Mutation:
    """`replacement` takes the place of an attribute of a class or module.

    `noticed_by` names the kinds of violation (what stands before the colon) of which at least one must be found: the
    harm that the fault does. That something crashes on the way to it is not enough.
    """

    name: str
    owner: Any
    attribute: str
    replacement: Any
    noticed_by: tuple[str, ...]


class Mutations(list[Mutation]):
    """Collects the faults of a module."""

    def of(self, owner: Any, attribute: str, *noticed_by: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Decorates a replacement; the mutation is named after it."""

        def collect(replacement: Callable[..., Any]) -> Callable[..., Any]:
            self.append(Mutation(replacement.__name__, owner, attribute, replacement, noticed_by))
            return replacement

        return collect
