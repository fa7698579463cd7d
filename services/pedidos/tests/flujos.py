"""Streams of events as a client reads them, with the application called in this process."""

import asyncio
import json
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from fastapi import FastAPI


@dataclass
class Recibido:
    """One block of a stream."""

    id: str | None = None
    event: str | None = None
    data: Any = None
    comment: str | None = None
    retry: str | None = None


@dataclass
class Flujo:
    """A request for events, answered until it is left.

    `status` and `headers` are there once it is entered; what a slow reader does not read holds up the service.
    """

    app: FastAPI
    headers_sent: dict[str, str]
    lento: bool = False
    """Whether the service has to wait for every read."""
    path: str = "/pedidos/eventos"
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    recibidos: list[Recibido] = field(default_factory=list)

    async def __aenter__(self) -> Self:
        self._sent: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue(1 if self.lento else 0)
        self._gone = asyncio.Event()
        self._buffer = b""
        self.cuerpo = b""
        self.terminado = False
        headers = {"host": "localhost"} | {name.lower(): value for name, value in self.headers_sent.items()}
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "GET",
            "path": self.path,
            "raw_path": self.path.encode(),
            "query_string": b"",
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
            "client": ("127.0.0.1", 1),
            "server": ("localhost", 80),
            "scheme": "http",
            "root_path": "",
        }
        self.scope: dict[str, Any] = scope
        self._task = asyncio.create_task(self._serve(scope))
        start = await asyncio.wait_for(self._sent.get(), 20)
        assert start is not None
        self.status = start["status"]
        self.headers = {name.decode(): value.decode() for name, value in start["headers"]}
        return self

    async def __aexit__(
        self, _type: type[BaseException] | None, _value: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        self.irse()
        while not self._task.done():
            while not self._sent.empty():
                self._sent.get_nowait()
            await asyncio.sleep(0)
        await self._task

    def irse(self) -> None:
        """The client closes its connection."""
        self._gone.set()

    async def recibir(self) -> Recibido | None:
        """The next block; None: the stream has ended."""
        while b"\n\n" not in self._buffer:
            message = await asyncio.wait_for(self._sent.get(), 20)
            if message is None:
                return None
            self._buffer += message.get("body", b"")
            self.cuerpo += message.get("body", b"")
            if not message.get("more_body"):
                self.terminado = True
                if b"\n\n" not in self._buffer:
                    return None
        block, self._buffer = self._buffer.split(b"\n\n", 1)
        recibido = _parsed(block.decode())
        self.recibidos.append(recibido)
        return recibido

    async def pedidos(self, cuantos: int) -> list[Recibido]:
        """So many events about orders; what else comes meanwhile is left out."""
        found: list[Recibido] = []
        while len(found) < cuantos:
            recibido = await self.recibir()
            assert recibido is not None, "the stream has ended"
            if recibido.event == "pedido":
                found.append(recibido)
        return found

    def nada_mas(self) -> bool:
        """Whether nothing is there to be read."""
        return self._sent.empty() and b"\n\n" not in self._buffer

    async def _serve(self, scope: dict[str, Any]) -> None:
        asked = False

        async def receive() -> dict[str, Any]:
            nonlocal asked
            if not asked:
                asked = True
                return {"type": "http.request", "body": b"", "more_body": False}
            await self._gone.wait()
            return {"type": "http.disconnect"}

        try:
            await self.app(scope, receive, self._sent.put)  # type: ignore[arg-type]
        finally:
            await self._sent.put(None)


def _parsed(block: str) -> Recibido:
    recibido = Recibido()
    for line in block.split("\n"):
        name, _, value = line.partition(": ")
        if name == "data":
            recibido.data = json.loads(value)
        elif name == "":
            recibido.comment = value
        else:
            setattr(recibido, name, value)
    return recibido


def ids(recibidos: list[Recibido]) -> list[int]:
    return [int(recibido.id or -1) for recibido in recibidos]
