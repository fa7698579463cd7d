"""How a service that verifies by itself learns of sessions that have ended."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import httpx2
import pytest
import structlog
from prometheus_client import REGISTRY
from yarl import URL

from comanda.common.problems import NoAutenticado
from comanda.common.revocation import (
    MAX_ENDED,
    REPEAT_SECONDS,
    InvalidList,
    PolledRevocations,
    parse_ended,
    polled,
)
from comanda.common.tokens import ServiceSigner, SigningKey, StaticKeys, Verifier, service_issuer, user_issuer
from comanda.common.transport import Reply
from comanda.testing import ISSUER, FakeClock, Issuer


class Auth:
    """Answers what it is told to, and remembers how it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, Mapping[str, str]]] = []
        self.closed = False
        self.answer("uno")

    def answer(self, *ids: str) -> None:
        content = json.dumps({"terminadas": ids}).encode()
        self.reply: Reply | Exception = Reply(200, httpx2.Headers({"etag": f'"{"-".join(ids)}"'}), content)

    async def send(self, method: str, url: URL, headers: Mapping[str, str], content: bytes | None) -> Reply:
        self.asked.append((method, str(url), headers))
        if isinstance(self.reply, Exception):
            raise self.reply
        if headers.get("If-None-Match") == self.reply.headers.get("etag"):
            return Reply(304, self.reply.headers, b"")
        return self.reply

    async def aclose(self) -> None:
        self.closed = True


@pytest.fixture
def auth() -> Auth:
    return Auth()


@pytest.fixture
def revocations(auth: Auth, clock: FakeClock) -> PolledRevocations:
    return PolledRevocations(
        "http://auth/", clock, authorization=lambda: "el.token.propio", pause_seconds=5, transport=auth
    )


def verifying(issuer: Issuer, clock: FakeClock, revocations: PolledRevocations) -> Verifier:
    return Verifier([user_issuer(ISSUER, StaticKeys(issuer.jwks), "comanda")], clock, revocations=revocations)


async def refused(verifier: Verifier, token: str) -> bool:
    try:
        await verifier.verify(token)
    except NoAutenticado as refusal:
        return str(refusal.detail) == "La sesión ha terminado."
    return False


class TestVerify:
    async def test_a_remembered_token_too(
        self, revocations: PolledRevocations, issuer: Issuer, clock: FakeClock, auth: Auth
    ) -> None:
        verifier = verifying(issuer, clock, revocations)
        one, two = issuer.token(sid="uno"), issuer.token(sid="dos")
        assert [await refused(verifier, token) for token in (one, two)] == [False, False]
        await revocations.poll()
        assert [await refused(verifier, token) for token in (one, two)] == [True, False]
        auth.answer("dos")
        await revocations.poll()
        assert [await refused(verifier, token) for token in (one, two)] == [False, True]

    async def test_without_a_session_the_subject_counts(
        self, revocations: PolledRevocations, issuer: Issuer, clock: FakeClock
    ) -> None:
        verifier = verifying(issuer, clock, revocations)
        await revocations.poll()
        assert await refused(verifier, issuer.token(subject="uno"))
        assert not await refused(verifier, issuer.token(subject="uno", sid="otra"))


class TestPoll:
    async def test_asks_in_its_own_name_and_for_changes_only(self, revocations: PolledRevocations, auth: Auth) -> None:
        await revocations.poll()
        await revocations.poll()
        [(method, url, first), (_, _, second)] = auth.asked
        assert (method, url) == ("GET", "http://auth/auth/terminadas")
        assert first["Authorization"] == "Bearer el.token.propio"
        assert ("If-None-Match" in first, second["If-None-Match"]) == (False, '"uno"')
        assert revocations._ids == {"uno"}

    @pytest.mark.parametrize(
        "fault",
        [
            OSError("refused"),
            httpx2.ConnectError("refused"),
            Reply(503, {}, b""),
            Reply(401, {}, b"{}"),
            Reply(200, {}, b"{}"),
            Reply(200, {}, b"<html>"),
        ],
        ids=repr,
    )
    async def test_a_failure_leaves_the_last_good_list(
        self, revocations: PolledRevocations, auth: Auth, fault: Any
    ) -> None:
        await revocations.poll()
        auth.reply = fault
        with structlog.testing.capture_logs() as lines:
            await revocations.poll()
            await revocations.poll()
            assert revocations._ids == {"uno"}
            auth.answer("dos")
            await revocations.poll()
        assert revocations._ids == {"dos"}
        assert [line["event"] for line in lines] == ["ended_sessions_not_fetched", "ended_sessions_fetched_again"]

    async def test_a_long_failure_is_said_again_with_what_to_do(
        self, revocations: PolledRevocations, auth: Auth, clock: FakeClock
    ) -> None:
        auth.reply = Reply(401, httpx2.Headers({"etag": "none"}), b"")
        with structlog.testing.capture_logs() as lines:
            for _ in range(3):
                await revocations.poll()
                clock.advance(REPEAT_SECONDS / 2)
        assert [line["event"] for line in lines] == ["ended_sessions_not_fetched"] * 2
        assert all("AUTH_…_JWKS" in line["error"] for line in lines)

    async def test_its_age_can_be_watched(self, revocations: PolledRevocations, auth: Auth, clock: FakeClock) -> None:
        fetched = clock.now().timestamp()
        await revocations.poll()
        clock.advance(60)
        auth.reply = OSError("away")
        await revocations.poll()
        assert REGISTRY.get_sample_value("comanda_terminadas_leidas_en") == fetched
        auth.answer("uno")
        await revocations.poll()  # a 304 counts: nothing has ended since
        assert REGISTRY.get_sample_value("comanda_terminadas_leidas_en") == fetched + 60

    async def test_again_after_each_pause(self, revocations: PolledRevocations, auth: Auth, clock: FakeClock) -> None:
        polling = asyncio.create_task(revocations.keep_polling())
        for asked in range(1, 4):
            while not clock._sleepers:  # noqa: ASYNC110  # a loop that has gone to sleep tells nobody
                await asyncio.sleep(0)
            assert len(auth.asked) == asked
            clock.advance(4.9)
            await asyncio.sleep(0)
            assert len(auth.asked) == asked
            clock.advance(0.1)
            await asyncio.sleep(0)
        polling.cancel()
        assert len(auth.asked) == 4

    async def test_ends_with_the_service(self, revocations: PolledRevocations, auth: Auth, clock: FakeClock) -> None:
        verifier = verifying(Issuer(clock), clock, revocations)
        assert verifier.loops == [revocations.keep_polling]
        await verifier.aclose()
        assert auth.closed


class TestPolled:
    @pytest.mark.parametrize(
        ("address", "pause", "reason"), [("", 5, "no …_AUTH_URL"), ("http://auth", 0, "told not to")]
    )
    def test_none_and_no_key_made(self, clock: FakeClock, address: str, pause: float, reason: str) -> None:
        def sign() -> ServiceSigner:
            raise AssertionError("nobody needs a key")

        with structlog.testing.capture_logs() as lines:
            assert polled(address, pause, sign, clock, None) is None
        assert [(line["event"], line["reason"]) for line in lines] == [("ended_sessions_not_asked_for", reason)]

    async def test_with_a_token_for_auth(self, clock: FakeClock, auth: Auth) -> None:
        key = SigningKey.generate()
        found = polled("http://auth", 5, lambda: ServiceSigner("cosas", key, clock), clock, auth)
        assert found is not None
        await found.poll()
        keys = StaticKeys({"keys": [key.public_jwk()]})
        verifier = Verifier([service_issuer("cosas", keys, "auth", ["sesiones:terminadas"])], clock)
        principal = await verifier.verify(auth.asked[0][2]["Authorization"].removeprefix("Bearer "))
        assert principal.has("sesiones:terminadas")


class TestParseEnded:
    def test_ids(self) -> None:
        assert parse_ended(b'{"terminadas": ["a", "b"], "otra": 1}') == {"a", "b"}

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"[]",
            b"{}",
            b'{"terminadas": {}}',
            b'{"terminadas": [1]}',
            b"[" * 100_000,
            json.dumps({"terminadas": [""] * (MAX_ENDED + 1)}).encode(),
        ],
        ids=lambda content: content[:20].decode(),
    )
    def test_refused(self, content: bytes) -> None:
        with pytest.raises(InvalidList):
            parse_ended(content)
