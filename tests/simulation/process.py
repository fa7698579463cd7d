"""Simulated operating-system processes: they can be killed, frozen and started again at any of their steps.

A step is a statement or commit on the database, a message, or the end of a sleep: the moments at which a process acts
on, or hears of, the world. Between two steps nobody can tell whether it still runs, so these are all the moments at
which a crash or a pause can make a difference.
"""

import asyncio
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context, ContextVar, copy_context
from random import Random
from typing import TYPE_CHECKING, Any

from sqlalchemy.util import await_only

from simulation.trace import Trace

if TYPE_CHECKING:
    from simulation.sqlite import SimulatedConnection

CURRENT: ContextVar["Process | None"] = ContextVar("process", default=None)

NEVER = 1 << 60

YIELD_SECONDS = (0.0, 0.0, 0.0, 0.0004, 0.0015, 0.006)
"""How long a process may be off the processor between two steps; others run meanwhile."""


class _Nothing:
    """Done already when awaited."""

    def __await__(self) -> Generator[None, None, None]:
        return iter(())  # type: ignore[return-value]


_NOTHING = _Nothing()


class Process:
    """One life of a process.

    Args:
        name: for the trace.
        yield_every: mean number of steps between two at which others get the processor.
        doomed_after: how many steps it has to live; None: until somebody kills it.
        on_doom: what kills it then.
    """

    def __init__(
        self,
        name: str,
        random: Random,
        trace: Trace,
        *,
        yield_every: float,
        doomed_after: int | None,
        on_doom: Callable[[str], None],
    ) -> None:
        self.name = name
        self.alive = True
        self.connections: dict[SimulatedConnection, None] = {}
        self.trace = trace
        self.broken_commits = 0.0
        """The probability that a commit ends with an error, done or not."""
        self._random = random
        self._tasks: dict[asyncio.Task[Any], None] = {}
        self._frozen: asyncio.Future[None] | None = None
        self._yield_every = yield_every
        self._steps = 0
        self._doomed_at = NEVER if doomed_after is None else doomed_after
        self._on_doom = on_doom
        self._next_stop = self._draw_next_stop()
        self._context: Context = copy_context()
        self._context.run(CURRENT.set, self)

    def spawn(self, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        return asyncio.get_running_loop().create_task(coroutine, context=self._context.copy())

    def adopt(self, task: asyncio.Task[Any]) -> None:
        """A task that belongs to this process, and ends with it."""
        self._tasks[task] = None
        task.add_done_callback(self._forget)

    @property
    def frozen(self) -> bool:
        return self._frozen is not None

    async def step(self, what: str, about: object = "") -> None:
        if not self._passes(what, about):
            await self._stop(what)

    def database_step(self, what: str) -> None:
        """The same, called from within SQLAlchemy's greenlet; which insists on awaiting something in each statement."""
        await_only(_NOTHING if self._passes(what) else self._stop(what))

    def unlucky(self, what: str) -> bool:
        """Whether a commit is to break now."""
        if not self.broken_commits or self._random.random() >= self.broken_commits:
            return False
        self.trace.add(self.name, "fault: broken commit", what)
        return True

    def freeze(self) -> None:
        if self._frozen is None:
            self._frozen = asyncio.get_running_loop().create_future()

    def resume(self) -> None:
        frozen, self._frozen = self._frozen, None
        if frozen is not None:
            frozen.set_result(None)

    def spare(self) -> None:
        """Nothing happens to it any more, until somebody kills it."""
        self._doomed_at = NEVER
        self.broken_commits = 0.0

    def kill(self) -> None:
        """From this instant on nothing that it does can have an effect."""
        self.alive = False
        for connection in list(self.connections):
            connection.lose()
        current = asyncio.current_task()
        for task in list(self._tasks):
            if task is not current:
                task.cancel()

    def _passes(self, what: str, about: object = "") -> bool:
        if not self.alive:
            raise asyncio.CancelledError
        if self.trace.keep:
            self.trace.step(self.name, f"{what} {about}")
        self._steps += 1
        return self._steps < self._next_stop and self._frozen is None

    async def _stop(self, what: str) -> None:
        if self._steps >= self._doomed_at:
            self._on_doom(what)
            raise asyncio.CancelledError
        if self._steps >= self._next_stop:
            self._next_stop = self._draw_next_stop()
            await asyncio.sleep(self._random.choice(YIELD_SECONDS))
        while self._frozen is not None:
            await asyncio.shield(self._frozen)
        if not self.alive:
            raise asyncio.CancelledError

    def _draw_next_stop(self) -> int:
        return min(self._steps + 1 + int(self._random.expovariate(1 / self._yield_every)), self._doomed_at)

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._tasks.pop(task, None)


def adopting(loop: asyncio.AbstractEventLoop, coroutine: Any, context: Context | None = None) -> asyncio.Task[Any]:
    """A task factory: a task belongs to the process in whose context it was made."""
    task = asyncio.Task(coroutine, loop=loop, context=context)
    process = CURRENT.get() if context is None else context.get(CURRENT)
    if process is not None:
        process.adopt(task)
    return task


async def here(what: str, about: object = "") -> None:
    """A step of whichever process runs this; clients are none."""
    process = CURRENT.get()
    if process is not None:
        await process.step(what, about)
