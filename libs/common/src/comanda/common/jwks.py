"""Public key sets (RFC 7517): where a verifier gets the keys of an issuer from."""

import asyncio
import json
import ssl
from collections.abc import Awaitable, Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import httpx2
import structlog
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from comanda.common.clock import Clock
from comanda.common.files import write_if_changed

MAX_BYTES = 65_536
MAX_KEYS = 20
MAX_KID_CHARS = 200
FETCH_TIMEOUT_SECONDS = 3
FIRST_FETCH_SECONDS = 1

Fetch = Callable[[str], Awaitable[Mapping[str, Any]]]
"""Gets the parsed JSON document behind a URL, or raises."""

_log = structlog.get_logger(__name__)


class KeySource(Protocol):
    """The verification keys of one issuer."""

    async def key(self, kid: str) -> ECKey | None:
        """The key with that id; None when the issuer has no such key.

        Raises:
            KeysUnavailable: it may have one, but cannot be asked now.
        """
        ...


class KeysUnavailable(Exception):
    """The issuer did not answer when last asked for its keys, so nothing can be said of an unknown one."""


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
        return StaticKeys(_parse_json(source.encode()))
    return FileKeys(Path(source), clock)


class StaticKeys:
    """A set that never changes.

    Raises:
        InvalidKeySet: if there is no usable key in it.
    """

    def __init__(self, jwks: Mapping[str, Any]) -> None:
        self._keys = parse_key_set(jwks)

    async def key(self, kid: str) -> ECKey | None:
        return self._keys.get(kid)


class FileKeys:
    """The set in a file, read at first use and again, at most once a second, when the file has changed.

    A missing file holds no keys, so a service may start before the neighbour whose keys it is to trust. A file that
    cannot be read or parsed leaves the last good set in force.
    """

    CHECK_SECONDS = 1

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._keys: dict[str, ECKey] = {}
        self._checked_at: float | None = None
        self._version: tuple[int, ...] | None = None

    async def key(self, kid: str) -> ECKey | None:
        now = self._clock.monotonic()
        if self._checked_at is None or now - self._checked_at >= self.CHECK_SECONDS:
            self._checked_at = now
            self._check()
        return self._keys.get(kid)

    def _check(self) -> None:
        try:
            status = self._path.stat()
            # ctime also tells of a copy that kept its mtime and of permissions put right.
            version = (status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_size)
            if version != self._version:
                self._version = version
                self._keys = parse_key_set(_parse_json(_read_bounded(self._path)))
        except FileNotFoundError:
            self._keys, self._version = {}, None
        except (OSError, InvalidKeySet) as error:
            _log.warning("jwks_file_unusable", path=str(self._path), error=str(error))


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
        self._keys = self._load()

    async def key(self, kid: str) -> ECKey | None:
        known = self._keys.get(kid)
        if known is not None:
            if self._older_than(self._max_age_seconds, self._fetched_at):
                self._refresh()
            return known
        refreshing = self._refresh()
        if refreshing is not None:
            # The fetch is shared: one caller that gives up must not end it for the others.
            await asyncio.shield(refreshing)
        if kid not in self._keys and self._failing:
            raise KeysUnavailable
        return self._keys.get(kid)

    async def keep_fresh(self) -> None:
        """Fetches the set until there is one, and again whenever it has grown old, for ever.

        So a service that has been up together with its issuer once verifies tokens without it.
        """
        while True:
            refreshing = self._refresh() if self._older_than(self._max_age_seconds, self._fetched_at) else None
            if refreshing is not None:
                await asyncio.shield(refreshing)
            await self._clock.sleep(FIRST_FETCH_SECONDS if self._fetched_at is None else self._max_age_seconds)

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
            document = _parse_json(_read_bounded(self._cache))
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


class InvalidKeySet(ValueError):
    """The document is not a key set, holds no key that can verify ES256, or is larger than anybody needs."""


def parse_key_set(document: object) -> dict[str, ECKey]:
    """The keys of a set that can verify ES256, by `kid`.

    Keys of other types and uses are left out, as RFC 7517 §5 says; of the others only the public part is taken.

    Raises:
        InvalidKeySet: if the document has another shape, no usable key, over 20 keys or over 64 KiB.
    """
    entries = document.get("keys") if isinstance(document, Mapping) else None
    if not isinstance(entries, list) or not all(isinstance(entry, Mapping) for entry in entries):
        raise InvalidKeySet("not a JWK set: an object with a list of objects as `keys`")
    if len(entries) > MAX_KEYS:
        raise InvalidKeySet(f"{len(entries)} keys, at most {MAX_KEYS}")
    try:
        size = len(json.dumps(document))
    except (ValueError, TypeError, RecursionError):
        raise InvalidKeySet("not JSON") from None
    if size > MAX_BYTES:
        raise InvalidKeySet(f"larger than {MAX_BYTES} bytes")
    keys: dict[str, ECKey] = {}
    for entry in entries:
        key = _usable_key(entry)
        if key is not None and key.kid is not None:
            keys.setdefault(key.kid, key)
    if not keys:
        raise InvalidKeySet("no ES256 key with a `kid`")
    return keys


def _usable_key(entry: Mapping[str, Any]) -> ECKey | None:
    kid, operations = entry.get("kid"), entry.get("key_ops")
    fits = (
        entry.get("kty") == "EC"
        and entry.get("crv") == "P-256"
        and entry.get("use", "sig") == "sig"
        and entry.get("alg", "ES256") == "ES256"
        and (operations is None or (isinstance(operations, list) and "verify" in operations))
        and isinstance(kid, str)
        and 0 < len(kid) <= MAX_KID_CHARS
    )
    if not fits:
        return None
    try:
        public = {"kty": "EC", "crv": "P-256", "x": entry.get("x", ""), "y": entry.get("y", "")}
        return ECKey.import_key({**public, "kid": str(kid), "use": "sig", "alg": "ES256"})
    except (JoseError, ValueError):
        return None


async def _fetch(url: str) -> Mapping[str, Any]:
    # Uncompressed, so that the limit holds for what arrives and nothing can unfold beyond it.
    headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
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
    return _parse_json(bytes(body))


@cache
def _tls_context() -> ssl.SSLContext:
    """Made once: reading the certificate authorities takes 20 to 90 ms of the event loop."""
    return httpx2.create_ssl_context(trust_env=False)


def _parse_json(content: bytes) -> Mapping[str, Any]:
    try:
        document = json.loads(content.decode())
    except (ValueError, RecursionError):
        raise InvalidKeySet("not JSON") from None
    if not isinstance(document, dict):
        raise InvalidKeySet("not a JSON object")
    return document


def _read_bounded(path: Path) -> bytes:
    with path.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise InvalidKeySet(f"larger than {MAX_BYTES} bytes")
    return content
