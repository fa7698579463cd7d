"""Reading something so that what was read was so at one moment, of services that keep running."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from comanda.cli import audit
from comanda.cli.api import Api
from comanda.cli.audit import Document, Violation
from comanda.cli.audit_times import Limits, Pending, check_times, pending
from comanda.cli.errors import CommandFailed
from comanda.cli.verify_settle import Snapshot, Watch


class Reader:
    """Reads through the services' HTTP interface, with their own clocks.

    Args:
        watch: makes what counts the time since both have answered.
    """

    def __init__(self, api: Api, limits: Limits, watch: Callable[[], Watch] = Watch) -> None:
        self._api = api
        self._limits = limits
        self._ahead = {name: self._clock_ahead(name, f"/{path}") for name, path in _LISTS.items()}
        self.watch = watch()  # now, for only now they are known to be up

    def check(self, pedido: Document | None, reserva: Document | None) -> list[Violation]:
        """What is wrong with an order and its reservation."""
        return audit.check_order(pedido, reserva) + check_times(pedido, reserva, self._limits, self._now())

    def pending(self, found: list[Violation], pedido: Document | None, reserva: Document | None) -> Pending:
        """What of that may yet go by itself."""
        return pending(found, pedido, reserva, self._limits, self._now())

    def pair(self, identifier: str) -> tuple[Document | None, Document | None]:
        """An order and its reservation, one after the other."""
        return self._document("pedidos", identifier), self._document("inventario", identifier)

    def orders(self, ids: Collection[str]) -> Mapping[str, Snapshot]:
        snapshots, waiting = {}, []
        for identifier in ids:
            snapshots[identifier], by_recovery = self._order(identifier)
            if by_recovery and snapshots[identifier].early_seconds <= 0:
                waiting.append(identifier)
        if waiting and self._cut_off():
            snapshots |= {identifier: replace(snapshots[identifier], version=None) for identifier in waiting}
        return snapshots

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
            wrong = audit.check_held(stock, held[identifier]) if stock else audit.no_stock(identifier, held[identifier])
            snapshots[identifier] = Snapshot(same, wrong)
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
            if self._version_and_stock(product)[1]  # the ledger of a product without stock cannot be read
            for entry in self._api.all("inventario", f"/inventario/{product}/movimientos")
        )

    def _order(self, identifier: str) -> tuple[Snapshot, bool]:
        """Besides: whether it may yet go by itself, once pedidos reaches inventario."""
        first, again = self.pair(identifier), self.pair(identifier)
        # The order did not change from its first reading to its second, nor did the reservation: the moment between the
        # two middle readings saw both.
        violations = self.check(*again)
        moves = self.pending(violations, *again)
        early_seconds = moves.within.total_seconds() - self.watch.elapsed_seconds()
        return Snapshot(repr(again) if again == first else None, violations, early_seconds), moves.by_recovery

    def _cut_off(self) -> bool:
        """Whether pedidos fails to reach inventario even now: nothing can move then, whoever else reaches both."""
        answer = self._api.get("pedidos", "/circuitos")
        circuits = answer.json() if answer else []
        now = self._now()["pedidos"]
        # One that is open past its time only waits for the next call.
        return any(
            circuit["estado"] == "SEMIABIERTO"
            or (circuit["estado"] == "ABIERTO" and datetime.fromisoformat(circuit["abre_hasta"]) > now)
            for circuit in circuits
            if circuit["nombre"] == "inventario"
        )

    def _stock(self, identifier: str) -> Snapshot:
        before, _ = self._version_and_stock(identifier)
        total = self.ledger_sum(identifier)
        version, stock = self._version_and_stock(identifier)
        if stock is None:
            raise CommandFailed(f"inventario lists product {identifier} but does not know it", code=2)
        return Snapshot(version if before == version else None, audit.check_stock(stock, total))

    def _document(self, service: str, identifier: str) -> Document | None:
        answer = self._api.get(service, f"/{_LISTS[service]}/{identifier}")
        return None if answer is None else answer.json()

    def _version_and_stock(self, identifier: str) -> tuple[str, Document | None]:
        answer = self._api.get("inventario", f"/inventario/{identifier}")
        return ("", None) if answer is None else (answer.headers["etag"], answer.json())

    def _now(self) -> dict[str, datetime]:
        here = datetime.now(UTC)
        return {name: here + ahead for name, ahead in self._ahead.items()}

    def _clock_ahead(self, service: str, path: str) -> timedelta:
        """How far that service's clock is ahead of ours: each acts by its own."""
        answer = self._api.get(service, path, limite=1)
        given = answer.headers.get("date") if answer else None
        return parsedate_to_datetime(given) - datetime.now(UTC) if given else timedelta()


_LISTS = {"pedidos": "pedidos", "inventario": "reservas"}
