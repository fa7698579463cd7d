"""Live events: each transition of an order is told to whoever listens, once and in one order (ADR 0028).

    transition ──commit──▶ numbered ──▶ tail of each process ──▶ streams
                                                     history ──▶ a stream that is behind

A transition gets its number after its commit, so nothing can appear below a number that was seen. One tail for each
process reads what is new and gives it to its streams. A stream has all up to its position from the history and all
after it from the tail; one that cannot keep up gives up what waits for it and is behind again.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable

import structlog

from comanda.common.clock import Clock
from comanda.common.database import Database, DatabaseUnavailable
from comanda.common.problems import ServicioSaturado
from comanda.common.revocation import Revocations
from comanda.common.tokens import Principal
from comanda.pedidos.domain_eventos import DemasiadosFlujos, Evento
from comanda.pedidos.repository_eventos import BATCH, EventosRepository

QUEUE = 100
"""Events that wait for one stream."""

PAGE = 100
"""Events read from the history at once for a stream that is behind."""

TAIL_PAGE = 500
BEAT_SECONDS = 1
"""How often the streams are looked at for what is due by time."""

IDLE_SECONDS = 1
"""Pause of the tail while nobody listens; transitions are numbered all the same."""

log = structlog.get_logger()


Encode = Callable[[Evento], bytes]


class Stream:
    """What one listener gets.

    Args:
        caller: whose limit it counts to.
        cliente_id: whose orders it tells of; None: everybody's.
        position: the number of the last event that the listener has.
        behind: whether there may be later ones that the tail has passed.
    """

    __slots__ = ("beat", "behind", "caller", "cliente_id", "end", "expires_at", "position", "queue", "sent_at", "woken")

    def __init__(self, caller: Principal, cliente_id: str | None, position: int, *, behind: bool, now: float) -> None:
        self.caller = caller
        self.cliente_id = cliente_id
        self.expires_at = caller.expires_at
        self.position = position
        self.behind = behind
        self.queue: deque[tuple[int, bytes]] = deque()
        self.sent_at = now
        self.beat = False
        self.end: bytes | None = None
        """The last that it sends; None: it goes on."""
        self.woken = asyncio.Event()

    def offer(self, number: int, block: bytes) -> None:
        if self.behind:
            return  # it is in the history
        if len(self.queue) >= QUEUE:
            self.queue.clear()
            self.behind = True
        else:
            self.queue.append((number, block))
        self.woken.set()

    def stop(self, last: bytes = b"") -> None:
        """Ends it soon, by itself."""
        if self.end is None:
            self.end = last
        self.woken.set()


class Eventos:
    """The tail of this process and its streams.

    Args:
        encode: an event as it is sent.
        revocations: tells whose streams may not go on, though their tokens have time left; None: nobody's.
        heartbeat, expired, ended: what is sent to a stream that was quiet for long, to one whose token has expired, and
            to one whose session has ended.
        max_streams: open at once in this process.
        max_streams_per_caller: open at once of one user in this process.
    """

    def __init__(
        self,
        database: Database,
        repository: EventosRepository,
        clock: Clock,
        encode: Encode,
        *,
        revocations: Revocations | None,
        heartbeat: bytes,
        expired: bytes,
        ended: bytes,
        max_streams: int,
        max_streams_per_caller: int,
        heartbeat_seconds: float,
        poll_seconds: float,
    ) -> None:
        self._database = database
        self._repository = repository
        self._clock = clock
        self._encode = encode
        self._revocations = revocations
        self._heartbeat = heartbeat
        self._expired = expired
        self._ended = ended
        self._max_streams = max_streams
        self._max_streams_per_caller = max_streams_per_caller
        self._heartbeat_seconds = heartbeat_seconds
        self._poll_seconds = poll_seconds
        self._position = -1
        """The tail's: streams have been offered all events up to that number; -1: it has not started."""
        self._reading = asyncio.Lock()
        self._open: dict[str | None, set[Stream]] = {}
        self._count = 0

    @property
    def streams(self) -> list[Stream]:
        return [stream for streams in self._open.values() for stream in streams]

    async def open(self, caller: Principal, cliente_id: str | None, last: int | None) -> Stream:
        """A stream from the event of number `last` on (None: from now on); `close` it.

        Raises:
            DemasiadosFlujos, ServicioSaturado, DatabaseUnavailable.
        """
        if self._position < 0:
            await self.tick()
        if last is not None and last > self._position:  # this tail is slower, or the number is of another database
            async with self._database.read() as connection:
                _, ultimo = await self._repository.estado(connection)
            last = min(last, max(ultimo, self._position))
        # Nothing waits from here on, so the tail cannot move between the look at it and the first offer.
        if self._count >= self._max_streams:
            raise ServicioSaturado(5)
        if self._streams_of(caller, cliente_id) >= self._max_streams_per_caller:
            raise DemasiadosFlujos(headers={"Retry-After": "5"})
        position = self._position if last is None else last
        now = self._clock.monotonic()
        stream = Stream(caller, cliente_id, position, behind=position < self._position, now=now)
        self._open.setdefault(cliente_id, set()).add(stream)
        self._count += 1
        return stream

    def close(self, stream: Stream) -> None:
        streams = self._open.get(stream.cliente_id, set())
        if stream in streams:
            streams.remove(stream)
            self._count -= 1
            if not streams:
                del self._open[stream.cliente_id]

    async def blocks(self, stream: Stream) -> AsyncIterator[bytes]:
        """What is sent to a stream, until it ends; without a database it ends, and who comes again misses nothing."""
        try:
            while stream.end is None:
                if stream.behind:
                    async for block in self._from_history(stream):
                        yield self._sending(stream, block)
                elif stream.queue:
                    block = b"".join(block for number, block in stream.queue if number > stream.position)
                    stream.position = max(stream.position, stream.queue[-1][0])
                    stream.queue.clear()
                    if block:
                        yield self._sending(stream, block)
                elif stream.beat:
                    yield self._sending(stream, self._heartbeat)
                else:
                    stream.woken.clear()
                    await stream.woken.wait()
        except DatabaseUnavailable as fault:
            log.warning("stream_without_database", reason=str(fault))
            return
        if stream.end:
            yield stream.end

    async def follow(self) -> None:
        """Keeps the tail going, for ever."""
        while True:
            await self.tick()
            await self._clock.sleep(self._poll_seconds if self._count else max(self._poll_seconds, IDLE_SECONDS))

    async def tick(self) -> None:
        """Numbers the transitions that are new, and offers the new events to the streams."""
        async with self._reading:
            async with self._database.read() as connection:
                unnumbered, last = await self._repository.estado(connection)
            if last < self._position:
                self._begin_again(last)
            while unnumbered:
                async with self._database.transaction() as connection:
                    unnumbered = await self._repository.numerar(connection) == BATCH
            if self._position < 0 or not self._count:
                self._position = max(self._position, last)
                return
            while await self._offer_page():
                pass

    async def keep_time(self) -> None:
        """Looks at the clock for the streams, for ever."""
        while True:
            self.look_at_the_clock()
            await self.look_at_the_sessions()
            await self._clock.sleep(BEAT_SECONDS)

    def look_at_the_clock(self) -> None:
        """Ends the streams whose tokens have expired, and has those that were quiet for long say something."""
        now, quiet_since = self._clock.now().timestamp(), self._clock.monotonic() - self._heartbeat_seconds
        for stream in self.streams:
            if now >= stream.expires_at:
                stream.stop(self._expired)
            elif stream.sent_at <= quiet_since and not stream.beat:
                stream.beat = True
                stream.woken.set()

    async def look_at_the_sessions(self) -> None:
        """Ends the streams whose sessions have ended."""
        if self._revocations is None:
            return
        for stream in self.streams:
            if await self._revocations.ended(stream.caller):
                stream.stop(self._ended)

    def _streams_of(self, caller: Principal, cliente_id: str | None) -> int:
        same = caller.issuer, caller.subject
        streams = self._open.get(cliente_id, ())
        return sum((stream.caller.issuer, stream.caller.subject) == same for stream in streams)

    def _begin_again(self, last: int) -> None:
        """The database is that of an earlier time: a restore, or a standby that had not got everything.

        Numbers are given a second time, to other events, which nobody who is beyond them would be told.
        """
        log.warning("events_begin_again", position=self._position, last=last)
        self._position = last
        for stream in self.streams:
            stream.stop()

    async def _offer_page(self) -> bool:
        """Whether there may be more."""
        async with self._database.read() as connection:
            found = await self._repository.leer(
                connection, desde=self._position, hasta=2**63 - 1, cliente_id=None, limite=TAIL_PAGE
            )
        for evento in found:
            listening = [*self._open.get(evento.cliente_id, ()), *self._open.get(None, ())]
            if listening:
                block = self._encode(evento)
                for stream in listening:
                    stream.offer(evento.numero, block)
            self._position = evento.numero
        return len(found) == TAIL_PAGE

    async def _from_history(self, stream: Stream) -> AsyncIterator[bytes]:
        """What the tail has passed already; from then on it makes offers again."""
        stream.behind = False
        until = self._position
        while stream.end is None and stream.position < until:
            async with self._database.read() as connection:
                found = await self._repository.leer(
                    connection, desde=stream.position, hasta=until, cliente_id=stream.cliente_id, limite=PAGE
                )
            stream.position = found[-1].numero if len(found) == PAGE else until
            if found:
                yield b"".join(map(self._encode, found))

    def _sending(self, stream: Stream, block: bytes) -> bytes:
        stream.beat = False
        stream.sent_at = self._clock.monotonic()
        return block
