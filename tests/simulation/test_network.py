"""The simulated network and the processes at its ends."""

import asyncio
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

import httpx2
import pytest

from simulation.clock import SimulatedClock
from simulation.hosts import Host, Program
from simulation.loop import VirtualLoop, run
from simulation.network import Message, Network, Reply, Weather
from simulation.process import adopting
from simulation.trace import Trace

PING = Message("POST", "/ping", b"{}", subject="cliente-1")


class Bench:
    """One host that answers 200 after a while, and a client."""

    def __init__(self, loop: VirtualLoop) -> None:
        self.loop = loop
        self.received = 0
        trace = Trace(loop.time, keep=True)
        dice = Random(1)  # noqa: S311  # reproducible on purpose
        self.network = Network(loop, dice, trace)
        clock = SimulatedClock(loop, dice, 0)
        self.bugs: list[str] = []
        self.host = Host("eco-1", clock, dice, trace, load=lambda *_: Program(self._door, []), bug=self.bugs.append)
        self.host.start()
        self.network.hosts["eco"] = [self.host]

    async def ask(self, timeout: float = 2) -> int:
        return (await self.network.exchange("cliente-1", "eco", PING, timeout)).status

    async def _door(self, message: Message) -> Reply:
        self.received += 1
        await self.host.clock.sleep(0.5)
        return Reply(200, b"{}")


def on_bench(story: Callable[[Bench], Awaitable[Any]]) -> Bench:
    loop = VirtualLoop()
    loop.set_task_factory(adopting)

    async def main() -> Bench:
        bench = Bench(loop)
        await story(bench)
        return bench

    return run(main(), loop)


class TestWeather:
    def test_fine(self) -> None:
        async def story(bench: Bench) -> None:
            assert await bench.ask() == 200

        assert on_bench(story).received == 1

    def test_lost_request(self) -> None:
        async def story(bench: Bench) -> None:
            bench.network.weather = Weather(lose_request=1)
            with pytest.raises(httpx2.ReadTimeout):
                await bench.ask()

        assert on_bench(story).received == 0

    def test_lost_answer(self) -> None:
        async def story(bench: Bench) -> None:
            bench.network.weather = Weather(lose_answer=1)
            with pytest.raises(httpx2.ReadTimeout):
                await bench.ask()

        assert on_bench(story).received == 1

    def test_repeated(self) -> None:
        async def story(bench: Bench) -> None:
            bench.network.weather = Weather(repeat=1)
            assert await bench.ask() == 200
            await asyncio.sleep(60)

        bench = on_bench(story)
        assert bench.received == 2
        assert bench.network.arrivals == {f"cliente-1 {PING}": 2}
        assert bench.network.in_flight == 0

    def test_cut_off_and_healed(self) -> None:
        async def story(bench: Bench) -> None:
            bench.network.cut("cliente-1", "eco-1", 10)
            with pytest.raises(httpx2.RequestError):
                await bench.ask()
            await asyncio.sleep(10)
            assert await bench.ask() == 200

        on_bench(story)


class TestProcess:
    def test_refuses_while_it_is_down_and_starts_again(self) -> None:
        async def story(bench: Bench) -> None:
            bench.host.crash("test")
            with pytest.raises(httpx2.ConnectError):
                await bench.ask()
            await asyncio.sleep(10)
            assert await bench.ask() == 200

        on_bench(story)

    def test_killed_while_it_answers(self) -> None:
        async def story(bench: Bench) -> None:
            bench.loop.call_later(0.2, bench.host.crash, "test")
            with pytest.raises(httpx2.ReadError):
                await bench.ask()

        assert on_bench(story).received == 1

    def test_frozen_it_answers_late(self) -> None:
        async def story(bench: Bench) -> None:
            bench.host.freeze(30)
            assert await bench.ask(timeout=60) == 200
            assert bench.loop.time() > 30

        on_bench(story)

    def test_a_step_after_its_death_has_no_effect(self) -> None:
        async def story(bench: Bench) -> None:
            process = bench.host.process
            assert process is not None
            bench.host.retire()
            with pytest.raises(asyncio.CancelledError):
                await process.step("too late")

        on_bench(story)

    def test_what_a_service_must_not_raise_is_reported(self) -> None:
        async def story(bench: Bench) -> None:
            async def broken(message: Message) -> Reply:
                raise ValueError(message.path)

            bench.host._program = Program(broken, [])
            assert await bench.ask() == 500
            assert "ValueError" in bench.bugs[0]

        on_bench(story)
