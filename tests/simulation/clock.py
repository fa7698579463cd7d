"""The clock of one simulated machine."""

import asyncio
from datetime import datetime, timedelta
from random import Random
from uuid import UUID

from comanda.testing import START
from simulation.process import here


class SimulatedClock:
    """Virtual time, off by a skew of its own that jumps when somebody sets the clock. Ids are seeded UUIDv7.

    It outlives the processes of its machine.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, random: Random, skew_seconds: float) -> None:
        self.skew_seconds = skew_seconds
        self.passed = timedelta(0)
        """Time in which nothing happened, not even to messages under way."""
        self._loop = loop
        self._random = random
        self._last = (0, 0)

    def now(self) -> datetime:
        return START + self.passed + timedelta(seconds=self._loop.time() + self.skew_seconds)

    def monotonic(self) -> float:
        return self._loop.time() + 1000

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await here("wakes")

    def new_id(self) -> UUID:
        milliseconds, count = int(self.now().timestamp() * 1000), 0
        if milliseconds <= self._last[0]:  # as uuid7 libraries do: ordered within a process, also when time stands
            milliseconds, count = self._last[0], self._last[1] + 1
        self._last = milliseconds, count
        return UUID(
            int=milliseconds << 80 | 0x7 << 76 | (count & 0xFFF) << 64 | 0b10 << 62 | self._random.getrandbits(62)
        )
