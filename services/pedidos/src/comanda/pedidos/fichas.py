"""What productos says of the products of an order: asked for many orders at once, and kept for a while if so set."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from comanda.common.calls import SharedCalls
from comanda.common.clock import Clock
from comanda.common.http import Neighbour
from comanda.common.money import to_cents
from comanda.pedidos.clients import parsed
from comanda.pedidos.domain import Ficha

MOST_IDS = 200
"""Products that one question may name."""

MOST_KEPT = 10_000
"""Products that are kept; when there are more, all are asked for anew."""

Fichas = Mapping[UUID, Ficha]


@dataclass(slots=True, eq=False)
class _Page:
    """An answer of productos, which it can be asked about by its entity tag (RFC 9110 §13.1.2)."""

    whole: Fichas
    """What was asked for, while all of it is kept from this answer; else nothing: no more is held than is kept."""
    etag: str
    until: float
    """On the monotonic clock: how long it may be used without asking."""


@dataclass(frozen=True, slots=True)
class _Kept:
    ficha: Ficha
    page: _Page


class ProductosHttp:
    """productos, over HTTP.

    Args:
        reuse_seconds: how long an answer may be used again after productos was asked; 0: it is asked for each order.
            ADR 0012 says what a client can see of it.
        most: how many requests may share a call.
    """

    def __init__(self, neighbour: Neighbour, clock: Clock, *, reuse_seconds: float = 0, most: int = MOST_IDS) -> None:
        self._neighbour = neighbour
        self._clock = clock
        self._reuse_seconds = reuse_seconds
        self._kept: dict[UUID, _Kept] = {}
        self._calls = SharedCalls(
            "fichas",
            neighbour.circuit,
            alone=self._ask,
            together=self._ask_together,
            most=most,
            weigh=len,
            capacity=MOST_IDS,
        )
        self.queue = self._calls.queue

    async def fichas(self, ids: Sequence[UUID]) -> Fichas:
        """Those of the products that exist, asked for now. Raises `ServicioNoDisponible`, `RespuestaInvalida`."""
        return await self._calls.submit(ids)

    @property
    def is_well(self) -> bool:
        """Whether it answered when it was last asked."""
        return self._neighbour.circuit.is_well

    def kept(self, ids: Sequence[UUID]) -> Fichas | None:
        """All of them, if they may be used without asking."""
        now = self._clock.monotonic()
        kept = [one for one in map(self._kept.get, ids) if one is not None and now < one.page.until]
        return {one.ficha.producto_id: one.ficha for one in kept} if len(kept) == len(ids) else None

    async def _ask_together(self, questions: Sequence[Sequence[UUID]]) -> Sequence[Fichas]:
        ids = dict.fromkeys(producto_id for question in questions for producto_id in question)
        return [await self._ask(ids, len(questions))] * len(questions)

    async def _ask(self, ids: Collection[UUID], weight: int = 1) -> Fichas:
        """One question: whether something has changed, if these were all kept from one answer."""
        page = self._page_of(ids)
        known = page.whole if page else {}
        asked = tuple(known or ids)
        headers = {"If-None-Match": page.etag} if page else {}
        until = self._clock.monotonic() + self._reuse_seconds  # from when it was asked, however late it answers
        params = {"ids": ",".join(map(str, asked))}
        answer = await self._neighbour.request(
            "GET", "/productos", params=params, headers=headers, expected=(200, 304) if page else (200,), weight=weight
        )
        if page and answer.status == 304:
            page.until = until
            return known
        items = parsed(answer, lambda body: [_ficha(item) for item in body["elementos"]])
        fichas = {ficha.producto_id: ficha for ficha in items}
        if self._reuse_seconds:
            self._keep(asked, fichas, answer.headers.get("etag", ""), until)
        return fichas

    def _page_of(self, ids: Collection[UUID]) -> _Page | None:
        """The answer that they are all kept from, if it can be asked about."""
        pages = {kept.page if kept else None for kept in map(self._kept.get, ids)}
        page = pages.pop() if len(pages) == 1 else None
        return page if page and page.whole else None

    def _keep(self, asked: Collection[UUID], fichas: Fichas, etag: str, until: float) -> None:
        """Only what is for sale: a product that is made or offered again now may be ordered now."""
        sold = {i: fichas[i] for i in asked if i in fichas and fichas[i].activo}
        page = _Page(sold if etag and len(sold) == len(asked) else {}, etag, until)
        for producto_id in asked:
            if before := self._kept.pop(producto_id, None):
                before.page.whole = {}
        if len(self._kept) + len(sold) > MOST_KEPT:
            self._kept.clear()
        self._kept.update({producto_id: _Kept(ficha, page) for producto_id, ficha in sold.items()})


def _ficha(item: Mapping[str, Any]) -> Ficha:
    return Ficha(
        producto_id=UUID(item["id"]),
        sku=str(item["sku"]),
        nombre=str(item["nombre"]),
        precio_centimos=to_cents(item["precio"]),
        moneda=str(item["moneda"]),
        activo=item["activo"] is True,
    )
