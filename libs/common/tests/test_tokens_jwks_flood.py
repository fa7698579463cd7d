"""Key ids that somebody invents, without end: they hide no new key, and whoever has a known one does not notice."""

import asyncio

import pytest
from token_fetching import URL, FakeFetch, HangingFetch, settle
from token_forging import OTHER_KEY, USER_KEY, FakeClock, jwks

from comanda.common.jwks import KeysUnavailable
from comanda.common.tokens import UrlKeys


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


class TestFlood:
    async def test_it_does_not_hide_a_new_key(self, clock: FakeClock) -> None:
        fetch = FakeFetch(USER_KEY)
        source = UrlKeys(URL, None, clock, fetch)
        for number in range(1000):
            clock.seconds = number / 10
            if number == 501:  # the worst moment: just after a fetch
                fetch.document = jwks(USER_KEY, OTHER_KEY)
            await source.key(f"invented-{number}")
            assert await source.key(USER_KEY.kid) is not None
            assert (await source.key(OTHER_KEY.kid) is not None) == (number >= 600), number
        assert fetch.calls == 10

    async def test_while_the_issuer_hangs_it_leaves_room(self, clock: FakeClock) -> None:
        fetch = HangingFetch(USER_KEY)
        source = UrlKeys(URL, None, clock, fetch)
        await source.key(USER_KEY.kid)
        clock.seconds, fetch.open = 10, asyncio.Event()
        flood = [asyncio.create_task(source.key(f"invented-{number}")) for number in range(1000)]
        await settle()
        assert sum(not task.done() for task in flood) == 250
        assert await source.key(USER_KEY.kid) is not None
        fetch.open.set()
        answers = await asyncio.gather(*flood, return_exceptions=True)
        assert sum(answer is None for answer in answers) == 250
        assert sum(isinstance(answer, KeysUnavailable) for answer in answers) == 750
        assert fetch.calls == 2
        clock.seconds, fetch.document = 20, jwks(USER_KEY, OTHER_KEY)
        assert await source.key(OTHER_KEY.kid) is not None

    async def test_while_the_issuer_is_away_only_the_unknown_get_503(self, clock: FakeClock) -> None:
        fetch = FakeFetch(USER_KEY)
        source = UrlKeys(URL, None, clock, fetch)
        await source.key(USER_KEY.kid)
        fetch.document = OSError("away")
        for second in range(10, 400):
            clock.seconds = second
            with pytest.raises(KeysUnavailable):
                await source.key("invented")
            assert await source.key(USER_KEY.kid) is not None
        assert fetch.calls == 1 + 39
        fetch.document = jwks(USER_KEY, OTHER_KEY)
        clock.seconds = 400
        assert await source.key(OTHER_KEY.kid) is not None
