"""A neighbour on a real socket that counts what reaches it, and the client under test."""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from json import dumps
from typing import Any
from uuid import UUID, uuid4

from comanda.common.http import Neighbour
from comanda.common.resilience import Circuit

TIMEOUT_SECONDS = 5.0


SHORT_TIMEOUT_SECONDS = 0.03  # where the neighbour is silent and the test waits it out


class FakeClock:
    def __init__(self) -> None:
        self.seconds = 5000.0

    def now(self) -> datetime:
        return datetime(2025, 3, 1, 12, tzinfo=UTC) + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        await asyncio.sleep(0)

    def new_id(self) -> UUID:
        return uuid4()


@dataclass(frozen=True)
class Received:
    method: str
    target: str
    headers: dict[str, str]
    body: bytes


Wire = Callable[[asyncio.StreamWriter], Awaitable[None]]


class Server:
    """A socket that counts connections and requests and treats each request as `behaviour` says."""

    def __init__(self) -> None:
        self.connections = 0
        self.requests: list[Received] = []
        self.behaviour: Wire = answering(200, {"ok": True})
        self._tasks: set[asyncio.Task[None]] = set()
        self._arrival = asyncio.Event()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def received(self, count: int) -> None:
        """Waits until so many requests have arrived."""
        while len(self.requests) < count:
            self._arrival.clear()
            await self._arrival.wait()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks.add(asyncio.create_task(self._serve(reader, writer)))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while not writer.is_closing():
                self.requests.append(await receive(reader))
                self._arrival.set()
                await self.behaviour(writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


async def receive(reader: asyncio.StreamReader) -> Received:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    first, *lines = head.strip().split("\r\n")
    method, target, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return Received(method, target, headers, await reader.readexactly(int(headers.get("content-length", 0))))


def answering(status: int, body: Any = None, **headers: str) -> Wire:
    content = body if isinstance(body, bytes) else dumps(body).encode()
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(content)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write("\r\n".join([*lines, "", ""]).encode() + content)
        await writer.drain()

    return answer


def problem(status: int, slug: str, **headers: str) -> Wire:
    return answering(status, {"type": f"https://comanda.dev/problemas/{slug}", "status": status}, **headers)


async def silence(writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def half_a_body_then_silence(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345")
    await asyncio.Event().wait()


async def half_a_body_then_close(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345")
    writer.close()


async def close(writer: asyncio.StreamWriter) -> None:
    writer.close()


async def reset(writer: asyncio.StreamWriter) -> None:
    connection: socket.socket = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.close()


async def no_http(writer: asyncio.StreamWriter) -> None:
    writer.write(b"220 mail.example ESMTP\r\n\r\n")
    writer.close()


def client(url: str, circuit: Circuit, **changes: Any) -> Neighbour:
    options = {"timeout_seconds": TIMEOUT_SECONDS, "authorization": lambda: "token-1"} | changes
    return Neighbour("inventario", url, circuit=circuit, **options)
