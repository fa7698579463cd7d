"""What is answered to requests for which there is no room, before anything is begun."""

import asyncio
import json
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from comanda.common.admission import ADMISSION, Admission, Clase
from comanda.common.protocol import JoiningProtocol

POST = b"POST /cosas HTTP/1.1\r\nHost: x\r\nX-Request-Id: mia\r\nContent-Length: 4\r\n"
SETTINGS: Any = SimpleNamespace(max_concurrency=8, max_ordinary=1, max_reads=1)


def classify(method: str, path: str, _query: bytes) -> Clase:
    if path == "/fin":
        return "critica"
    return "lectura" if method == "GET" else "ordinaria"


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("comanda.common.admission.REFUSAL_SECONDS", 0.01)


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, admission: Admission) -> None:
        self.reader = reader
        self.writer = writer
        self.admission = admission
        self.served: list[str] = []

    async def ask(self, *parts: bytes) -> tuple[int, dict[str, str], bytes]:
        for part in parts:
            self.writer.write(part)
            await asyncio.sleep(0)
        return await self.answer()

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        async with asyncio.timeout(5):
            lines = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            fields = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
            return int(lines[0].split()[1]), fields, await self.reader.readexactly(int(fields["content-length"]))


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    """Of a service whose one place for an ordinary request is taken."""
    admission = Admission("cosas", SETTINGS, classify)
    await admission.enter("ordinaria")
    clients: list[Client] = []

    async def echo(scope: Any, receive: Any, send: Any) -> None:
        clients[0].served.append(scope["path"])
        body = (await receive())["body"] or b"nada"
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
        await send({"type": "http.response.body", "body": body})

    config = uvicorn.Config(echo, log_config=None, timeout_keep_alive=1)
    config.load()
    loop = asyncio.get_running_loop()
    state = {ADMISSION: admission}
    server = await loop.create_server(lambda: JoiningProtocol(config, ServerState(), state, loop), "127.0.0.1", 0)
    async with server:
        clients.append(Client(*await asyncio.open_connection(*server.sockets[0].getsockname()), admission))
        yield clients[0]
        clients[0].writer.close()


class TestNoRoom:
    async def test_is_said_and_nobody_has_seen_it(self, client: Client) -> None:
        status, fields, body = await client.ask(POST + b"\r\nuno!")
        assert (status, json.loads(body)["type"].rpartition("/")[2]) == (503, "servicio-saturado")
        assert json.loads(body)["instance"] == "/cosas"
        assert (fields["retry-after"], fields["x-request-id"]) == ("1", "mia")
        assert fields["content-type"] == "application/problem+json"
        assert client.served == []

    async def test_the_connection_serves_the_next(self, client: Client) -> None:
        assert (await client.ask(POST + b"\r\n", b"un", b"o!"))[0] == 503
        client.admission.leave("ordinaria")
        assert await client.ask(POST + b"\r\ndos!") == (200, {"content-length": "4"}, b"dos!")

    async def test_one_behind_the_other(self, client: Client) -> None:
        """Answers come in the order of the requests, though a refusal is told late."""
        client.writer.write(POST + b"\r\nuno!" + b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n" + POST + b"\r\ntres")
        assert [(await client.answer())[0] for _ in range(3)] == [503, 200, 200]
        assert client.served == ["/livez", "/cosas"]  # behind one that is being served, the service itself looks

    async def test_is_ended_when_it_stays_idle(self, client: Client) -> None:
        assert (await client.ask(POST + b"\r\nuno!"))[0] == 503
        async with asyncio.timeout(5):
            assert await client.reader.read() == b""

    async def test_as_many_refusals_wait_as_may(self, client: Client) -> None:
        for _ in range(20):
            assert (await client.ask(POST + b"\r\nuno!"))[0] == 503
        assert all(client.admission.begin_wait() for _ in range(SETTINGS.max_concurrency // 4))
        assert not client.admission.begin_wait()


class TestOthers:
    @pytest.mark.parametrize(
        "request_line",
        [b"POST /fin", b"GET /cosas", b"GET /livez", b"GET /operacion", b"DELETE /cosas", b"POST /c%6fsas"],
    )
    async def test_are_let_through(self, client: Client, request_line: bytes) -> None:
        """What has room of its own; and what the service itself has to look at more closely."""
        assert (await client.ask(request_line + b" HTTP/1.1\r\nHost: x\r\n\r\n"))[0] == 200

    async def test_a_browser_is_told_by_the_service(self, client: Client) -> None:
        """Which says whether a page of another origin may read it."""
        assert (await client.ask(POST + b"Origin: https://tienda.example\r\n\r\nuno!"))[0] == 200

    async def test_who_asks_to_be_called_back(self, client: Client) -> None:
        """With `Expect: 100-continue` nothing of the body has been sent."""
        client.writer.write(POST + b"Expect: 100-continue\r\n\r\n")
        async with asyncio.timeout(5):
            assert (await client.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100")
        assert (await client.ask(b"uno!"))[0] == 200
