"""What a verification found, for people and for machines."""

from dataclasses import dataclass, field
from typing import Any

from comanda.cli.audit import Violation


@dataclass
class Report:
    """What was looked at, and what was wrong.

    Args:
        undecided: ids of what could not be judged: it did not stand still for long enough, or could not move on.
    """

    pedidos: int = 0
    reservas: int = 0
    productos: int = 0
    undecided: list[str] = field(default_factory=list)
    violations: list[Violation] = field(default_factory=list)

    def __str__(self) -> str:
        figure = f"comanda verify: {self.pedidos} pedidos, {self.reservas} reservas, {self.productos} productos"
        verdict = f"{len(self.violations)} violaciones" if self.violations else "sin violaciones"
        doubt = f", {len(self.undecided)} sin decidir" if self.undecided else ""
        return f"{figure}: {verdict}{doubt}"

    def lines(self) -> list[str]:
        """Everything, line by line, the figures last."""
        doubts = (f"sin decidir: {identifier}" for identifier in self.undecided)
        return [*map(str, self.violations), *doubts, str(self)]

    def document(self) -> dict[str, Any]:
        return {
            "pedidos": self.pedidos,
            "reservas": self.reservas,
            "productos": self.productos,
            "violaciones": [violation.document() for violation in self.violations],
            "sin_decidir": self.undecided,
        }


@dataclass(frozen=True, slots=True)
class Outcome:
    """What `--repair` made of one violation.

    Args:
        repaired: whether it is gone.
        text: what was done; or why nothing could be done, and what there is to do.
    """

    violation: Violation
    repaired: bool
    text: str

    def __str__(self) -> str:
        return f"{'reparado' if self.repaired else 'sin reparar'}: {self.violation.subject}: {self.text}"


def repairs(outcomes: list[Outcome]) -> dict[str, Any]:
    """What `--repair` did, and what it left: two lists, empty without it."""
    return {
        "reparado": [one.violation.document() | {"hecho": one.text} for one in outcomes if one.repaired],
        "sin_reparar": [one.violation.document() | {"remedio": one.text} for one in outcomes if not one.repaired],
    }
