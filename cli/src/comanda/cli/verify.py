"""`comanda verify`: checks the invariants across the running services, as the operator, over HTTP only.

The services keep running, so what is read is not one moment. Whatever looks wrong is read again, in an order that
makes it one moment: something whose version was the same before and after did not change in between. Only what stays
wrong, unchanged, is a violation; what never stands still long enough is counted as undecided.

Lists are read page by page and never held: what grows here is only what looks wrong, and one number for each product.
"""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TypeVar

from comanda.cli import audit, environment
from comanda.cli.api import Api, addresses
from comanda.cli.audit import Document
from comanda.cli.audit_times import Limits
from comanda.cli.errors import CommandFailed
from comanda.cli.verify_reading import Read, Reader, settle
from comanda.cli.verify_report import Outcome, Report, repairs

TOGETHER = 200
"""How many suspects are read again together."""

Item = TypeVar("Item")


def command(
    key: Path | None,
    *,
    inventario: str | None,
    pedidos: str | None,
    as_json: bool = False,
    repair: bool = False,
) -> None:
    """Raises `CommandFailed`: 1, there are violations; 2, it could not check."""
    outcomes: list[Outcome] = []

    def tell(outcome: Outcome) -> None:
        outcomes.append(outcome)
        if not as_json:
            print(outcome, flush=True)

    try:
        report = _checked(key, inventario, pedidos, tell if repair else None)
    except CommandFailed as failure:
        if as_json:
            print(json.dumps({"error": str(failure)} | repairs(outcomes), ensure_ascii=False, indent=2))
        raise CommandFailed(str(failure), code=2) from None
    if as_json:
        print(json.dumps(report.document() | repairs(outcomes), ensure_ascii=False, indent=2))
    elif not report.violations:
        print(report)
    if report.violations:
        raise CommandFailed("\n".join(map(str, [report] if as_json else [*report.violations, report])))


def _checked(
    key: Path | None, inventario: str | None, pedidos: str | None, tell: Callable[[Outcome], None] | None
) -> Report:
    """What is wrong; with `tell`, what is still wrong after all was mended that can be, each of which it is told."""
    variables = environment.prepared()
    urls = addresses(variables)
    urls |= {name: url for name, url in (("inventario", inventario), ("pedidos", pedidos)) if url}
    token = _operator_token(key or Path(variables["COMANDA_DATA"]) / "keys" / "operador.pem")
    settings = environment.load_settings(("pedidos", "inventario"))
    limits = Limits.of(settings)
    with Api(urls, token) as api:
        if tell is None:
            return Verification(api, limits).run()
        from comanda.cli.repair import Repair, Writers

        with Writers(urls, variables, settings["pedidos"]) as writers:
            report = Verification(api, limits).run()
            for outcome in Repair(Reader(api, limits), writers).run(report):
                tell(outcome)
        return Verification(api, limits).run() if report.violations else report


def _operator_token(key: Path) -> Callable[[str], str]:
    if not key.is_file():
        raise CommandFailed(f"no operator's key in {key}: is COMANDA_DATA the one of `make run`?")
    from comanda.common.clock import SystemClock
    from comanda.common.tokens import ServiceSigner, SigningKey

    try:
        return ServiceSigner("operador", SigningKey.from_pem(key.read_bytes()), SystemClock()).token
    except ValueError as error:
        raise CommandFailed(f"{key}: {error}") from None


class Verification:
    """One pass over everything.

    Args:
        pause: waits between two readings of something that looks wrong.
    """

    def __init__(self, api: Api, limits: Limits, pause: Callable[[float], None] = time.sleep) -> None:
        self._api = api
        self._pause = pause
        self._reader = Reader(api, limits)
        self._report = Report()
        # If inventario was away until a moment ago, old orders are only about to move.
        self._recovered = time.monotonic() + limits.round.total_seconds()

    def run(self) -> Report:
        """Raises `Unreachable` if a service does not answer."""
        for suspects in _chunks(self._suspicious_orders()):
            if any(overdue for _, overdue in suspects):
                self._pause(max(0.0, self._recovered - time.monotonic()))
            self._settle([identifier for identifier, _ in suspects], self._reader.orders)
        held = audit.held_by_product(self._reader.active())
        for products in _chunks(self._counted("productos", self._api.all("inventario", "/inventario"))):
            self._check_products(products, held)
        return self._report

    def _suspicious_orders(self) -> Iterator[tuple[str, bool]]:
        """The ids of orders that look wrong, and whether they seem to stand still."""
        pedidos = self._counted("pedidos", self._api.all("pedidos", "/pedidos"))
        reservas = self._counted("reservas", self._api.all("inventario", "/reservas"))
        for identifier, pedido, reserva in audit.joined(pedidos, reservas):
            if found := self._reader.check(pedido, reserva):
                yield identifier, any(v.invariant == 8 and v.kind == "pedido" for v in found)

    def _check_products(self, products: list[Document], held: Counter[str]) -> None:
        stocks, helds = [], []
        for stock in products:
            identifier = str(stock["producto_id"])
            if audit.check_stock(stock, self._reader.ledger_sum(identifier)):
                stocks.append(identifier)
            if audit.check_held(stock, held[identifier]):
                helds.append(identifier)
        self._settle(stocks, self._reader.stocks)
        self._settle(helds, self._reader.helds)

    def _settle(self, ids: list[str], read: Read) -> None:
        violations, undecided = settle(ids, read, self._pause)
        self._report.violations += violations
        self._report.undecided += undecided

    def _counted(self, name: str, documents: Iterator[Document]) -> Iterator[Document]:
        for found in documents:
            setattr(self._report, name, getattr(self._report, name) + 1)
            yield found


def _chunks(items: Iterable[Item]) -> Iterator[list[Item]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, TOGETHER)):
        yield chunk
