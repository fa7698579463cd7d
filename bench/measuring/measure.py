"""One measure: a load, and what each process used while it ran."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from measuring import processes
from measuring.driver import Load, Outcome
from measuring.system import SERVICES, System, drive, headers, with_body

WARM_UP = 300
"""Requests before the first measure of a system: tokens are verified, statements prepared, connections open."""


@dataclass(frozen=True)
class Measure:
    """What a load came to.

    Args:
        cpu: microseconds for each expected answer, of each process, `postgresql` and `driver` among them.
    """

    outcome: Outcome
    cpu: dict[str, float]

    @property
    def rate(self) -> float:
        return self.outcome.rate

    @property
    def python_cpu(self) -> float:
        """Of the four services together."""
        return sum(self.cpu[service] for service in SERVICES)


def measure(system: System, load: Load) -> Measure:
    before = _used(system)
    outcome = drive(load)
    after = _used(system)
    answers = max(outcome.answered, 1)
    cpu = {name: 1e6 * (after[name] - before[name]) / answers for name in after}
    return Measure(outcome, cpu | {"driver": 1e6 * outcome.cpu_seconds / answers})


def _used(system: System) -> dict[str, float]:
    return {name: processes.cpu_seconds(pid) for name, pid in system.pids.items()}


def orders(system: System, products: Sequence[str], requests: int, clients: int = 64) -> Load:
    """Orders of one unit of one product, each client another customer."""
    heads = [f"POST /pedidos HTTP/1.1\r\n{headers(token)}Idempotency-Key: " for token in system.customers]
    tails = ["\r\n" + with_body({"lineas": [{"producto_id": product, "cantidad": 1}]}) for product in products]
    return replace(system.load("pedidos", heads, tails, 201, requests), clients=clients, unique=True)


def warm_up(system: System) -> None:
    drive(orders(system, system.products, WARM_UP))
    time.sleep(0.2)
