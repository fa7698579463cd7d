"""Keys and their files, and tokens with any header and payload."""

import base64
import json
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from joserfc.jwk import ECKey
from joserfc.jws import JWSRegistry

from comanda.common.problems import NoAutenticado
from comanda.common.tokens import SigningKey, Verifier

AUTH = "http://auth.test"


AUDIENCE = "comanda"


USER_KEY = SigningKey.generate()


SERVICE_KEY = SigningKey.generate()


OTHER_KEY = SigningKey.generate()


Claims = dict[str, Any]


class FakeClock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds

    def new_id(self) -> UUID:
        return uuid4()

    @property
    def epoch(self) -> int:
        return int(self.now().timestamp())


def jwks(*keys: SigningKey) -> dict[str, Any]:
    return {"keys": [key.public_jwk() for key in keys]}


def user_claims(clock: FakeClock, **changes: Any) -> Claims:
    claims = {
        "iss": AUTH,
        "sub": "ana",
        "aud": AUDIENCE,
        "iat": clock.epoch,
        "exp": clock.epoch + 900,
        "jti": str(uuid4()),
        "client_id": "comanda-web",
        "scope": "pedidos:crear pedidos:propios",
    }
    return without_none(claims | changes)


def service_claims(clock: FakeClock, **changes: Any) -> Claims:
    claims = {
        "iss": "pedidos",
        "sub": "pedidos",
        "aud": "inventario",
        "iat": clock.epoch,
        "exp": clock.epoch + 60,
        "jti": str(uuid4()),
    }
    return without_none(claims | changes)


def without_none(claims: Claims) -> Claims:
    return {name: value for name, value in claims.items() if value is not None}


def segment(value: bytes | str) -> str:
    content = value if isinstance(value, bytes) else value.encode()
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def forge(header: Any, claims: Any, key: SigningKey = USER_KEY) -> str:
    """A token with any header and payload, correctly signed with ES256."""
    header_text = header if isinstance(header, bytes) else json.dumps(header)
    payload = claims if isinstance(claims, bytes) else json.dumps(claims)
    signed = f"{segment(header_text)}.{segment(payload)}"
    return f"{signed}.{segment(es256(key, signed.encode()))}"


def es256(key: SigningKey, message: bytes) -> bytes:
    return JWSRegistry.algorithms["ES256"].sign(message, ECKey.import_key(key.to_pem()))


def user_header(**changes: Any) -> dict[str, Any]:
    return {"alg": "ES256", "typ": "at+jwt", "kid": USER_KEY.kid} | changes


async def refused(verifier: Verifier, token: str) -> str:
    with pytest.raises(NoAutenticado) as raised:
        await verifier.verify(token)
    assert raised.value.status_code == 401
    detail = str(raised.value.detail)
    assert detail.startswith(("El token", "El emisor", "No se conoce"))
    return detail


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)
