"""Key sets fetched from auth: when it is asked, and what happens while it gives no good answer."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from token_fetching import URL, FakeFetch, settle
from token_forging import AUDIENCE, AUTH, OTHER_KEY, USER_KEY, FakeClock, jwks, mode, user_claims

from comanda import testing
from comanda.common.jwks import KeysUnavailable
from comanda.common.problems import ServicioNoDisponible
from comanda.common.tokens import UrlKeys, Verifier, user_issuer


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


class Issuer:
    """A loopback HTTP server with a key set."""

    url: str

    def __init__(self) -> None:
        self.body = json.dumps(jwks(USER_KEY)).encode()
        self.head = b"HTTP/1.1 200 OK"
        self.requests: list[bytes] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.requests.append(await reader.readuntil(b"\r\n\r\n"))
        await self.gate.wait()
        writer.write(self.head + b"\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(self.body))
        writer.write(self.body)
        try:
            await writer.drain()
            writer.close()
            await writer.wait_closed()
        except ConnectionError:
            pass  # the client hangs up on an answer that is too large


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    issuer = Issuer()
    server = await asyncio.start_server(issuer.serve, "127.0.0.1", 0)
    issuer.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/.well-known/jwks.json"
    async with server:
        yield issuer


class TestUrlKeysOverHttp:
    async def test_fifty_at_once_ask_once(self, issuer: Issuer, clock: FakeClock) -> None:
        verifier = Verifier([user_issuer(AUTH, UrlKeys(issuer.url, None, clock), AUDIENCE)], clock)
        tokens = [USER_KEY.sign(user_claims(clock), "at+jwt") for _ in range(50)]
        principals = await asyncio.gather(*map(verifier.verify, tokens))
        assert {principal.subject for principal in principals} == {"ana"}
        assert len(issuer.requests) == 1
        assert issuer.requests[0].startswith(b"GET /.well-known/jwks.json ")

    async def test_caller_that_gives_up_does_not_stop_the_others(self, issuer: Issuer, clock: FakeClock) -> None:
        issuer.gate.clear()
        source = UrlKeys(issuer.url, None, clock)
        first, second = (asyncio.create_task(source.key(USER_KEY.kid)) for _ in range(2))
        await settle()
        first.cancel()
        issuer.gate.set()
        assert await second is not None
        assert len(issuer.requests) == 1

    @pytest.mark.parametrize(
        ("head", "body"),
        [
            (b"HTTP/1.1 500 Internal Server Error", None),
            (b"HTTP/1.1 404 Not Found", None),
            (b"HTTP/1.1 302 Found\r\nlocation: /.well-known/jwks.json", None),
            (b"HTTP/1.1 200 OK", b"<html>"),
            (b"HTTP/1.1 200 OK", b"[]"),
            (b"HTTP/1.1 200 OK", b"{" + b" " * 3_000_000 + b"}"),
            (b"nonsense", None),
        ],
    )
    async def test_no_good_answer(self, issuer: Issuer, clock: FakeClock, head: bytes, body: bytes | None) -> None:
        issuer.head = head
        issuer.body = issuer.body if body is None else body
        with pytest.raises(KeysUnavailable):
            await UrlKeys(issuer.url, None, clock).key(USER_KEY.kid)
        assert len(issuer.requests) == 1

    async def test_no_cache_on_the_way_answers_for_the_issuer(self, issuer: Issuer, clock: FakeClock) -> None:
        await UrlKeys(issuer.url, None, clock).key(USER_KEY.kid)
        assert b"cache-control: no-cache" in issuer.requests[0].lower()

    async def test_environment_proxy_is_ignored(
        self, issuer: Issuer, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
        assert await UrlKeys(issuer.url, None, clock).key(USER_KEY.kid) is not None


async def until(done: Callable[[], bool]) -> None:
    """Lets the other tasks run until that is so."""
    async with asyncio.timeout(10):
        while not done():  # noqa: ASYNC110  # what is waited for is not ours to signal
            await asyncio.sleep(0)


class TestUrlKeys:
    async def test_unknown_kid_asks_at_most_every_ten_seconds(self, clock: FakeClock) -> None:
        fetch = FakeFetch(USER_KEY)
        source = UrlKeys(URL, None, clock, fetch)
        for number in range(100):
            assert await source.key(f"invented-{number}") is None
        assert fetch.calls == 1
        clock.seconds = 9.9
        await source.key("invented")
        assert fetch.calls == 1
        clock.seconds = 10
        await source.key("invented")
        assert fetch.calls == 2

    async def test_failures_are_bounded_too(self, clock: FakeClock) -> None:
        fetch = FakeFetch()
        fetch.document = OSError("away")
        source = UrlKeys(URL, None, clock, fetch)
        for _ in range(100):
            with pytest.raises(KeysUnavailable):
                await source.key(USER_KEY.kid)
        assert fetch.calls == 1
        fetch.document = jwks(USER_KEY)
        clock.seconds = 1
        assert await source.key(USER_KEY.kid) is not None

    async def test_a_token_nobody_can_judge_is_no_forgery(self, clock: FakeClock) -> None:
        fetch = FakeFetch()
        fetch.document = OSError("away")
        verifier = Verifier([user_issuer(AUTH, UrlKeys(URL, None, clock, fetch), AUDIENCE)], clock)
        with pytest.raises(ServicioNoDisponible) as refusal:
            await verifier.verify(USER_KEY.sign(user_claims(clock), "at+jwt"))
        assert refusal.value.extras["servicio"] == "auth"

    async def test_keeps_itself_fresh(self, clock: FakeClock) -> None:
        fetch = FakeFetch()
        fetch.document = OSError("away")
        source = UrlKeys(URL, None, clock, fetch)
        task = asyncio.create_task(source.keep_fresh())
        await until(lambda: fetch.calls > 0)
        fetch.document = jwks(USER_KEY)
        await until(lambda: USER_KEY.kid in source._keys)
        task.cancel()
        fetch.document = OSError("away")
        calls = fetch.calls
        assert await source.key(USER_KEY.kid) is not None
        assert fetch.calls == calls

    async def test_no_set_grows_older_than_five_minutes(self) -> None:
        clock, fetch = testing.FakeClock(), FakeFetch(USER_KEY)
        source = UrlKeys(URL, None, clock, fetch)
        task = asyncio.create_task(source.keep_fresh())
        calls = []
        for seconds in (0, 200, 100, 199, 1):
            clock.advance(seconds)
            await settle()
            if seconds == 200:
                await source.key("invented")
            calls.append(fetch.calls)
        task.cancel()
        assert calls == [1, 2, 2, 2, 3]

    async def test_rotation(self, clock: FakeClock) -> None:
        fetch = FakeFetch(USER_KEY)
        source = UrlKeys(URL, None, clock, fetch)
        await source.key(USER_KEY.kid)
        fetch.document = jwks(OTHER_KEY)
        clock.seconds = 10
        assert await source.key(OTHER_KEY.kid) is not None
        assert await source.key(USER_KEY.kid) is None

    async def test_known_key_does_not_wait_for_the_refresh(self, clock: FakeClock) -> None:
        fetch = FakeFetch(USER_KEY)
        source = UrlKeys(URL, None, clock, fetch)
        await source.key(USER_KEY.kid)
        fetch.document = jwks(OTHER_KEY)
        clock.seconds = 299
        assert await source.key(USER_KEY.kid) is not None
        await settle()
        assert fetch.calls == 1
        clock.seconds = 300
        assert await source.key(USER_KEY.kid) is not None
        assert await source.key(USER_KEY.kid) is not None
        await settle()
        assert fetch.calls == 2
        assert await source.key(USER_KEY.kid) is None

    @pytest.mark.parametrize(
        "document",
        [
            OSError("away"),
            TimeoutError(),
            {},
            {"keys": []},
            {"keys": "no"},
            {"keys": [USER_KEY.public_jwk()] * 21},
            {"keys": [OTHER_KEY.public_jwk()], "x": "a" * 70_000},
            None,
        ],
        ids=lambda document: repr(document)[:30],
    )
    async def test_bad_set_leaves_the_last_good_one(self, tmp_path: Path, clock: FakeClock, document: object) -> None:
        cache = tmp_path / "auth.json"
        fetch = FakeFetch(USER_KEY)
        source = UrlKeys(URL, cache, clock, fetch)
        await source.key(USER_KEY.kid)
        before = cache.read_bytes()
        fetch.document = document
        clock.seconds = 300
        await source.key(USER_KEY.kid)
        await settle()
        assert fetch.calls == 2
        assert await source.key(USER_KEY.kid) is not None
        assert cache.read_bytes() == before

    async def test_restart_with_auth_down(self, tmp_path: Path, clock: FakeClock) -> None:
        cache = tmp_path / "jwks" / "auth.json"
        await UrlKeys(URL, cache, clock, FakeFetch(USER_KEY)).key(USER_KEY.kid)
        assert mode(cache) == 0o600
        down = FakeFetch()
        down.document = OSError("away")
        source = UrlKeys(URL, cache, clock, down)
        verifier = Verifier([user_issuer(AUTH, source, AUDIENCE)], clock)
        assert (await verifier.verify(USER_KEY.sign(user_claims(clock), "at+jwt"))).subject == "ana"
        await settle()
        assert down.calls == 1
        assert await source.key(USER_KEY.kid) is not None

    async def test_an_announced_key_is_known_after_a_restart_with_auth_down(
        self, tmp_path: Path, clock: FakeClock
    ) -> None:
        cache = tmp_path / "auth.json"
        await UrlKeys(URL, cache, clock, FakeFetch(USER_KEY, OTHER_KEY)).key(USER_KEY.kid)
        down = FakeFetch()
        down.document = OSError("away")
        source = UrlKeys(URL, cache, clock, down)
        clock.seconds = 100_000
        assert await source.key(OTHER_KEY.kid) is not None
        await settle()
        assert down.calls == 1

    async def test_cache_of_another_url(self, tmp_path: Path, clock: FakeClock) -> None:
        cache = tmp_path / "auth.json"
        await UrlKeys(URL, cache, clock, FakeFetch(USER_KEY)).key(USER_KEY.kid)
        other = FakeFetch(OTHER_KEY)
        assert await UrlKeys("http://elsewhere.test/jwks", cache, clock, other).key(USER_KEY.kid) is None

    @pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"{}", b" " * 70_000])
    async def test_damaged_cache(self, tmp_path: Path, clock: FakeClock, content: bytes) -> None:
        cache = tmp_path / "auth.json"
        cache.write_bytes(content)
        assert await UrlKeys(URL, cache, clock, FakeFetch(USER_KEY)).key(USER_KEY.kid) is not None
        down = FakeFetch()
        assert await UrlKeys(URL, cache, clock, down).key(USER_KEY.kid) is not None
        await settle()

    async def test_cache_that_cannot_be_written(self, tmp_path: Path, clock: FakeClock) -> None:
        (tmp_path / "file").write_text("")
        source = UrlKeys(URL, tmp_path / "file" / "auth.json", clock, FakeFetch(USER_KEY))
        assert await source.key(USER_KEY.kid) is not None
