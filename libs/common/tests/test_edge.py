"""The outermost layer, driven through ASGI messages where httpx would be too polite."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import httpx2
import pytest
from fastapi import APIRouter, FastAPI, Request
from starlette.responses import StreamingResponse
from uuid_utils import UUID

from comanda.common.app import Wiring, create_app
from comanda.common.security import allow
from comanda.common.tokens import Principal
from comanda.testing import Issuer, fields, problem

Start = Callable[..., Awaitable[httpx2.AsyncClient]]
Wire = Callable[..., Awaitable[Wiring]]
Serve = Callable[[FastAPI], Awaitable[httpx2.AsyncClient]]
LIMIT = 1024


@pytest.fixture(autouse=True)
def _routes(routes: APIRouter) -> None:
    @routes.get("/hola/{nombre}")
    async def hola(nombre: int) -> int:
        return nombre

    @routes.get("/cerrado")
    async def cerrado(_: Annotated[Principal, allow("nadie:lo-tiene")]) -> None: ...

    @routes.post("/eco")
    async def eco(request: Request) -> int:
        return len(await request.body())

    @routes.get("/roto")
    async def roto() -> None:
        raise RuntimeError("SELECT secreto FROM tabla")

    @routes.get("/a-medias")
    async def a_medias() -> StreamingResponse:
        async def parts() -> Any:
            yield b"x"
            raise RuntimeError("too late")

        return StreamingResponse(parts())


class Exchange:
    """One request by hand: what the client sends, and what it got so far."""

    def __init__(self, app: FastAPI, method: str, path: str, **headers: str) -> None:
        self._incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.sent: list[Any] = []
        headers.setdefault("host", "localhost")
        names = [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()]
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": names,
        }
        self.task = asyncio.create_task(app(scope, self._incoming.get, self._send))

    async def _send(self, message: Any) -> None:
        self.sent.append(message)

    async def send(self, body: bytes, *, more: bool = True) -> None:
        await self._incoming.put({"type": "http.request", "body": body, "more_body": more})

    async def leave(self) -> None:
        await self._incoming.put({"type": "http.disconnect"})

    async def status(self) -> int | None:
        await asyncio.wait_for(self.task, 5)
        return self.sent[0]["status"] if self.sent else None


async def ready(wire: Wire, serve: Serve, **changes: Any) -> FastAPI:
    app = create_app(await wire(**changes))
    await serve(app)
    await app.state.ready.wait()
    return app


class TestRequestId:
    @pytest.mark.parametrize("sent", ["a", "A-b_c.9", "x" * 128])
    async def test_echoed(self, start: Start, sent: str) -> None:
        response = await (await start()).get("/livez", headers={"X-Request-Id": sent})
        assert response.headers["X-Request-Id"] == sent

    @pytest.mark.parametrize("sent", ["", "x" * 129, "a b", "a/b", "ñ", "a;b"])
    async def test_replaced(self, start: Start, sent: str) -> None:
        response = await (await start()).get("/livez", headers={"X-Request-Id": sent.encode()})
        assert UUID(response.headers["X-Request-Id"]).version == 7

    async def test_new_and_on_every_answer(self, start: Start, logs: list[Any]) -> None:
        client = await start()
        ids = [(await client.get(path)).headers["X-Request-Id"] for path in ("/livez", "/nada", "/roto", "/hola/x")]
        assert len(set(ids)) == 4

    async def test_in_the_log(self, start: Start, logs: list[Any]) -> None:
        await (await start()).get("/roto", headers={"X-Request-Id": "mio"})
        entries = {entry["event"]: entry for entry in logs}
        assert entries["request"]["request_id"] == entries["request_failed"]["request_id"] == "mio"


class TestHead:
    async def test_the_same_without_content(self, start: Start) -> None:
        client = await start()
        got, head = await client.get("/hola?nombre=1"), await client.head("/hola?nombre=1")
        assert (head.status_code, head.content) == (got.status_code, b"")
        assert head.headers["content-length"] == got.headers["content-length"]

    async def test_what_cannot_be_read(self, start: Start) -> None:
        assert (await (await start()).head("/eco")).status_code == 405


class TestAccessLog:
    async def test_what_was_asked_and_answered(self, start: Start, logs: list[Any]) -> None:
        await (await start()).get("/hola/5")
        entry = logs[-1]
        assert {name: entry[name] for name in ("event", "method", "path", "status")} == {
            "event": "request",
            "method": "GET",
            "path": "/hola/5",
            "status": 200,
        }

    async def test_no_line_of_the_clients_own(self, start: Start, logs: list[Any]) -> None:
        assert fields(await (await start()).get("/hola/%0a%0d%E2%80%A8admin")) == {"nombre"}
        assert logs[-1]["path"] == "/hola/%0a%0d%E2%80%A8admin"

    @pytest.mark.parametrize("path", ["/hola/5", "/nada", "/roto"])
    async def test_no_query_nor_headers_which_may_hold_secrets(self, start: Start, logs: list[Any], path: str) -> None:
        await (await start()).get(f"{path}?token=muy-secreto", headers={"Authorization": "Bearer muy-secreto"})
        assert logs[-1]["path"] == path
        assert "muy-secreto" not in str(logs)

    async def test_who_was_refused_and_from_where(self, start: Start, logs: list[Any], issuer: Issuer) -> None:
        client = await start()
        for headers, status, who in [({}, 401, ""), (issuer.headers(sub="ana"), 403, "ana")]:
            assert (await client.get("/cerrado", headers=headers)).status_code == status
            entry = logs[-1]
            assert (entry["path"], entry["status"], entry["autor"]) == ("/cerrado", status, who)
            assert entry["origen"] == "127.0.0.1"
        await client.get("/hola/5", headers=issuer.headers(sub="ana"))
        assert logs[-1].keys().isdisjoint({"autor", "origen"})

    async def test_health_checks_are_not_logged(self, start: Start, logs: list[Any]) -> None:
        client = await start()
        for path in ("/livez", "/readyz", "/metrics"):
            await client.get(path)
        assert not [entry for entry in logs if entry["event"] == "request"]


class TestMetrics:
    async def test_by_route_not_by_path(self, start: Start) -> None:
        client = await start(name="medido")
        for path in ("/hola/1", "/hola/2", "/nada/1", "/nada/2"):
            await client.get(path)
        lines = (await client.get("/metrics")).text.splitlines()
        counts = [line for line in lines if line.startswith("comanda_http_request_seconds_count") and "medido" in line]
        assert sorted(line.split("{", 1)[1] for line in counts) == [
            'estado="200",metodo="GET",ruta="/hola/{nombre}",servicio="medido"} 2.0',
            'estado="404",metodo="GET",ruta="-",servicio="medido"} 2.0',
        ]


class TestBody:
    async def test_up_to_the_limit(self, start: Start) -> None:
        client = await start(max_body_bytes=LIMIT)
        assert (await client.post("/eco", content=b"x" * LIMIT)).json() == LIMIT

    async def test_too_large_by_its_length(self, wire: Wire, serve: Serve) -> None:
        app = await ready(wire, serve, max_body_bytes=LIMIT)
        exchange = Exchange(app, "POST", "/eco", content_length=str(LIMIT + 1))
        assert await exchange.status() == 413  # before any of it was read

    async def test_too_large_in_pieces(self, wire: Wire, serve: Serve) -> None:
        app = await ready(wire, serve, max_body_bytes=LIMIT)
        exchange = Exchange(app, "POST", "/eco", transfer_encoding="chunked")
        for _ in range(3):
            await exchange.send(b"x" * 400)
        assert await exchange.status() == 413

    async def test_larger_than_it_says(self, wire: Wire, serve: Serve) -> None:
        app = await ready(wire, serve, max_body_bytes=LIMIT)
        exchange = Exchange(app, "POST", "/eco", content_length="1")
        await exchange.send(b"x" * (LIMIT + 1))
        assert await exchange.status() == 413

    async def test_in_pieces(self, wire: Wire, serve: Serve) -> None:
        app = await ready(wire, serve, max_body_bytes=LIMIT)
        exchange = Exchange(app, "POST", "/eco", transfer_encoding="chunked")
        await exchange.send(b"ab")
        await exchange.send(b"cd", more=False)
        assert await exchange.status() == 200
        assert exchange.sent[1]["body"] == b"4"

    async def test_too_slow(self, wire: Wire, serve: Serve) -> None:
        app = await ready(wire, serve, body_timeout_seconds=0.02)
        exchange = Exchange(app, "POST", "/eco", content_length="4")
        await exchange.send(b"ab")
        assert await exchange.status() == 408

    async def test_client_gone_half_way(self, wire: Wire, serve: Serve, logs: list[Any]) -> None:
        app = await ready(wire, serve)
        exchange = Exchange(app, "POST", "/eco", content_length="4")
        await exchange.send(b"ab")
        await exchange.leave()
        assert await exchange.status() is None
        assert (logs[-1]["event"], logs[-1]["status"]) == ("request", 499)


class TestConcurrency:
    async def test_too_many_at_once(self, wire: Wire, serve: Serve) -> None:
        app = create_app(await wire(max_concurrency=2))
        client = await serve(app)
        await app.state.ready.wait()
        held = [Exchange(app, "POST", "/eco", content_length="1") for _ in range(2)]
        await asyncio.sleep(0)
        refused = await client.get("/hola/1")
        assert (refused.status_code, problem(refused)) == (503, "servicio-saturado")
        assert refused.headers["Retry-After"] == "1"
        for path in ("/livez", "/readyz", "/metrics"):
            assert (await client.get(path)).status_code == 200
        for exchange in held:
            await exchange.send(b"x", more=False)
            assert await exchange.status() == 200
        assert (await client.get("/hola/1")).status_code == 200


class TestNotReady:
    async def test_only_operations_answer(self, wire: Wire, serve: Serve) -> None:
        client = await serve(create_app(await wire(migrate_on_start=False)))
        for path in ("/hola/1", "/nada", "/readyz", "/docs"):
            response = await client.get(path)
            assert (response.status_code, problem(response)) == (503, "servicio-no-disponible")
            assert response.headers["Retry-After"]
            assert response.json()["servicio"] == "base-de-datos"
        for path in ("/livez", "/metrics"):
            assert (await client.get(path)).status_code == 200


class TestUnhandled:
    async def test_answer_without_the_message(self, start: Start, logs: list[Any]) -> None:
        response = await (await start()).get("/roto")
        assert (response.status_code, problem(response)) == (500, "error-interno")
        assert "secreto" not in response.text
        assert any(entry["event"] == "request_failed" for entry in logs)

    async def test_after_the_answer_began(self, wire: Wire, serve: Serve, logs: list[Any]) -> None:
        app = await ready(wire, serve)
        exchange = Exchange(app, "GET", "/a-medias")
        with pytest.raises(RuntimeError, match="too late"):
            await exchange.status()
        assert [message["type"] for message in exchange.sent] == ["http.response.start", "http.response.body"]
        assert any(entry["event"] == "request_failed" for entry in logs)
