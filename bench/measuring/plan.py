"""How much a run measures."""

from dataclasses import dataclass

from comanda.cli import environment

DATABASES = ("postgresql", "sqlite")
PARTS = ("orders", "clients", "loads", "ends", "reads", "memory", "pages")
CLIENTS = 64
PRODUCTS = 1000


@dataclass(frozen=True)
class Plan:
    """Sizes of everything.

    Args:
        rounds: of every measure; the median counts.
        seconds: of each measure.
        clients: of the closed loop, one measure each.
        loads: of the open loop, percentages of what 64 clients reach.
        ends: orders that are completed, and as many that are cancelled, in each round.
        memory: numbers of orders after which memory is read.
        rows: of orders among which a page is read.
    """

    rounds: int
    seconds: float
    clients: tuple[int, ...]
    loads: tuple[int, ...]
    ends: int
    memory: tuple[int, ...]
    rows: tuple[int, ...]


FULL = Plan(5, 3, (1, 8, 32, 64, 128), (25, 50, 75, 90), 2000, (50_000, 100_000, 200_000), (10_000, 1_000_000))
QUICK = Plan(1, 1.5, (1, 8, 64), (25, 50, 75, 90), 200, (500, 1000, 2000), (1000, 20_000))

AS_DELIVERED = "as delivered"
GROUP_COMMIT_OFF = "group commit and shared calls off"
VARIANTS = {
    AS_DELIVERED: {},
    GROUP_COMMIT_OFF: {"INVENTARIO_GROUP_COMMIT": "1", "PEDIDOS_GROUP_COMMIT": "1"},
    "price reuse": {"PEDIDOS_PRICE_REUSE_SECONDS": "10"},
}
"""What orders are measured with: for each, variables that differ from the defaults."""


def variants() -> dict[str, dict[str, str]]:
    """Those whose settings the services have."""
    known = {
        settings.variable(field)
        for settings in map(environment.settings_class, environment.SERVICES)
        for field in settings.model_fields
    }
    return {name: variables for name, variables in VARIANTS.items() if variables.keys() <= known}
