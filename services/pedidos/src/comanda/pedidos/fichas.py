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


@dataclass(slots=True)
class _Page:
    """An answer of productos, which it can be asked about by its entity tag (RFC 9110 §13.1.2)."""

    ids: tuple[UUID, ...]
    fichas: Fichas
    etag: str | None
    until: float
    """On the monotonic clock: how long it may be used without asking."""


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
        self._pages: dict[UUID, _Page] = {}
        self._calls = SharedCalls(
            "fichas",
            neighbour.circuit,
            alone=self._ask,
            together=self._ask_together,
            most=most,
            weigh=len,
            capacity=MOST_IDS,
        )

    async def fichas(self, ids: Sequence[UUID]) -> Fichas:
        """Those of the products that exist. Raises `ServicioNoDisponible`, `RespuestaInvalida`."""
        return self._kept(ids) or await self._calls.submit(ids)

    def _kept(self, ids: Sequence[UUID]) -> Fichas | None:
        """If all of them may be used without asking."""
        now = self._clock.monotonic()
        pages = [self._pages.get(producto_id) for producto_id in ids]
        if not all(page is not None and now < page.until for page in pages):
            return None
        return {i: page.fichas[i] for i, page in zip(ids, pages, strict=True) if page is not None}

    async def _ask_together(self, questions: Sequence[Sequence[UUID]]) -> Sequence[Fichas]:
        ids = dict.fromkeys(producto_id for question in questions for producto_id in question)
        return [await self._ask(ids, len(questions))] * len(questions)

    async def _ask(self, ids: Collection[UUID], weight: int = 1) -> Fichas:
        """One question, whether something has changed if these were all kept from one answer."""
        page = self._page_of(ids)
        asked = tuple(ids) if page is None else page.ids
        known = {} if page is None or page.etag is None else {"If-None-Match": page.etag}
        until = self._clock.monotonic() + self._reuse_seconds  # from when it was asked, however late it answers
        params = {"ids": ",".join(map(str, asked))}
        answer = await self._neighbour.request(
            "GET", "/productos", params=params, headers=known, expected=(200, 304) if known else (200,), weight=weight
        )
        if page is not None and answer.status == 304:
            page.until = until
            return page.fichas
        items = parsed(answer, lambda body: [_ficha(item) for item in body["elementos"]])
        fichas = {ficha.producto_id: ficha for ficha in items}
        if self._reuse_seconds:
            self._keep(_Page(asked, fichas, answer.headers.get("etag"), until))
        return fichas

    def _page_of(self, ids: Collection[UUID]) -> _Page | None:
        pages = {id(page): page for page in map(self._pages.get, ids)}
        return next(iter(pages.values())) if len(pages) == 1 else None

    def _keep(self, page: _Page) -> None:
        """Only what exists: a product that is made now may be ordered now."""
        if len(self._pages) + len(page.fichas) > MOST_KEPT:
            self._pages.clear()
        self._pages.update(dict.fromkeys(page.fichas, page))


def _ficha(item: Mapping[str, Any]) -> Ficha:
    return Ficha(
        producto_id=UUID(item["id"]),
        sku=str(item["sku"]),
        nombre=str(item["nombre"]),
        precio_centimos=to_cents(item["precio"]),
        moneda=str(item["moneda"]),
        activo=item["activo"] is True,
    )
