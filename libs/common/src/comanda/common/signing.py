"""Signing tokens: the key of a service, and the one-minute tokens with which it presents itself to its neighbours."""

import json
from collections import OrderedDict
from pathlib import Path
from typing import Any

import structlog
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from joserfc import jws, jwt
from joserfc.jwk import ECKey

from comanda.common.clock import Clock
from comanda.common.files import create_once, read_secret, write_if_changed

ALGORITHM = "ES256"
SERVICE_TYPE = "svc+jwt"
SERVICE_LIFE_SECONDS = 60

REGISTRY = jws.JWSRegistry(algorithms=[ALGORITHM])
"""What joserfc may use: one algorithm, and no header parameter that RFC 7515 does not know."""

_log = structlog.get_logger(__name__)


class ServiceSigner:
    """Signs the tokens with which a service presents itself to its neighbours.

    Args:
        name: the service, as its callees know it.
    """

    REUSE_SECONDS = 30
    MAX_AUDIENCES = 64

    def __init__(self, name: str, key: "SigningKey", clock: Clock) -> None:
        self._name = name
        self._key = key
        self._clock = clock
        self._tokens: OrderedDict[str, tuple[int, str]] = OrderedDict()

    def token(self, audience: str) -> str:
        """A token for that callee with at least 30 of its 60 seconds left."""
        now = self._clock.now().timestamp()
        expires_at, token = self._tokens.get(audience, (0, ""))
        # More left than a whole life means that the clock was set back: the callee would find the token premature.
        if not self.REUSE_SECONDS <= expires_at - now <= SERVICE_LIFE_SECONDS:
            expires_at, token = self._sign(audience, int(now))
            self._tokens[audience] = expires_at, token
            if len(self._tokens) > self.MAX_AUDIENCES:
                self._tokens.popitem(last=False)
        self._tokens.move_to_end(audience)
        return token

    def _sign(self, audience: str, issued_at: int) -> tuple[int, str]:
        expires_at = issued_at + SERVICE_LIFE_SECONDS
        claims = {"iss": self._name, "sub": self._name, "aud": audience, "iat": issued_at, "exp": expires_at}
        return expires_at, self._key.sign({**claims, "jti": str(self._clock.new_id())}, SERVICE_TYPE)


class SigningKey:
    """A private key for ES256; its `kid` is its RFC 7638 thumbprint, so the same key has the same id everywhere."""

    def __init__(self, private_key: EllipticCurvePrivateKey) -> None:
        if not isinstance(private_key.curve, SECP256R1):
            raise ValueError("ES256 needs a key on the curve P-256")
        self._key = ECKey.import_key(private_key)
        self.kid = self._key.thumbprint()

    @classmethod
    def generate(cls) -> "SigningKey":
        return cls(generate_private_key(SECP256R1()))

    @classmethod
    def from_pem(cls, pem: bytes) -> "SigningKey":
        """Reads an unencrypted PEM.

        Raises:
            ValueError: if it is not a private key on the curve P-256.
        """
        try:
            private_key = load_pem_private_key(pem, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise ValueError("not an unencrypted private key in PEM") from None
        if not isinstance(private_key, EllipticCurvePrivateKey):
            raise ValueError("ES256 needs an elliptic curve key")
        return cls(private_key)

    @classmethod
    def load_or_create(cls, path: Path) -> "SigningKey":
        """The key in that file, made with mode 0600 if it is missing; its public set is kept beside it.

        Processes that start at once end with the same key. The public set is `<stem>.jwks.json`, mode 0644; where the
        folder is read-only, as a mounted secret is, it is left out with a warning.

        Raises:
            ValueError: if the file holds no usable key.
            OSError: if it can be neither read nor made.
        """
        create_once(path, cls.generate().to_pem(), 0o600)
        try:
            key = cls.from_pem(read_secret(path))
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
        try:
            write_if_changed(path.with_name(f"{path.stem}.jwks.json"), key.public_set(), 0o644)
        except OSError as error:
            _log.warning("public_key_not_written", path=str(path), error=str(error))
        return key

    def to_pem(self) -> bytes:
        """The private key, unencrypted PKCS #8."""
        return self._key.as_pem(private=True)

    def public_jwk(self) -> dict[str, str]:
        """The public half, as it stands in a key set."""
        public = self._key.as_dict(private=False)
        coordinates = {name: str(public[name]) for name in ("kty", "crv", "x", "y")}
        return {**coordinates, "kid": self.kid, "use": "sig", "alg": ALGORITHM}

    def public_set(self) -> bytes:
        """A key set of this key alone, as a file holds it."""
        return json.dumps({"keys": [self.public_jwk()]}, indent=2).encode() + b"\n"

    def sign(self, claims: dict[str, Any], typ: str) -> str:
        """A compact JWT with those claims, the type of token in its header."""
        header = {"typ": typ, "alg": ALGORITHM, "kid": self.kid}
        return jwt.encode(header, claims, self._key, registry=REGISTRY, default_type=None)
