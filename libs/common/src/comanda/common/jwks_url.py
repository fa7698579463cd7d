"""The key set behind a URL, and the choice of a source by what a setting names."""

import asyncio
import json
import ssl
from collections.abc import Awaitable, Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import httpx2
import structlog
from joserfc.jwk import ECKey

from comanda.common.clock import Clock
from comanda.common.files import write_if_changed
from comanda.common.jwks import (
    MAX_BYTES,
    FileKeys,
    InvalidKeySet,
    KeySource,
    KeysUnavailable,
    StaticKeys,
    parse_json,
    parse_key_set,
    read_bounded,
)

FETCH_TIMEOUT_SECONDS = 3
FIRST_FETCH_SECONDS = 1

MAX_WAITING = 250
"""Requests that wait for a fetch at once. Who sends invented key ids while the issuer hangs keeps no more than these
busy; the rest of what a service can have in hand stays for tokens whose keys are known."""

Fetch = Callable[[str], Awaitable[Mapping[str, Any]]]
"""Gets the parsed JSON document behind a URL, or raises."""

_log = structlog.get_logger(__name__)


def key_source(source: str, *, cache: Path | None, clock: Clock) -> KeySource:
    """The key source that a setting names: a URL (`http://`, `https://`), the JSON of a key set, or a file.

    Args:
        cache: file that keeps the last good set of a URL; the other two need none.

    Raises:
        InvalidKeySet: if the setting is empty or its JSON is not a usable key set.
    """
    source = source.strip()
    if not source:
        raise InvalidKeySet("no key set given: a URL, a file or JSON")
    if source.startswith(("http://", "https://")):
        return UrlKeys(source, cache, clock)
    if source.startswith("{"):
        return StaticKeys(parse_json(source.encode()))
    return FileKeys(Path(source), clock)


class UrlKeys:
    """The set behind a URL, fetched when a token names an unknown key and kept on disk for when the URL is away.

    A known key never waits for the network: past `max_age_seconds` the next use starts a fetch in the background. A
    newer good set replaces the former one, so a key missing from it is no longer accepted; while the issuer is away
    the last good set stays in force, however old.

    Args:
        url: address of the key set.
        cache: file that keeps the last good set; None keeps it in memory only. It is bound to the URL: one written for
            another URL is ignored.
        fetch: gets the document; by default over HTTP, without redirects and without proxies of the environment.
        min_interval_seconds: shortest time between two fetches, failed ones included. It bounds what somebody who
            sends tokens with invented key ids can cause.
        max_age_seconds: age from which a set is fetched anew.
    """

    def __init__(
        self,
        url: str,
        cache: Path | None,
        clock: Clock,
        fetch: Fetch | None = None,
        *,
        min_interval_seconds: float = 10,
        max_age_seconds: float = 300,
    ) -> None:
        self._url = url
        self._cache = cache
        self._clock = clock
        self._fetch = fetch or _fetch
        self._min_interval_seconds = min_interval_seconds
        self._max_age_seconds = max_age_seconds
        self._tried_at: float | None = None
        self._fetched_at: float | None = None
        self._refreshing: asyncio.Task[None] | None = None
        self._failing = False
        self._waiting = 0
        self._keys = self._load()

    async def key(self, kid: str) -> ECKey | None:
        known = self._keys.get(kid)
        if known is not None:
            if self._older_than(self._max_age_seconds, self._fetched_at):
                self._refresh()
            return known
        refreshing = self._refresh()
        if refreshing is not None:
            await self._wait_for(refreshing)
        if kid not in self._keys and self._failing:
            raise KeysUnavailable
        return self._keys.get(kid)

    def knows(self, kid: str) -> bool:
        return kid in self._keys

    async def keep_fresh(self) -> None:
        """Fetches the set until there is one, and again whenever it has grown old, for ever.

        So a service that has been up together with its issuer once verifies tokens without it.
        """
        while True:
            refreshing = self._refresh() if self._older_than(self._max_age_seconds, self._fetched_at) else None
            if refreshing is not None:
                await asyncio.shield(refreshing)
            if self._failing:
                self._tried_at = None  # a request that needs a key now may ask at once
            await self._clock.sleep(self._pause_seconds())

    def _pause_seconds(self) -> float:
        """Until the set is to be fetched again; one that a token had fetched meanwhile is due later."""
        if self._fetched_at is None:
            return FIRST_FETCH_SECONDS
        due = self._fetched_at + self._max_age_seconds - self._clock.monotonic()
        return due if due > 0 else self._max_age_seconds

    async def _wait_for(self, refreshing: asyncio.Task[None]) -> None:
        if self._waiting >= MAX_WAITING:
            raise KeysUnavailable
        self._waiting += 1
        try:
            # The fetch is shared: one caller that gives up must not end it for the others.
            await asyncio.shield(refreshing)
        finally:
            self._waiting -= 1

    def _refresh(self) -> asyncio.Task[None] | None:
        """The running fetch, a new one, or None when the last one is too recent."""
        if self._refreshing is not None and not self._refreshing.done():
            return self._refreshing
        interval = self._min_interval_seconds if self._keys else FIRST_FETCH_SECONDS
        if not self._older_than(interval, self._tried_at):
            return None
        self._tried_at = self._clock.monotonic()
        # The event loop keeps only weak references to tasks, so this one is ours to keep.
        self._refreshing = asyncio.create_task(self._fetch_and_keep())
        return self._refreshing

    async def _fetch_and_keep(self) -> None:
        try:
            async with asyncio.timeout(FETCH_TIMEOUT_SECONDS):
                document = await self._fetch(self._url)
            keys = parse_key_set(document)
        except Exception as error:  # whatever it is, the last good set stays in force
            _log.warning("jwks_fetch_failed", url=self._url, error=f"{type(error).__name__}: {error}")
            self._failing = True
            return
        self._failing = False
        self._keys = keys
        self._fetched_at = self._clock.monotonic()
        self._save()

    def _older_than(self, seconds: float, moment: float | None) -> bool:
        return moment is None or self._clock.monotonic() - moment >= seconds

    def _load(self) -> dict[str, ECKey]:
        if self._cache is None:
            return {}
        try:
            document = parse_json(read_bounded(self._cache))
            return parse_key_set(document) if document.get("source") == self._url else {}
        except FileNotFoundError:
            return {}
        except (OSError, InvalidKeySet) as error:
            _log.warning("jwks_cache_unusable", path=str(self._cache), error=str(error))
            return {}

    def _save(self) -> None:
        if self._cache is None:
            return
        keys = [key.as_dict(private=False) for key in self._keys.values()]
        content = json.dumps({"source": self._url, "keys": keys}).encode()
        try:
            self._cache.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_if_changed(self._cache, content, 0o600)
        except OSError as error:
            _log.warning("jwks_cache_not_written", path=str(self._cache), error=str(error))


async def _fetch(url: str) -> Mapping[str, Any]:
    # Uncompressed, so that the limit holds for what arrives and nothing can unfold beyond it.
    # And from the issuer itself: what a cache on the way holds may lack the key that is asked for (RFC 9111 §5.2.1.4).
    headers = {"Accept": "application/json", "Accept-Encoding": "identity", "Cache-Control": "no-cache"}
    client = httpx2.AsyncClient(
        trust_env=False, timeout=FETCH_TIMEOUT_SECONDS, follow_redirects=False, verify=_tls_context()
    )
    async with client, client.stream("GET", url, headers=headers) as response:
        if response.status_code != httpx2.codes.OK:
            raise InvalidKeySet(f"status {response.status_code}")
        body = bytearray()
        async for chunk in response.aiter_raw():
            body += chunk
            if len(body) > MAX_BYTES:
                raise InvalidKeySet(f"larger than {MAX_BYTES} bytes")
    return parse_json(bytes(body))


@cache
def _tls_context() -> ssl.SSLContext:
    """Made once: reading the certificate authorities takes 20 to 90 ms of the event loop."""
    return httpx2.create_ssl_context(trust_env=False)
