"""Sessions that ended before the tokens they were given: how a service that verifies offline learns of them.

auth publishes the ids of what ended within the life of an access token; the others fetch that list every few seconds.
While auth is away the last good list stays in force: no service needs auth to verify a token, and a token that is not
on the list dies at its `exp`.
"""

import asyncio
import json
from collections.abc import Callable
from typing import Any, Protocol

import structlog
from prometheus_client import Gauge
from yarl import URL

from comanda.common.clock import Clock
from comanda.common.principal import Principal
from comanda.common.signing import ServiceSigner
from comanda.common.transport import AiohttpTransport, Transport

ENDED_SCOPE = "sesiones:terminadas"
ENDED_PATH = "/auth/terminadas"
FETCH_TIMEOUT_SECONDS = 3
MAX_ENDED = 50_000
"""Ids that one list holds: the latest. Only sessions that were begun or refreshed in the last 16 minutes are published;
two threads begin some 50 a second, for each begins with a password hash."""

REPEAT_SECONDS = 300
"""How often it is said again that the list cannot be had."""

FETCHED = Gauge(
    "comanda_terminadas_leidas_en", "When auth was last asked successfully what has ended, seconds since 1970; 0: never"
)
_HINTS = {
    401: ": auth does not know the key that we sign with (AUTH_…_JWKS), or clocks differ",
    403: ": auth takes us for somebody who may not ask",
    404: ": that is no auth, or an older one",
    421: ": auth is not called by that name (AUTH_ALLOWED_HOSTS)",
}

_log = structlog.get_logger(__name__)


class Revocations(Protocol):
    """Whether a token that is good by itself still counts."""

    async def ended(self, principal: Principal) -> bool:
        """Whether the session, or the service account, that it was given to has ended."""
        ...


class InvalidList(ValueError):
    """The document is not what auth publishes."""


class PolledRevocations:
    """The list of auth, fetched again after each pause.

    Args:
        address: where auth is.
        authorization: gives the service token that auth asks for.
        pause_seconds: between two fetches: how long an ended session may still be of use here.
        transport: the network to auth; None: the real one.
    """

    def __init__(
        self,
        address: str,
        clock: Clock,
        *,
        authorization: Callable[[], str],
        pause_seconds: float,
        transport: Transport | None = None,
    ) -> None:
        self._url = URL(address.rstrip("/") + ENDED_PATH)
        self._clock = clock
        self._authorization = authorization
        self._pause_seconds = pause_seconds
        self._transport = transport or AiohttpTransport()
        self._ids: frozenset[str] = frozenset()
        self._tag = ""
        self._said_at: float | None = None
        """When it was last said that the list cannot be had; None: it can."""

    async def ended(self, principal: Principal) -> bool:
        return (principal.session_id or principal.subject) in self._ids

    async def keep_polling(self) -> None:
        """For ever."""
        while True:
            await self.poll()
            await self._clock.sleep(self._pause_seconds)

    async def poll(self) -> None:
        """Fetches the list, unless it is still the one that is known. A failure leaves that in force."""
        try:
            async with asyncio.timeout(FETCH_TIMEOUT_SECONDS):
                reply = await self._transport.send("GET", self._url, self._headers(), None)
            if reply.status != 304:
                if reply.status != 200:
                    raise InvalidList(f"status {reply.status}{_HINTS.get(reply.status, '')}")
                self._ids = parse_ended(reply.content)
                self._tag = reply.headers.get("ETag", "")
        except Exception as error:  # whatever it is, the last good list stays in force
            self._say(f"{type(error).__name__}: {error}")
            return
        FETCHED.set(self._clock.now().timestamp())
        if self._said_at is not None:
            _log.info("ended_sessions_fetched_again", url=str(self._url))
        self._said_at = None

    def _say(self, error: str) -> None:
        """Now and then: meanwhile whatever ends here goes on working elsewhere, and nobody else notices."""
        now = self._clock.monotonic()
        if self._said_at is None or now - self._said_at >= REPEAT_SECONDS:
            _log.warning("ended_sessions_not_fetched", url=str(self._url), error=error)
            self._said_at = now

    async def aclose(self) -> None:
        await self._transport.aclose()

    def _headers(self) -> dict[str, str]:
        headers = {
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "Authorization": f"Bearer {self._authorization()}",
        }
        return headers | ({"If-None-Match": self._tag} if self._tag else {})


def polled(
    address: str, pause_seconds: float, sign: Callable[[], ServiceSigner], clock: Clock, transport: Transport | None
) -> PolledRevocations | None:
    """The list of the auth that is at that address; None where there is no address or no pause is wanted (0).

    Args:
        sign: makes or finds who signs our calls; not called for nothing, for it may make a key.
    """
    if not address or not pause_seconds:
        _log.warning("ended_sessions_not_asked_for", reason="no …_AUTH_URL" if pause_seconds else "told not to")
        return None
    signer = sign()
    return PolledRevocations(
        address,
        clock,
        authorization=lambda: signer.token("auth"),
        pause_seconds=pause_seconds,
        transport=transport,
    )


def parse_ended(content: bytes) -> frozenset[str]:
    """The ids in the document that auth publishes.

    Raises:
        InvalidList: it has another shape, or more ids than any auth publishes.
    """
    try:
        document: Any = json.loads(content)
    except (ValueError, RecursionError):
        raise InvalidList("not JSON") from None
    ids = document.get("terminadas") if isinstance(document, dict) else None
    if not isinstance(ids, list) or not all(isinstance(one, str) for one in ids) or len(ids) > MAX_ENDED:
        raise InvalidList(f"not an object with a list of at most {MAX_ENDED} ids as `terminadas`")
    return frozenset(ids)
