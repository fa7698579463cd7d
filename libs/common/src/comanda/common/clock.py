"""Time and identifiers, injectable so that tests and simulations decide both."""

import asyncio
import time
from datetime import UTC, datetime
from typing import Protocol
from uuid import UUID

from uuid_utils.compat import uuid7


class Clock(Protocol):
    """What the services ask of time. No other module reads the clock of the machine."""

    def now(self) -> datetime:
        """The wall clock, in UTC. It may be set back; use it for what is shown and stored."""
        ...

    def monotonic(self) -> float:
        """Seconds from an arbitrary start that never go backwards; use it for durations."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Suspends the calling task for that many seconds."""
        ...

    def new_id(self) -> UUID:
        """A new UUIDv7 (RFC 9562 §5.7): unique, and ordered by creation within a process."""
        ...


class SystemClock:
    """The clock of this machine."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def new_id(self) -> UUID:
        return uuid7()


def uuid7_time(identifier: UUID) -> datetime | None:
    """The creation time that a UUIDv7 carries, to the millisecond; None for any other UUID, and after the year 9999."""
    if identifier.version != 7:
        return None
    try:
        return datetime.fromtimestamp((identifier.int >> 80) / 1000, UTC)
    except ValueError:
        return None


def uuid7_floor(moment: datetime) -> UUID:
    """The smallest UUID that a UUIDv7 made at that moment, to the millisecond, can be."""
    milliseconds = min(max(0, int(moment.timestamp() * 1000)), 2**48 - 1)
    return UUID(int=milliseconds << 80)
