"""The text of refresh tokens: derived, so that the same session and generation always give the same token."""

import base64
import binascii
import hashlib
import hmac
from uuid import UUID

_ID_BYTES = 16
_GENERATION_BYTES = 4
_CHARS = 70
"""Base64url of id, generation and a MAC of 32 bytes."""


class RefreshTokens:
    """Writes and reads refresh tokens.

    Args:
        secret: key of the MAC (HMAC-SHA256), the same in all replicas.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def write(self, familia_id: UUID, generacion: int) -> str:
        body = familia_id.bytes + generacion.to_bytes(_GENERATION_BYTES, "big")
        mac = hmac.digest(self._secret, body, "sha256")
        return base64.urlsafe_b64encode(body + mac).decode().rstrip("=")

    def read(self, token: str) -> tuple[UUID, int] | None:
        """The session and generation of a token that we wrote, else None. Takes the same time for any forgery."""
        if len(token) != _CHARS or not token.isascii():
            return None
        try:
            raw = base64.b64decode(token + "==", altchars=b"-_", validate=True)
        except binascii.Error:
            return None
        familia_id = UUID(bytes=raw[:_ID_BYTES])
        generacion = int.from_bytes(raw[_ID_BYTES : _ID_BYTES + _GENERATION_BYTES], "big")
        return (familia_id, generacion) if hmac.compare_digest(token, self.write(familia_id, generacion)) else None


def token_hash(token: str) -> str:
    """What the database keeps of a token. It has 256 bits of entropy, so a plain hash tells nobody anything."""
    return hashlib.sha256(token.encode()).hexdigest()
