"""Public key sets (RFC 7517): where a verifier gets the keys of an issuer from."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import structlog
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from comanda.common.clock import Clock

MAX_BYTES = 65_536
MAX_KEYS = 20
MAX_KID_CHARS = 200


_log = structlog.get_logger(__name__)


class KeySource(Protocol):
    """The verification keys of one issuer."""

    async def key(self, kid: str) -> ECKey | None:
        """The key with that id; None when the issuer has no such key.

        Raises:
            KeysUnavailable: it may have one, but cannot be asked now.
        """
        ...

    def knows(self, kid: str) -> bool:
        """Whether the set, as last seen, has a key with that id. Asks nobody."""
        ...


class KeysUnavailable(Exception):
    """The issuer did not answer when last asked for its keys, or too many wait for it: nothing can be said of one
    that is not known."""


class StaticKeys:
    """A set that never changes.

    Raises:
        InvalidKeySet: if there is no usable key in it.
    """

    def __init__(self, jwks: Mapping[str, Any]) -> None:
        self._keys = parse_key_set(jwks)

    async def key(self, kid: str) -> ECKey | None:
        return self._keys.get(kid)

    def knows(self, kid: str) -> bool:
        return kid in self._keys


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
        self._check()
        return self._keys.get(kid)

    def knows(self, kid: str) -> bool:
        self._check()
        return kid in self._keys

    def _check(self) -> None:
        now = self._clock.monotonic()
        if self._checked_at is not None and now - self._checked_at < self.CHECK_SECONDS:
            return
        self._checked_at = now
        try:
            status = self._path.stat()
            # ctime also tells of a copy that kept its mtime and of permissions put right.
            version = (status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_size)
            if version != self._version:
                self._version = version
                self._keys = parse_key_set(parse_json(read_bounded(self._path)))
        except FileNotFoundError:
            self._keys, self._version = {}, None
        except (OSError, InvalidKeySet) as error:
            _log.warning("jwks_file_unusable", path=str(self._path), error=str(error))


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


def parse_json(content: bytes) -> Mapping[str, Any]:
    try:
        document = json.loads(content.decode())
    except (ValueError, RecursionError):
        raise InvalidKeySet("not JSON") from None
    if not isinstance(document, dict):
        raise InvalidKeySet("not a JSON object")
    return document


def read_bounded(path: Path) -> bytes:
    with path.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise InvalidKeySet(f"larger than {MAX_BYTES} bytes")
    return content
