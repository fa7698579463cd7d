"""`comanda verify`: checks the invariants across the running services, as the operator, over HTTP only.

The services keep running, so what is read is not one moment. Whatever looks wrong is read again, in an order that
makes it one moment: something whose version was the same before and after did not change in between. Only what stays
wrong, unchanged, is a violation; what never stands still long enough is counted as undecided.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from comanda.cli import audit, environment
from comanda.cli.api import Api, addresses
from comanda.cli.audit import Document, Violation
from comanda.cli.errors import CommandFailed

CONFIRMATIONS = 3
"""How often something wrong has to be read, unchanged, before it is called a violation."""

ATTEMPTS = 10
PAUSE_SECONDS = 0.3


@dataclass
class Report:
    """What was looked at, and what was wrong."""

    pedidos: int = 0
    reservas: int = 0
    productos: int = 0
    undecided: int = 0
    violations: list[Violation] = field(default_factory=list)

    def __str__(self) -> str:
        figure = f"comanda verify: {self.pedidos} pedidos, {self.reservas} reservas, {self.productos} productos"
        verdict = f"{len(self.violations)} violaciones" if self.violations else "sin violaciones"
        doubt = f", {self.undecided} sin decidir porque no dejaban de cambiar" if self.undecided else ""
        return f"{figure}: {verdict}{doubt}"


@dataclass(frozen=True)
class Snapshot:
    """What was read, as of one moment; `version` None: it changed while it was read."""

    version: object
    violations: list[Violation]


def command(key: Path | None, *, inventario: str | None, pedidos: str | None) -> None:
    variables = environment.prepared()
    urls = addresses(variables)
    urls |= {name: url for name, url in (("inventario", inventario), ("pedidos", pedidos)) if url}
    token = _operator_token(key or Path(variables["COMANDA_DATA"]) / "keys" / "operador.pem")
    with Api(urls, token) as api:
        report = Verification(api).run()
    if report.violations:
        raise CommandFailed("\n".join(map(str, [*report.violations, report])))
    print(report)


def _operator_token(key: Path) -> Callable[[str], str]:
    if not key.is_file():
        raise CommandFailed(f"no operator's key in {key}: is COMANDA_DATA the one of `make run`?", code=2)
    from comanda.common.clock import SystemClock
    from comanda.common.tokens import ServiceSigner, SigningKey

    try:
        return ServiceSigner("operador", SigningKey.from_pem(key.read_bytes()), SystemClock()).token
    except ValueError as error:
        raise CommandFailed(f"{key}: {error}", code=2) from None


class Verification:
    """One pass over everything.

    Args:
        pause: waits between two readings of something that looks wrong.
    """

    def __init__(self, api: Api, pause: Callable[[float], None] = time.sleep) -> None:
        self._api = api
        self._pause = pause
        self._report = Report()

    def run(self) -> Report:
        """Raises `Unreachable` if a service does not answer."""
        self._check_orders()
        self._check_products()
        return self._report

    def _check_orders(self) -> None:
        pedidos = self._counted("pedidos", self._api.all("pedidos", "/pedidos"))
        reservas = self._counted("reservas", self._api.all("inventario", "/reservas"))
        for identifier, pedido, reserva in audit.joined(pedidos, reservas):
            if audit.check_order(pedido, reserva):
                self._settle(partial(self._order, identifier))

    def _check_products(self) -> None:
        held = audit.held_by_product(self._active())
        for stock in self._counted("productos", self._api.all("inventario", "/inventario")):
            identifier = str(stock["producto_id"])
            if audit.check_stock(stock, self._ledger_sum(identifier)):
                self._settle(partial(self._stock, identifier))
            if audit.check_held(stock, held[identifier]):
                self._settle(partial(self._held, identifier))

    def _settle(self, read: Callable[[], Snapshot]) -> None:
        """Reads until it is right, or wrong and unchanged often enough."""
        seen, version = 0, None
        for _ in range(ATTEMPTS):
            snapshot = read()
            if not snapshot.violations:
                return
            seen = seen + 1 if snapshot.version == version else 1
            version = snapshot.version
            if version is None:
                seen = 0
            if seen == CONFIRMATIONS:
                self._report.violations += snapshot.violations
                return
            self._pause(PAUSE_SECONDS)
        self._report.undecided += 1

    def _order(self, identifier: str) -> Snapshot:
        pedido, reserva = self._read_order(identifier), self._read_reservation(identifier)
        again = self._read_order(identifier), self._read_reservation(identifier)
        # The order did not change from its first reading to its second, nor did the reservation: the moment between the
        # two middle readings saw both.
        version = repr(again) if again == (pedido, reserva) else None
        return Snapshot(version, audit.check_order(*again))

    def _stock(self, identifier: str) -> Snapshot:
        before = self._read_stock(identifier)
        total = self._ledger_sum(identifier)
        version, stock = self._read_stock(identifier)
        return Snapshot(version if before[0] == version else None, audit.check_stock(stock, total))

    def _held(self, identifier: str) -> Snapshot:
        # Every reservation that begins or ceases to hold a product changes the version of its stock.
        before = self._read_stock(identifier)
        held = audit.held_by_product(self._active())[identifier]
        version, stock = self._read_stock(identifier)
        return Snapshot(version if before[0] == version else None, audit.check_held(stock, held))

    def _read_order(self, identifier: str) -> Document | None:
        answer = self._api.get("pedidos", f"/pedidos/{identifier}")
        return None if answer is None else answer.json()

    def _read_reservation(self, identifier: str) -> Document | None:
        answer = self._api.get("inventario", f"/reservas/{identifier}")
        return None if answer is None else answer.json()

    def _read_stock(self, identifier: str) -> tuple[str, Document]:
        answer = self._api.get("inventario", f"/inventario/{identifier}")
        if answer is None:  # a row of stock is never deleted
            raise CommandFailed(f"inventario lists product {identifier} but does not know it", code=2)
        return answer.headers["etag"], answer.json()

    def _ledger_sum(self, identifier: str) -> int:
        return sum(entry["cantidad"] for entry in self._api.all("inventario", f"/inventario/{identifier}/movimientos"))

    def _active(self) -> Iterator[Document]:
        return self._api.all("inventario", "/reservas", estado="ACTIVA")

    def _counted(self, name: str, documents: Iterator[Document]) -> Iterator[Document]:
        for document in documents:
            setattr(self._report, name, getattr(self._report, name) + 1)
            yield document
