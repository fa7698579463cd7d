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
        secrets: keys of the MAC (HMAC-SHA256), the same in all replicas: the first one writes, all of them read.
    """

    def __init__(self, *secrets: bytes) -> None:
        self._secrets = secrets

    def write(self, familia_id: UUID, generacion: int) -> str:
        return _write(self._secrets[0], familia_id, generacion)

    def rewrite(self, familia_id: UUID, generacion: int, huella: str) -> str:
        """The token of which that hash was kept, whichever secret wrote it."""
        candidates = [_write(secret, familia_id, generacion) for secret in self._secrets]
        return next((token for token in candidates if token_hash(token) == huella), candidates[0])

    def is_former(self, familia_id: UUID, generacion: int, huella: str) -> bool:
        """Whether the token of which that hash was kept was written with a secret that no longer writes."""
        token = self.rewrite(familia_id, generacion, huella)
        return token_hash(token) == huella and token != self.write(familia_id, generacion)

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
        known = [hmac.compare_digest(token, _write(secret, familia_id, generacion)) for secret in self._secrets]
        return (familia_id, generacion) if any(known) else None


def _write(secret: bytes, familia_id: UUID, generacion: int) -> str:
    body = familia_id.bytes + generacion.to_bytes(_GENERATION_BYTES, "big")
    return base64.urlsafe_b64encode(body + hmac.digest(secret, body, "sha256")).decode().rstrip("=")


def token_hash(token: str) -> str:
    """What the database keeps of a token. It has 256 bits of entropy, so a plain hash tells nobody anything."""
    return hashlib.sha256(token.encode()).hexdigest()
