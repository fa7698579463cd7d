"""`comanda verify`: checks the invariants across the running services, as the operator, over HTTP only.

The services keep running, so what is read is not one moment. Whatever looks wrong is read again, in an order that
makes it one moment: something whose version was the same before and after did not change in between. Only what stays
wrong, unchanged, is a violation; what never stands still long enough is counted as undecided.

After an outage much is only about to move. Whatever may yet go by itself is put off to the end and judged when its time
is over, counted from the moment when all services have answered.

Lists are read page by page and never held: what grows here is only what looks wrong, and one number for each product.
"""

import json
import sys
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
from comanda.cli.verify_reading import Reader
from comanda.cli.verify_report import Outcome, Report, repairs
from comanda.cli.verify_settle import Read, settle

UNDECIDED = 3
"""The exit status of `--strict` where nothing is wrong as far as could be judged, but not all could be."""

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
    strict: bool = False,
) -> None:
    """Checks, says what it found and, with `repair`, mends it first.

    Args:
        strict: what could not be judged is a failure too.

    Raises:
        CommandFailed: 1, there are violations; 2, it could not check; 3, `strict`, and something is undecided.
    """
    outcomes: list[Outcome] = []

    def tell(outcome: Outcome) -> None:
        outcomes.append(outcome)
        if not as_json:
            print(outcome, flush=True)

    def note(text: str) -> None:
        if not as_json:
            print(f"comanda verify: {text}", file=sys.stderr, flush=True)

    try:
        report = _checked(key, inventario, pedidos, tell if repair else None, note)
    except CommandFailed as failure:
        if as_json:
            print(json.dumps({"error": str(failure)} | repairs(outcomes), ensure_ascii=False, indent=2))
        raise CommandFailed(str(failure), code=2) from None
    code = 1 if report.violations else UNDECIDED if strict and report.undecided else 0
    if as_json:
        print(json.dumps(report.document() | repairs(outcomes), ensure_ascii=False, indent=2))
    elif not code:
        print("\n".join(report.lines()))
    if code:
        raise CommandFailed(str(report) if as_json else "\n".join(report.lines()), code)


def _checked(
    key: Path | None,
    inventario: str | None,
    pedidos: str | None,
    tell: Callable[[Outcome], None] | None,
    note: Callable[[str], None],
) -> Report:
    """What is wrong; with `tell`, what is still wrong after all was mended that can be, each of which it is told."""
    variables = environment.prepared()
    urls = addresses(variables)
    urls |= {name: url for name, url in (("inventario", inventario), ("pedidos", pedidos)) if url}
    token = _operator_token(key or Path(variables["COMANDA_DATA"]) / "keys" / "operador.pem")
    settings = environment.load_settings(("pedidos", "inventario"))
    limits = Limits.of(settings)
    with Api(urls, token) as api:
        reader = Reader(api, limits)
        if tell is None:
            return Verification(api, reader, note).run()
        from comanda.cli.repair import Repair, Writers

        with Writers(urls, variables, settings["pedidos"]) as writers:
            report = Verification(api, reader, note).run()
            mended = False
            for outcome in Repair(reader, writers).run(report):
                tell(outcome)
                mended = mended or outcome.repaired
        return Verification(api, reader, note).run() if mended else report


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
        note: is told what takes long.
    """

    def __init__(self, api: Api, reader: Reader, note: Callable[[str], None] = lambda _: None) -> None:
        self._api = api
        self._reader = reader
        self._note = note
        self._report = Report()

    def run(self) -> Report:
        """Raises `Unreachable` if a service does not answer."""
        pending: list[str] = []
        longest = 0.0
        for suspects in _chunks(self._suspicious_orders()):
            self._settle([identifier for identifier, seconds in suspects if not seconds], self._reader.orders)
            pending += [identifier for identifier, seconds in suspects if seconds]
            longest = max(longest, *(seconds for _, seconds in suspects))
        held = audit.held_by_product(self._reader.active())
        for products in _chunks(self._counted("productos", self._api.all("inventario", "/inventario"))):
            self._check_products(products, held)
        for products_without_stock in _chunks(sorted(held)):
            self._settle(products_without_stock, self._reader.helds)
        if (seconds := longest - self._reader.watch.elapsed_seconds()) > 0:
            self._note(f"espera hasta {seconds:.0f} s por {len(pending)} que aún pueden avanzar por sí solos")
        for late in _chunks(pending):
            self._settle(late, self._reader.orders)
        return self._report

    def _suspicious_orders(self) -> Iterator[tuple[str, float]]:
        """The ids of orders that look wrong, and within how many seconds that may go by itself; 0: it does not."""
        pedidos = self._counted("pedidos", self._api.all("pedidos", "/pedidos"))
        reservas = self._counted("reservas", self._api.all("inventario", "/reservas"))
        for identifier, pedido, reserva in audit.joined(pedidos, reservas):
            if found := self._reader.check(pedido, reserva):
                yield identifier, self._reader.pending(found, pedido, reserva).within.total_seconds()

    def _check_products(self, products: list[Document], held: Counter[str]) -> None:
        """Takes these products out of `held`: in the end it has those that hold something and have no stock."""
        stocks, helds = [], []
        for stock in products:
            identifier = str(stock["producto_id"])
            if audit.check_stock(stock, self._reader.ledger_sum(identifier)):
                stocks.append(identifier)
            if audit.check_held(stock, held.pop(identifier, 0)):
                helds.append(identifier)
        self._settle(stocks, self._reader.stocks)
        self._settle(helds, self._reader.helds)

    def _settle(self, ids: list[str], read: Read) -> None:
        violations, undecided = settle(ids, read, self._reader.watch.pause)
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
