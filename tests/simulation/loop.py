"""An event loop in virtual time: nothing sleeps, nothing waits for a socket or a thread, and runs repeat exactly."""

import asyncio
from collections.abc import Coroutine
from typing import Any, NoReturn, TypeVar

Result = TypeVar("Result")


class Deadlock(Exception):
    """Every task waits and no timer is set: the program would hang for ever."""


class Livelock(Exception):
    """Something is always ready and time never moves: the program spins."""


MOST_TURNS = 100_000


class _Timers:
    """Takes the place of the selector. When nothing is ready the loop asks it to wait: it moves time instead."""

    def __init__(self, loop: "VirtualLoop") -> None:
        self._loop = loop
        self._turns = 0

    def select(self, timeout: float | None) -> tuple[()]:
        self._turns += 1
        if timeout is None:
            raise Deadlock
        if self._turns > MOST_TURNS:
            self._turns = 0
            raise Livelock
        if timeout > 0:
            self._turns = 0
            self._loop.skip_to_next_timer()
        return ()


class VirtualLoop(asyncio.BaseEventLoop):
    """asyncio's own loop, except that `time()` jumps from timer to timer."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0
        self._selector = _Timers(self)
        self._clock_resolution = 1e-9

    def time(self) -> float:
        return self._now

    def skip_to_next_timer(self) -> None:
        self._now = self._scheduled[0].when()

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> NoReturn:
        raise NotImplementedError("a thread would make the run irreproducible")

    def _process_events(self, event_list: Any) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        """No other thread wakes this loop."""


def run(main: Coroutine[Any, Any, Result], loop: VirtualLoop) -> Result:
    """Runs to the end, and unwinds every task that is left."""
    try:
        return loop.run_until_complete(main)
    finally:
        try:
            _unwind(loop)
        finally:
            loop.close()


def _unwind(loop: VirtualLoop) -> None:
    loop.run_until_complete(_turns(5))
    left = asyncio.all_tasks(loop)
    for task in sorted(left, key=lambda task: task.get_name()):
        task.cancel()
    if left:
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))


async def _turns(count: int) -> None:
    """Lets what is ready come to its end."""
    for _ in range(count):
        await asyncio.sleep(0)
