"""The spans of requests that are served and sent, and of a collector that is not there."""

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable

import httpx2
import pytest
from fastapi import APIRouter
from neighbour_server import SHORT_TIMEOUT_SECONDS, FakeClock, Server, answering, client, silence

from comanda.common import spans, tracing
from comanda.common.problems import RespuestaInvalida, ServicioNoDisponible
from comanda.common.resilience import Circuit
from comanda.testing.collector import recording

Start = Callable[..., Awaitable[httpx2.AsyncClient]]
TRACE, ABOVE = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


class TestServed:
    @pytest.mark.usefixtures("logs")  # or the traceback is drawn on the console, for seconds
    async def test_by_the_template_of_its_route(self, start: Start, routes: APIRouter) -> None:
        @routes.get("/cosas/{cosa_id}")
        async def cosa(cosa_id: str) -> str:
            return cosa_id

        @routes.get("/rota")
        async def rota() -> None:
            raise ValueError("secret")

        with recording("cosas") as exported:
            service = await start()
            await service.get("/cosas/7", headers={"traceparent": f"00-{TRACE}-{ABOVE}-01"})
            for path in ("/rota", "/nada?clave=secret", "/livez", "/readyz", "/metrics"):
                await service.get(path, headers={"traceparent": "00-nothing"})
            found = {span.attributes["url.path"]: span for span in exported() if span.kind == "SERVER"}
        assert found.keys() == {"/cosas/7", "/rota", "/nada"}
        cosa_span, broken, missing = found["/cosas/7"], found["/rota"], found["/nada"]
        assert (cosa_span.name, cosa_span.trace, cosa_span.parent) == ("GET /cosas/{cosa_id}", TRACE, ABOVE)
        assert (missing.name, missing.parent, missing.failed) == ("GET", "", False)
        assert missing.attributes["http.response.status_code"] == 404
        assert "http.route" not in missing.attributes
        assert (broken.failed, broken.attributes["error.type"]) == (True, "500")
        assert "secret" not in repr(found)


class TestSent:
    @pytest.fixture
    def clock(self) -> FakeClock:
        return FakeClock()

    async def test_each_try_is_a_span_that_the_neighbour_is_told_of(self, server: Server, circuit: Circuit) -> None:
        with recording("cosas") as exported:
            neighbour = client(server.url, circuit)
            server.behaviour = answering(500, {})
            with tracing.step("hacer", "cosa", []), pytest.raises(RespuestaInvalida):
                await neighbour.request("PUT", "/cosas/7")
            await neighbour.aclose()
            found = {span.name: span for span in exported()}
        sent, above = found["PUT"], found["hacer"]
        assert (sent.kind, sent.trace, sent.parent) == ("CLIENT", above.trace, above.id)
        version, trace, parent, flags = server.requests[0].headers["traceparent"].split("-")
        assert (version, trace, parent, int(flags, 16) & 1) == ("00", sent.trace, sent.id, 1)
        assert sent.attributes["url.full"] == f"{server.url}/cosas/7"
        assert (sent.failed, sent.attributes["error.type"]) == (True, "500")

    async def test_one_without_an_answer_has_failed(self, server: Server, circuit: Circuit) -> None:
        with recording("cosas") as exported:
            neighbour = client(server.url, circuit, timeout_seconds=SHORT_TIMEOUT_SECONDS)
            server.behaviour = silence
            with pytest.raises(ServicioNoDisponible):
                await neighbour.request("GET", "/")
            await neighbour.aclose()
            tries = exported()
        assert len(tries) == len(server.requests) > 1
        assert all(span.failed and "http.response.status_code" not in span.attributes for span in tries)

    async def test_off_tells_the_neighbour_nothing(self, server: Server, circuit: Circuit) -> None:
        neighbour = client(server.url, circuit)
        await neighbour.request("GET", "/")
        await neighbour.aclose()
        assert server.requests[0].headers.keys().isdisjoint({"traceparent", "tracestate"})


class TestClose:
    async def test_does_not_wait_for_a_collector_that_hangs(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(spans, "CLOSE_SECONDS", 0.2)
        with socket.create_server(("127.0.0.1", 0)) as hanging:  # it takes connections, and answers nothing
            monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{hanging.getsockname()[1]}")
            monkeypatch.setattr(tracing, "active", None)
            tracing.start("cosas")
            with tracing.step("hacer", "cosa", []):
                pass
            began = time.monotonic()
            await asyncio.wait_for(tracing.aclose(), 60)
            assert time.monotonic() - began < 5  # the exporter would wait for 10
