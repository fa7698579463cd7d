"""The tests' own tools."""

import asyncio
from datetime import timedelta

import httpx2
import pytest
from fastapi import FastAPI

from comanda.common.clock import uuid7_time
from comanda.testing import START, FakeClock, Network, free_ports


class TestFakeClock:
    async def test_sleepers_wake_when_it_moves(self) -> None:
        clock = FakeClock()
        sleeper = asyncio.create_task(clock.sleep(5))
        for seconds, done in ((0, False), (4, False), (1, True)):
            clock.advance(seconds)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert sleeper.done() == done
        await clock.sleep(0)

    def test_setting_the_wall_clock_is_no_duration(self) -> None:
        clock = FakeClock()
        before = clock.monotonic()
        clock.set_wall(-3600)
        assert (clock.now(), clock.monotonic()) == (START - timedelta(hours=1), before)

    def test_ids_are_reproducible(self) -> None:
        one, other = FakeClock(7).new_id(), FakeClock(7).new_id()
        assert one == other != FakeClock(8).new_id()
        assert uuid7_time(one) == START


class TestNetwork:
    async def test_who_is_there_and_who_is_not(self) -> None:
        app = FastAPI()
        app.add_api_route("/", lambda: "hola")
        network = Network(a=app)
        network.answers["b"] = httpx2.Response(418)
        async with httpx2.AsyncClient(transport=network) as client:
            assert (await client.get("http://a/")).json() == "hola"
            assert (await client.get("http://b/")).status_code == 418
            with pytest.raises(httpx2.ConnectError):
                await client.get("http://c/")
        assert network.requests == {"a": 1, "b": 1, "c": 1}

    def test_free_ports_differ(self) -> None:
        assert len(set(free_ports(5))) == 5
