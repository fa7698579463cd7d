"""The event loop in virtual time."""

import asyncio
import time

import pytest

from simulation.loop import Deadlock, Livelock, VirtualLoop, run


class TestVirtualLoop:
    def test_an_hour_passes_at_once(self) -> None:
        loop, started = VirtualLoop(), time.monotonic()
        run(asyncio.sleep(3600), loop)
        assert loop.time() == 3600
        assert time.monotonic() - started < 5

    def test_timers_fire_in_their_order(self) -> None:
        async def main() -> list[int]:
            heard: list[int] = []

            async def sleeper(seconds: int) -> None:
                await asyncio.sleep(seconds)
                heard.append(seconds)

            await asyncio.gather(*map(sleeper, (30, 10, 20)))
            return heard

        assert run(main(), VirtualLoop()) == [10, 20, 30]

    def test_time_stands_while_something_is_ready(self) -> None:
        async def main() -> float:
            for _ in range(1000):
                await asyncio.sleep(0)
            return asyncio.get_running_loop().time()

        assert run(main(), VirtualLoop()) == 0

    def test_waiting_for_nothing_is_noticed(self) -> None:
        async def main() -> None:
            await asyncio.Event().wait()

        with pytest.raises(Deadlock):
            run(main(), VirtualLoop())

    def test_spinning_is_noticed(self) -> None:
        async def main() -> None:
            while True:  # noqa: ASYNC110  # the fault
                await asyncio.sleep(0)

        with pytest.raises(Livelock):
            run(main(), VirtualLoop())

    def test_no_threads(self) -> None:
        async def main() -> None:
            await asyncio.to_thread(time.monotonic)

        with pytest.raises(NotImplementedError):
            run(main(), VirtualLoop())

    def test_timeouts_are_virtual_too(self) -> None:
        async def main() -> float:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(7):
                    await asyncio.sleep(100)
            return asyncio.get_running_loop().time()

        assert run(main(), VirtualLoop()) == 7
