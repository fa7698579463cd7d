"""Reading something so that what was read was so at one moment, of services that keep running."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from comanda.cli import audit
from comanda.cli.api import Api
from comanda.cli.audit import Document, Violation
from comanda.cli.audit_times import Limits, check_times
from comanda.cli.errors import CommandFailed

CONFIRMATIONS = 3
"""How often something wrong has to be read, unchanged, before it is called a violation."""

ATTEMPTS = 10
PAUSE_SECONDS = 0.3


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What was read, as of one moment; `version` None: it changed while it was read."""

    version: object
    violations: list[Violation]


Read = Callable[[Collection[str]], Mapping[str, Snapshot]]


def settle(ids: Iterable[str], read: Read, pause: Callable[[float], None]) -> tuple[list[Violation], list[str]]:
    """Reads all of these until each is right, or wrong and unchanged often enough.

    Returns:
        The violations, and the ids of what never stood still for long enough.
    """
    doubtful: dict[str, tuple[int, object]] = dict.fromkeys(ids, (0, None))
    violations: list[Violation] = []
    for attempt in range(ATTEMPTS):
        if attempt:
            pause(PAUSE_SECONDS)
        for identifier, snapshot in read(list(doubtful)).items():
            seen, version = doubtful[identifier]
            seen = 0 if snapshot.version is None else seen + 1 if snapshot.version == version else 1
            doubtful[identifier] = seen, snapshot.version
            if not snapshot.violations or seen == CONFIRMATIONS:
                violations += snapshot.violations
                del doubtful[identifier]
        if not doubtful:
            break
    return violations, list(doubtful)


class Reader:
    """Reads through the services' HTTP interface, with their own clocks."""

    def __init__(self, api: Api, limits: Limits) -> None:
        self._api = api
        self._limits = limits
        self._ahead = {name: self._clock_ahead(name, f"/{path}") for name, path in _LISTS.items()}

    def check(self, pedido: Document | None, reserva: Document | None) -> list[Violation]:
        """What is wrong with an order and its reservation."""
        here = datetime.now(UTC)
        now = {name: here + ahead for name, ahead in self._ahead.items()}
        return audit.check_order(pedido, reserva) + check_times(pedido, reserva, self._limits, now)

    def pair(self, identifier: str) -> tuple[Document | None, Document | None]:
        """An order and its reservation, one after the other."""
        return self._document("pedidos", identifier), self._document("inventario", identifier)

    def orders(self, ids: Collection[str]) -> Mapping[str, Snapshot]:
        return {identifier: self._order(identifier) for identifier in ids}

    def stocks(self, ids: Collection[str]) -> Mapping[str, Snapshot]:
        return {identifier: self._stock(identifier) for identifier in ids}

    def helds(self, ids: Collection[str]) -> Mapping[str, Snapshot]:
        # Every reservation that begins or ceases to hold a product changes the version of its stock.
        before = {identifier: self._version_and_stock(identifier)[0] for identifier in ids}
        held = audit.held_by_product(self.active())
        snapshots = {}
        for identifier in ids:
            version, stock = self._version_and_stock(identifier)
            same = version if before[identifier] == version else None
            snapshots[identifier] = Snapshot(same, audit.check_held(stock, held[identifier]))
        return snapshots

    def active(self) -> Iterator[Document]:
        return self._api.all("inventario", "/reservas", estado="ACTIVA")

    def ledger_sum(self, identifier: str) -> int:
        return sum(entry["cantidad"] for entry in self._api.all("inventario", f"/inventario/{identifier}/movimientos"))

    def was_sold(self, pedido: Document) -> bool:
        """Whether the ledger of one of its products has the sale of this order."""
        return any(
            entry["tipo"] == "VENTA" and entry["pedido_id"] == pedido["id"]
            for product in audit.lines(pedido)
            for entry in self._api.all("inventario", f"/inventario/{product}/movimientos")
        )

    def _order(self, identifier: str) -> Snapshot:
        first, again = self.pair(identifier), self.pair(identifier)
        # The order did not change from its first reading to its second, nor did the reservation: the moment between the
        # two middle readings saw both.
        return Snapshot(repr(again) if again == first else None, self.check(*again))

    def _stock(self, identifier: str) -> Snapshot:
        before, _ = self._version_and_stock(identifier)
        total = self.ledger_sum(identifier)
        version, stock = self._version_and_stock(identifier)
        return Snapshot(version if before == version else None, audit.check_stock(stock, total))

    def _document(self, service: str, identifier: str) -> Document | None:
        answer = self._api.get(service, f"/{_LISTS[service]}/{identifier}")
        return None if answer is None else answer.json()

    def _version_and_stock(self, identifier: str) -> tuple[str, Document]:
        answer = self._api.get("inventario", f"/inventario/{identifier}")
        if answer is None:  # a row of stock is never deleted
            raise CommandFailed(f"inventario lists product {identifier} but does not know it", code=2)
        return answer.headers["etag"], answer.json()

    def _clock_ahead(self, service: str, path: str) -> timedelta:
        """How far that service's clock is ahead of ours; only inventario's may say that a reservation is over."""
        answer = self._api.get(service, path, limite=1)
        given = answer.headers.get("date") if answer else None
        return parsedate_to_datetime(given) - datetime.now(UTC) if given else timedelta()


_LISTS = {"pedidos": "pedidos", "inventario": "reservas"}
