"""One deliberate fault."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Mutation:
    """`replacement` takes the place of an attribute of a class or module."""

    name: str
    owner: Any
    attribute: str
    replacement: Any


class Mutations(list[Mutation]):
    """Collects the faults of a module."""

    def of(self, owner: Any, attribute: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Decorates a replacement; the mutation is named after it."""

        def collect(replacement: Callable[..., Any]) -> Callable[..., Any]:
            self.append(Mutation(replacement.__name__, owner, attribute, replacement))
            return replacement

        return collect
