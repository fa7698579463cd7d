"""What is measured when it is asked for, and costs nothing before: queues, connections, requests in hand, readiness."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from comanda.common.app import Wiring

POOL = "conexiones-"
"""How the names of pools begin: what counts there is what is in use."""


def measures(wiring: "Wiring", *, in_hand: int, ready: bool, more: Iterable[Metric]) -> CollectorRegistry:
    """The measures of one service of this process, as they are now."""
    registry = CollectorRegistry()
    registry.register(_Given([*_of_requests(wiring, in_hand, ready), *_of_queues(wiring), *more]))
    return registry


class _Given(Collector):
    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def _of_requests(wiring: "Wiring", in_hand: int, ready: bool) -> Iterator[Metric]:
    figures = {
        "comanda_http_en_curso": ("Requests in hand.", in_hand),
        "comanda_http_maximo": ("Requests in hand above which more are refused.", wiring.settings.max_concurrency),
        "comanda_listo": ("1: the schema has been found and requests are let in; 0: it still waits for it.", ready),
    }
    for name, (text, value) in figures.items():
        family = GaugeMetricFamily(name, text, labels=["servicio"])
        family.add_metric([wiring.name], value)
        yield family


def _of_queues(wiring: "Wiring") -> list[Metric]:
    waiting = GaugeMetricFamily("comanda_cola_en_espera", "Requests that wait for their turn.", labels=["cola"])
    used = GaugeMetricFamily("comanda_conexiones_en_uso", "Connections in use.", labels=["destino"])
    most = GaugeMetricFamily("comanda_conexiones_maximo", "Connections there may be.", labels=["destino"])
    pool = wiring.database.pool
    for queue in (*wiring.queues, *([pool] if pool else [])):
        if queue.name.startswith(POOL):
            target = [queue.name.removeprefix(POOL)]
            used.add_metric(target, queue.waiting())
            most.add_metric(target, queue.most or 0)
        else:
            waiting.add_metric([queue.name], queue.waiting())
    return [waiting, used, most]
