"""A browser's keyring: an authenticator in software (WebAuthn §6), which can also be told to misbehave."""

import base64
import hashlib
import json
import secrets
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256

USER_PRESENT, USER_VERIFIED, ATTESTED = 0x01, 0x04, 0x40


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def raw(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass
class Llave:
    """One passkey."""

    user_handle: str
    rp_id: str
    id: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    key: EllipticCurvePrivateKey = field(default_factory=lambda: generate_private_key(SECP256R1()))
    contador: int = 0

    @property
    def cose(self) -> bytes:
        point = self.key.public_key().public_numbers()
        return cbor2.dumps({1: 2, 3: -7, -1: 1, -2: point.x.to_bytes(32), -3: point.y.to_bytes(32)})

    def data(self, flags: int, rp_id: str | None) -> bytes:
        head = hashlib.sha256((rp_id or self.rp_id).encode()).digest()
        return head + bytes([flags]) + self.contador.to_bytes(4)


class Llavero:
    def __init__(self, origin: str = "http://localhost", *, cuenta: bool = False) -> None:
        """Args: cuenta: whether its passkeys count their uses."""
        self.origin = origin
        self.cuenta = cuenta

    def crear(
        self, opciones: dict[str, Any], *, flags: int = USER_PRESENT | USER_VERIFIED, **changes: Any
    ) -> tuple[Llave, dict[str, str]]:
        """What a person gets who agrees, and what the page sends."""
        public = opciones["publicKey"]
        llave = Llave(public["user"]["id"], public["rp"]["id"], **changes.pop("llave", {}))
        attested = bytes(16) + len(llave.id).to_bytes(2) + llave.id + llave.cose
        data = llave.data(flags | ATTESTED, changes.get("rp_id")) + attested
        attestation = {"fmt": changes.get("fmt", "none"), "attStmt": {}, "authData": data}
        return llave, {
            "id": b64(llave.id),
            "client_data_json": b64(self._client_data("webauthn.create", public["challenge"], changes)),
            "attestation_object": b64(cbor2.dumps(attestation)),
        }

    def usar(
        self, llave: Llave, opciones: dict[str, Any], *, flags: int = USER_PRESENT | USER_VERIFIED, **changes: Any
    ) -> dict[str, str]:
        if self.cuenta:
            llave.contador += 1
        data = llave.data(flags, changes.get("rp_id"))
        client_data = self._client_data("webauthn.get", opciones["publicKey"]["challenge"], changes)
        signed = data + hashlib.sha256(client_data).digest()
        return {
            "id": b64(llave.id),
            "client_data_json": b64(client_data),
            "authenticator_data": b64(data),
            "signature": b64(llave.key.sign(signed, ECDSA(SHA256()))),
            "user_handle": changes.get("user_handle", llave.user_handle),
        }

    def _client_data(self, kind: str, challenge: str, changes: dict[str, Any]) -> bytes:
        values = {"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": False}
        named = {name: changes[name] for name in ("type", "challenge", "origin") if name in changes}
        return json.dumps(values | named).encode()
