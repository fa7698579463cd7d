"""One address for several replicas: passes TCP connections on, in turn, to whoever accepts them.

A test can hold what clients send back, and let it through later: a request that is under way for as long as it likes.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress

CHUNK_BYTES = 65_536

Matches = Callable[[bytes], bool]


class Forwarder:
    """Listens on a free loopback port.

    Args:
        ports: those of the replicas, asked in turn; one that refuses the connection is passed over.
    """

    def __init__(self, ports: Sequence[int]) -> None:
        self._ports = list(ports)
        self._turn = 0
        self._preferred: int | None = None
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._held: list[tuple[bytes, asyncio.Event]] = []
        self._holding = False
        self._arrived = asyncio.Condition()

    @property
    def port(self) -> int:
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> "Forwarder":
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await self._server.wait_closed()

    def prefer(self, port: int) -> None:
        """From now on that replica, if it is one of these, is asked first, also by who was connected to another."""
        if port in self._ports:
            self._preferred = port
            for task in self._connections:
                task.cancel()

    def hold(self) -> None:
        """From now on nothing that clients send reaches a replica."""
        self._holding = True

    async def held(self, count: int) -> None:
        """Waits until that many requests are held."""
        async with self._arrived:
            await self._arrived.wait_for(lambda: len(self._held) >= count)

    def release(self, which: Matches = lambda _: True) -> None:
        """Lets what is held, and begins with such bytes, through; what comes from now on passes at once."""
        self._holding = False
        for item in [item for item in self._held if which(item[0])]:
            self._held.remove(item)
            item[1].set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            await self._pass_on(reader, writer)
        except asyncio.CancelledError:
            pass  # the test is over, or prefers another
        finally:
            self._connections.discard(task)
            await _close(writer)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        replica = await self._connect()
        if replica is None:
            return
        there, back = self._pump(reader, replica[1], gated=True), self._pump(replica[0], writer, gated=False)
        pumps = [asyncio.ensure_future(there), asyncio.ensure_future(back)]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            replica[1].close()
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            await _close(replica[1])

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        self._turn = (self._turn + 1) % len(self._ports)
        in_turn = self._ports[self._turn :] + self._ports[: self._turn]
        for port in sorted(in_turn, key=lambda port: port != self._preferred):
            with suppress(OSError):
                return await asyncio.open_connection("127.0.0.1", port)
        return None

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, gated: bool) -> None:
        with suppress(OSError):
            while chunk := await source.read(CHUNK_BYTES):
                if gated and self._holding:
                    await self._gate(chunk)
                sink.write(chunk)
                await sink.drain()

    async def _gate(self, chunk: bytes) -> None:
        gate = asyncio.Event()
        async with self._arrived:
            self._held.append((chunk, gate))
            self._arrived.notify_all()
        await gate.wait()


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError, asyncio.CancelledError):
        await writer.wait_closed()
