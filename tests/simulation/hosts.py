"""Machines that each run one replica of a service, and start it again when it has died."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from json import dumps
from random import Random

from comanda.common.app import RETRY_SECONDS
from comanda.common.database import DatabaseUnavailable
from comanda.common.operations import DATABASE
from comanda.common.problems import ErrorInterno, Problem, ServicioNoDisponible
from simulation.clock import SimulatedClock
from simulation.network import Message, Reply
from simulation.process import Process
from simulation.trace import Trace

Door = Callable[[Message], Awaitable[Reply]]


@dataclass(frozen=True, slots=True)
class Program:
    """What a process runs: what answers requests, and what goes on by itself."""

    door: Door
    loops: Sequence[Callable[[], Awaitable[None]]]


@dataclass(slots=True)
class Temper:
    """How a host behaves while faults are on."""

    yield_every: float = 12
    mean_steps_to_live: float = 0
    """0: it does not die by itself."""
    broken_commits: float = 0.0


class Host:
    """Args: load: makes the program of a new process. bug: told of what no service should ever raise."""

    def __init__(
        self,
        name: str,
        clock: SimulatedClock,
        random: Random,
        trace: Trace,
        *,
        load: Callable[["Host", Process], Program],
        bug: Callable[[str], None],
    ) -> None:
        self.name = name
        self.clock = clock
        self.process: Process | None = None
        self.temper = Temper()
        self._random = random
        self._trace = trace
        self._load = load
        self._bug = bug
        self._program: Program | None = None
        self._retired = False

    def start(self) -> None:
        if self.process is not None or self._retired:
            return
        self._trace.add(self.name, "starts")
        lives = self.temper.mean_steps_to_live
        self.process = Process(
            self.name,
            self._random,
            self._trace,
            yield_every=self.temper.yield_every,
            doomed_after=20 + int(self._random.expovariate(1 / lives)) if lives else None,
            on_doom=self.crash,
        )
        self.process.broken_commits = self.temper.broken_commits
        self._program = self._load(self, self.process)
        for loop in self._program.loops:
            self.process.spawn(self._keep_going(loop))

    def crash(self, at: str) -> None:
        """Kills the process; somebody starts it again after a while."""
        if self.process is None:
            return
        self._trace.add(self.name, "fault: crash", " ".join(at.split())[:200])
        self._stop()
        asyncio.get_running_loop().call_later(self._random.choice((0.05, 0.5, 2, 6)), self.start)

    def freeze(self, seconds: float) -> None:
        """Stops the process as SIGSTOP does; what it was about to do it does later, knowing nothing of the pause."""
        process = self.process
        if process is not None and not process.frozen:
            self._trace.add(self.name, "fault: pause", f"{seconds:.1f} s")
            process.freeze()
            asyncio.get_running_loop().call_later(seconds, process.resume)

    def recover(self) -> None:
        """The end of faults."""
        self.temper = Temper(self.temper.yield_every)
        if self.process is not None:
            self.process.spare()
            self.process.resume()
        self.start()

    def retire(self) -> None:
        """The end of the run."""
        self._retired = True
        self._stop()

    async def serve(self, message: Message) -> Reply:
        """What the service's edge makes of a request."""
        program = self._program
        if program is None:
            raise asyncio.CancelledError
        try:
            return await program.door(message)
        except Problem as problem:
            return reply_of(problem, message)
        except DatabaseUnavailable:
            self._trace.add(self.name, "database unavailable")
            return reply_of(ServicioNoDisponible(DATABASE), message)
        except Exception as error:
            self._bug(f"500: {self.name} to {message}: {error!r}")
            return reply_of(ErrorInterno(), message)

    def _stop(self) -> None:
        process, self.process = self.process, None
        if process is not None:
            process.kill()

    async def _keep_going(self, loop: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await loop()
            except DatabaseUnavailable:
                self._trace.add(self.name, "loop without database")
            except Exception as error:
                self._bug(f"loop: {loop.__qualname__} of {self.name} fails: {error!r}")
            await self.clock.sleep(RETRY_SECONDS)


def reply_of(problem: Problem, message: Message) -> Reply:
    body = dumps(problem.document(message.path), default=str).encode()
    return Reply(problem.status, body, dict(problem.headers or {}))
