"""Answers that go on for as long as the client listens: server-sent events (WHATWG HTML, §9.2).

Such an answer is no work in hand: it counts to no bound on requests, its time is that until it began, and the server
does not wait for it to end when it stops itself.
"""

import asyncio
from collections.abc import AsyncIterator, Callable

from fastapi.sse import EventSourceResponse
from starlette.types import Receive, Scope, Send

STOP = "comanda.stop"
"""In the scope of a request that is answered with a stream: what has it end soon, by itself."""

STOPPING = "comanda.stopping"
"""In the scope of a request that was there when the server began to stop."""

HEAD = "comanda.head"
"""In the scope of a request that wants no content."""


class EventStream(EventSourceResponse):
    """A stream of events.

    Args:
        blocks: events in their wire format, whole ones.
        stop: has `blocks` end soon; called when the client is gone, or the server stops.
        on_close: called once it has ended, however that came.
    """

    def __init__(self, blocks: AsyncIterator[bytes], *, stop: Callable[[], None], on_close: Callable[[], None]) -> None:
        # A proxy must not gather what is meant to arrive now.
        super().__init__(blocks, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        self._stop = stop
        self._on_close = on_close

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if HEAD in scope or STOPPING in scope:
            self._stop()
        scope[STOP] = self._stop
        # Unlike Starlette's own, this lets the blocks come to their end instead of cancelling whatever they wait for.
        gone = asyncio.create_task(self._stop_when_gone(receive))
        try:
            await self.stream_response(send)
        finally:
            gone.cancel()
            self._on_close()

    async def _stop_when_gone(self, receive: Receive) -> None:
        await self.listen_for_disconnect(receive)
        self._stop()
