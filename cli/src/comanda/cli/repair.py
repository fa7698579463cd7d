"""`comanda verify --repair`: mends through the services' ordinary use cases; it writes into no database."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Set
from typing import TYPE_CHECKING, Self, cast

import httpx2

from comanda.cli import credentials
from comanda.cli.api import Api, slug
from comanda.cli.audit import Document, Violation, state_of
from comanda.cli.errors import CommandFailed
from comanda.cli.repair_plan import Remedy, Situation, plan
from comanda.cli.verify_reading import Reader
from comanda.cli.verify_report import Outcome, Report

if TYPE_CHECKING:
    from comanda.common.settings import CallerSettings, ServiceSettings


class Repair:
    """Treats each order that something is wrong with, once."""

    def __init__(self, reader: Reader, writers: "Writers") -> None:
        self._reader = reader
        self._writers = writers

    def run(self, report: Report) -> Iterator[Outcome]:
        """Mends what can be mended, telling of each violation what became of it."""
        by_id: dict[str, list[Violation]] = defaultdict(list)
        for violation in report.violations:
            by_id[violation.id].append(violation)
        products = {violation.id for violation in report.violations if violation.kind == "producto"}
        unsound = products.union(report.undecided)
        for identifier, found in by_id.items():
            if identifier in products:
                situation = Situation(None, None, unsound, sold=False)
                yield from (Outcome(violation, False, str(plan(violation, situation))) for violation in found)
            else:
                yield from self._mend(identifier, found, unsound)

    def _mend(self, identifier: str, violations: Collection[Violation], unsound: Set[str]) -> Iterator[Outcome]:
        situation = self._situation(identifier, unsound)
        present = self._wrong(situation)  # since it was found, somebody else may have mended it
        plans = [plan(one, situation) if _kind(one) in present else "ya no está así" for one in violations]
        answers = {}
        for remedy in plans:
            if isinstance(remedy, Remedy) and remedy not in answers:
                answers[remedy] = self._writers.send(remedy)
        after = self._situation(identifier, unsound)
        left = self._wrong(after)
        for violation, remedy in zip(violations, plans, strict=True):
            text = f"{remedy}: {answers[remedy]}; {after.standing}" if isinstance(remedy, Remedy) else remedy
            yield Outcome(violation, _kind(violation) not in left, text)

    def _wrong(self, situation: Situation) -> set[tuple[str, int]]:
        return {_kind(violation) for violation in self._reader.check(situation.pedido, situation.reserva)}

    def _situation(self, identifier: str, unsound: Set[str]) -> Situation:
        pedido, reserva = self._reader.pair(identifier)
        doubtful = pedido and pedido["fase"] == "COMPLETADO" and state_of(reserva) != "CONFIRMADA"
        sold = bool(doubtful and pedido and self._reader.was_sold(pedido))
        return Situation(pedido, reserva, unsound, sold)


def _kind(violation: Violation) -> tuple[str, int]:
    return violation.kind, violation.invariant


class Writers:
    """Those who may do what the operator may not: an administrator, and for reservations pedidos itself.

    Raises:
        CommandFailed: if the credentials of the one or the key of the other are not here, or not accepted.
    """

    def __init__(self, urls: Mapping[str, str], variables: Mapping[str, str], pedidos: "ServiceSettings") -> None:
        self._credentials = credentials.find(variables)
        self._as_pedidos = Api(urls, _pedidos_token(pedidos))
        self._nobody = Api(urls)
        self._admin = self._login()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._as_pedidos.close()
        self._nobody.close()

    def send(self, remedy: Remedy) -> str:
        """Makes the request; returns what was answered."""
        body = {} if remedy.body is None else {"json": remedy.body}
        if remedy.service == "inventario":
            answer = self._as_pedidos.request("inventario", remedy.method, remedy.path, **body)
        else:
            answer = self._administer(remedy, body)
        return f"{answer.status_code} {slug(answer)}".rstrip()

    def _administer(self, remedy: Remedy, body: Mapping[str, Document]) -> httpx2.Response:
        answer = self._admin.request("pedidos", remedy.method, remedy.path, **body)
        if answer.status_code == 401:  # its quarter of an hour is over
            self._admin = self._login()
            answer = self._admin.request("pedidos", remedy.method, remedy.path, **body)
        return answer

    def _login(self) -> Api:
        return self._nobody.login(self._credentials.email, self._credentials.password, self._credentials.code)


def _pedidos_token(settings: "ServiceSettings") -> Callable[[str], str]:
    from comanda.common.clock import SystemClock
    from comanda.common.tokens import ServiceSigner, SigningKey
    from comanda.common.trust import key_path

    path = key_path("pedidos", cast("CallerSettings", settings).signing_key)
    if not path.is_file():
        raise CommandFailed(f"no key of pedidos in {path}: set PEDIDOS_SIGNING_KEY to the file that holds it")
    try:
        return ServiceSigner("pedidos", SigningKey.from_pem(path.read_bytes()), SystemClock()).token
    except ValueError as error:
        raise CommandFailed(f"{path}: {error}") from None
