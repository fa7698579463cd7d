"""Tokens that differ from auth's own by what an attack names."""

import json
from typing import Any

from attack.target import Target
from contract.system import CLIENTE
from token_forging import es256, segment

from comanda.common.tokens import SigningKey
from comanda.testing import AUDIENCE, ISSUER


class Forger:
    """Writes tokens of a user or a service. A header or claim changed to `...` is left out."""

    def __init__(self, target: Target) -> None:
        self.target = target

    @property
    def key(self) -> SigningKey:
        return self.target.user_key

    def header(self, **changes: Any) -> dict[str, Any]:
        return _without({"alg": "ES256", "typ": "at+jwt", "kid": self.key.kid} | changes)

    def claims(self, **changes: Any) -> dict[str, Any]:
        claims = {
            "iss": ISSUER,
            "sub": self.target.ana,
            "aud": AUDIENCE,
            "iat": self.target.now,
            "exp": self.target.now + 900,
            "jti": str(self.target.system.clock.new_id()),
            "client_id": "comanda-web",
            "scope": " ".join(CLIENTE),
        }
        return _without(claims | changes)

    def signing_input(self, **header: Any) -> str:
        return f"{segment(json.dumps(self.header(**header)))}.{segment(json.dumps(self.claims()))}"

    def token(self, *, header: dict[str, Any] | None = None, key: SigningKey | None = None, **claims: Any) -> str:
        return self.sign(json.dumps(self.header(**header or {})), json.dumps(self.claims(**claims)), key)

    def service_token(
        self, name: str, audience: Any, *, key: SigningKey | None = None, typ: str = "svc+jwt", **claims: Any
    ) -> str:
        """What that service would sign for that callee, with those claims changed."""
        key = key or self.target.service_key(name)
        now = self.target.now
        values = {"iss": name, "sub": name, "aud": audience, "iat": now, "exp": now + 60, "jti": "1"} | claims
        header = {"alg": "ES256", "typ": typ, "kid": key.kid}
        return self.sign(json.dumps(header), json.dumps(_without(values)), key)

    def sign(self, header: str, payload: str | None = None, key: SigningKey | None = None) -> str:
        """Header and payload as they are, signed with ES256."""
        signed = f"{segment(header)}.{segment(json.dumps(self.claims()) if payload is None else payload)}"
        return f"{signed}.{segment(es256(key or self.key, signed.encode()))}"


def _without(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not ...}
