"""The spans of orders that are placed through real services, as a collector receives them."""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from e2e.helpers import ADMIN, SETTINGS, new_customer, new_product

from comanda.cli.api import Api
from comanda.cli.installation import Installation
from comanda.testing.collector import PATIENCE_SECONDS, Collector, Spanned


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with Collector() as collector:
        yield collector


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory, collector: Collector) -> Iterator[Installation]:
    exporting = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint, "OTEL_BSP_SCHEDULE_DELAY": "50"}
    installation = Installation(tmp_path_factory.mktemp("traced"), SETTINGS | exporting).start()
    yield installation
    assert installation.stop() == 0


@pytest.fixture(scope="module")
def admin(traced: Installation) -> Api:
    return traced.api().login(*ADMIN)


@pytest.fixture(scope="module")
def product(admin: Api) -> str:
    return new_product(admin, 10)


@pytest.fixture(scope="module")
def customer(traced: Installation) -> Api:
    return new_customer(traced)


def place(customer: Api, product: str, **headers: str) -> str:
    order = {"lineas": [{"producto_id": product, "cantidad": 1}]}
    answer = customer.request("pedidos", "POST", "/pedidos", json=order, headers=headers)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def one(spans: list[Spanned], service: str, kind: str, name: str) -> Spanned:
    found = [span for span in spans if (span.service, span.kind, span.name) == (service, kind, name)]
    assert len(found) == 1, (found, spans)
    return found[0]


def logged(traced: Installation, trace: str) -> dict[str, dict[str, Any]]:
    """The lines of pedidos about requests of a trace, by the ids of their spans."""
    text = "\n".join(file.read_text() for file in (traced.data / "logs").glob("pedidos*"))
    lines = [json.loads(line) for line in text.splitlines() if f'"trace_id": "{trace}"' in line and line.endswith("}")]
    return {line["span_id"]: line for line in lines}


def servers(spans: list[Spanned]) -> set[str]:
    return {span.service for span in spans if span.kind == "SERVER"}


class TestOneOrder:
    def test_is_one_tree_through_all_services(
        self, traced: Installation, collector: Collector, customer: Api, product: str
    ) -> None:
        trace, above = os.urandom(16).hex(), os.urandom(8).hex()
        pedido_id = place(customer, product, traceparent=f"00-{trace}-{above}-01")

        def mine(spans: list[Spanned]) -> list[Spanned]:
            return [span for span in spans if span.trace == trace]

        spans = mine(collector.wait_for(lambda s: servers(mine(s)) == {"pedidos", "productos", "inventario"}))
        placed = one(spans, "pedidos", "SERVER", "POST /pedidos")
        assert placed.parent == above
        by_id = {span.id: span for span in spans}
        assert {span.parent for span in spans} - set(by_id) == {above}

        asked = one(spans, "productos", "SERVER", "GET /productos")
        reserved = one(spans, "inventario", "SERVER", "PUT /reservas/{pedido_id}")

        def path_up(span: Spanned) -> list[str]:
            return [span.name, *path_up(by_id[span.parent])] if span.parent in by_id else [span.name]

        assert path_up(asked) == ["GET /productos", "GET", "lote fichas", "POST /pedidos"]
        assert path_up(reserved) == [
            "PUT /reservas/{pedido_id}", "PUT", "lote operaciones", "saga SOLICITADO", "POST /pedidos",
        ]  # fmt: skip
        for name in ("lote altas", "lote transiciones"):
            one(spans, "pedidos", "INTERNAL", name)

        assert placed.attributes["comanda.pedido.id"] == pedido_id
        assert placed.attributes["http.request.method"] == "POST"
        assert placed.attributes["http.route"] == "/pedidos"
        assert placed.attributes["http.response.status_code"] == 201
        assert placed.attributes["url.path"] == "/pedidos"
        sent = by_id[reserved.parent]
        assert sent.kind == "CLIENT"
        assert sent.attributes["url.full"] == f"{traced.address('inventario')}/reservas/{pedido_id}"
        assert sent.attributes["server.address"] == "127.0.0.1"
        assert sent.attributes["http.response.status_code"] == 201
        assert not any(span.failed for span in spans)

    def test_log_lines_name_it(self, traced: Installation, collector: Collector, customer: Api, product: str) -> None:
        trace, above = os.urandom(16).hex(), os.urandom(8).hex()
        place(customer, product, traceparent=f"00-{trace}-{above}-01")
        spans = collector.wait_for(lambda s: "pedidos" in servers([span for span in s if span.trace == trace]))
        placed = one([span for span in spans if span.trace == trace], "pedidos", "SERVER", "POST /pedidos")
        deadline = time.monotonic() + PATIENCE_SECONDS
        while placed.id not in logged(traced, trace):  # the supervisor passes lines on a little later
            assert time.monotonic() < deadline, logged(traced, trace)
            time.sleep(0.05)
        assert logged(traced, trace)[placed.id]["event"] == "request"

    def test_what_was_not_sampled_is_not_exported(self, collector: Collector, customer: Api, product: str) -> None:
        unsampled, sampled, above = os.urandom(16).hex(), os.urandom(16).hex(), os.urandom(8).hex()
        pedido_id = place(customer, product, traceparent=f"00-{unsampled}-{above}-00")
        place(customer, product, traceparent=f"00-{sampled}-{above}-01")
        spans = collector.wait_for(lambda s: len(servers([span for span in s if span.trace == sampled])) == 3)
        assert [span for span in spans if span.trace in (unsampled, UUID(pedido_id).hex)] == []


class TestLaterSteps:
    @pytest.mark.parametrize(("action", "phase"), [("completar", "COMPLETANDO"), ("cancelar", "CANCELANDO")])
    def test_link_to_the_trace_of_the_order(
        self, collector: Collector, admin: Api, customer: Api, product: str, action: str, phase: str
    ) -> None:
        pedido_id = place(customer, product)
        assert admin.request("pedidos", "POST", f"/pedidos/{pedido_id}/{action}").status_code == 200
        own = UUID(pedido_id).hex

        def steps(spans: list[Spanned]) -> list[Spanned]:
            return [span for span in spans if span.name == f"saga {phase}" and (own, own[16:]) in span.links]

        def placing(spans: list[Spanned]) -> list[Spanned]:
            server = [span for span in spans if span.kind == "SERVER"]
            return [span for span in server if span.attributes.get("comanda.pedido.id") == pedido_id]

        spans = collector.wait_for(
            lambda s: bool(steps(s) and placing(s) and [span for span in s if span.trace == own])
        )
        [begun] = [span for span in spans if span.trace == own]
        [step] = steps(spans)
        [placed] = placing(spans)
        assert (begun.name, begun.id, begun.parent) == ("pedido", own[16:], "")
        assert begun.links == [(placed.trace, placed.id)]
        assert step.trace not in (placed.trace, own)
        assert step.attributes["comanda.pedido.id"] == pedido_id


class TestUp:
    def test_refuses_what_cannot_be_done(self, tmp_path: Path) -> None:
        ran = Installation(tmp_path, SETTINGS | {"OTEL_TRACES_EXPORTER": "console"}).run("up")
        assert ran.returncode == 1
        assert "OTEL_TRACES_EXPORTER: «console» no se conoce; use otlp o none" in ran.stderr


class TestWithoutCollector:
    def test_orders_are_placed_all_the_same(self, collector: Collector, customer: Api, product: str) -> None:
        collector.stop()
        try:
            assert place(customer, product)
        finally:
            collector.start_again()
