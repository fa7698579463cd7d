"""What turns traces on, what costs nothing while they are off, and the spans of what is done for several at once."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from uuid import UUID

import pytest
from opentelemetry.semconv.attributes import (
    error_attributes,
    http_attributes,
    network_attributes,
    server_attributes,
    url_attributes,
)

from comanda.common import spans, tracing
from comanda.common.batch import Batch
from comanda.common.settings import InvalidSettings
from comanda.testing.collector import recording

FIRST, SECOND = UUID("01980000-0000-7000-8000-000000000001"), UUID("01980000-0000-7000-9000-000000000002")
ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}
SERVICE = """
import sys
from comanda.common.server import serve
from comanda.common.settings import ServiceSettings
from comanda.common import tracing

tracing.start("cosas")
assert tracing.active is None
assert not [name for name in sys.modules if name.startswith("opentelemetry.") and ".sdk" in name or ".otlp" in name]
serve("cosas", ServiceSettings)
"""


class TestWanted:
    @pytest.mark.parametrize(
        ("environment", "expected"),
        [
            ({}, False),
            ({"OTEL_SERVICE_NAME": "x"}, False),
            (ENDPOINT, True),
            ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:4318/v1/traces"}, True),
            ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
            (ENDPOINT | {"OTEL_TRACES_EXPORTER": "none"}, False),
            (ENDPOINT | {"OTEL_SDK_DISABLED": "TRUE"}, False),
            (ENDPOINT | {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, True),
        ],
    )
    def test_by_the_variables_of_the_standard(self, environment: dict[str, str], expected: bool) -> None:
        assert tracing.wanted(environment) is expected

    @pytest.mark.parametrize(
        ("environment", "named"),
        [
            ({"OTEL_TRACES_EXPORTER": "console"}, "OTEL_TRACES_EXPORTER"),
            (ENDPOINT | {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "OTEL_EXPORTER_OTLP_PROTOCOL"),
            (ENDPOINT | {"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/json"}, "http/json"),
        ],
    )
    def test_what_cannot_be_done(self, environment: dict[str, str], named: str) -> None:
        with pytest.raises(InvalidSettings, match=named):
            tracing.wanted(environment)

    @pytest.mark.parametrize("missing", ["opentelemetry.nothing", "nobody.has.this"])
    def test_what_is_not_installed(self, monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
        monkeypatch.setattr(tracing, "NEEDED", (missing,))
        assert tracing.wanted({}) is False
        with pytest.raises(InvalidSettings, match="extra «tracing»"):
            tracing.wanted(ENDPOINT)


class TestService:
    def test_off_imports_nothing_and_what_cannot_be_done_is_refused_at_start(self) -> None:
        given = {"COMANDA_PORT": "0", "COMANDA_DATABASE_URL": "sqlite:///x", "OTEL_TRACES_EXPORTER": "none"}
        program = SERVICE.replace("serve(", "import os; os.environ['OTEL_TRACES_EXPORTER'] = 'zipkin'\nserve(")
        ran = subprocess.run([sys.executable, "-c", program], env=os.environ | given, capture_output=True, text=True)
        assert (ran.returncode, ran.stderr) == (1, "OTEL_TRACES_EXPORTER: «zipkin» no se conoce; use otlp o none\n")


class TestGroup:
    async def test_belongs_to_the_first_and_is_linked_with_the_others(self) -> None:
        held = asyncio.Event()

        async def serve(numbers: Sequence[int]) -> list[int]:
            await held.wait()
            return list(numbers)

        batch = Batch[int, int]("dobles", serve)

        async def ask(identifier: UUID, number: int) -> None:
            with tracing.step("pedir", "cosa", [identifier]):
                await batch.submit(number)

        with recording("cosas") as exported:
            async with asyncio.TaskGroup() as group:
                for identifier in (FIRST, FIRST, SECOND):  # the first is served alone, the others after it together
                    group.create_task(ask(identifier, 1))
                    await asyncio.sleep(0)
                    await asyncio.sleep(0)
                held.set()
            found = exported()
        callers = [span for span in found if span.name == "pedir"]
        alone, together = sorted(
            (span for span in found if span.name == "lote dobles"),
            key=lambda s: s.attributes["comanda.lote.peticiones"],
        )
        assert (alone.attributes["comanda.lote.peticiones"], together.attributes["comanda.lote.peticiones"]) == (1, 2)
        by_id = {span.id: span for span in callers}
        assert alone.trace == by_id[alone.parent].trace
        assert together.trace == by_id[together.parent].trace
        assert alone.links == []
        [other] = [span for span in callers if span.id not in (alone.parent, together.parent)]
        assert together.links == [(other.trace, other.id)]
        assert (together.trace, together.id) in other.links


class TestStep:
    async def test_failed_says_of_which_kind_and_nothing_more(self) -> None:
        with recording("cosas") as exported:
            with suppress(ValueError), tracing.step("hacer", "cosa", [FIRST], fase="UNA"):
                raise ValueError("secret")
            [span] = exported()
        assert (span.name, span.failed, span.parent) == ("hacer UNA", True, "")
        assert span.attributes == {
            "comanda.fase": "UNA", "comanda.cosa.id": str(FIRST), "error.type": "ValueError",
        }  # fmt: skip
        assert span.links == [(FIRST.hex, FIRST.hex[16:])]

    async def test_of_many_links_to_each(self) -> None:
        with recording("cosas") as exported:
            with tracing.step("barrer", "cosa", [FIRST, SECOND]):
                pass
            [span] = exported()
        assert [trace for trace, _ in span.links] == [FIRST.hex, SECOND.hex]

    def test_off(self) -> None:
        with tracing.step("hacer", "cosa", [FIRST]):
            tracing.began("cosa", FIRST)
        assert tracing.active is None


class TestAttributes:
    def test_are_of_the_stable_conventions(self) -> None:
        modules = (error_attributes, http_attributes, network_attributes, server_attributes, url_attributes)
        stable = {value for module in modules for value in vars(module).values() if isinstance(value, str)}
        source = spans.__file__
        with open(source, encoding="utf-8") as file:  # noqa: PTH123
            text = file.read()
        ours = {
            "http.request.method", "http.response.status_code", "http.route", "url.path", "url.scheme", "url.full",
            "server.address", "server.port", "network.protocol.version", "error.type",
        }  # fmt: skip
        assert {name for name in ours if f'"{name}"' in text} == ours
        assert ours <= stable
