"""Encryption with keys derived from the master key (AES-256-GCM, NIST SP 800-38D), each value bound to its place."""

import base64
import binascii
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from comanda.auth.master_keys import MasterKeys, derive, key_id

VERSION = "v1"
"""Names algorithm and layout, so that another one can be read beside it."""

FERNET_PREFIX = "gAAAA"
"""How each value of the release before begins (Fernet's version, and the upper bytes of its time)."""

_NONCE_BYTES = 12


class Unreadable(Exception):
    """No master key that is set opens the value, somebody has changed it, or it was taken from another place."""


class Cipher:
    """Seals values as `v1.<id of the master key>.<base64url of nonce, ciphertext and tag>`.

    What stands before the last dot is authenticated, and so is the place. Nonces are random, 96 bits: far from the 2³²
    values that SP 800-38D §8.3 allows a key.

    Args:
        purpose: each has keys of its own.
    """

    def __init__(self, master_keys: MasterKeys, purpose: str) -> None:
        own = f"{purpose} {VERSION} aes-256-gcm"
        self.prefix = f"{VERSION}.{master_keys.id}."
        """What every value begins with that the present master key has sealed."""
        self._keys = {key_id(key): AESGCM(derive(key, own)) for key in reversed(master_keys.all)}
        self._present = self._keys[master_keys.id]

    def seal(self, content: bytes, place: str) -> str:
        """Args: place: what it belongs to, such as a row; nowhere else can it be opened."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = self._present.encrypt(nonce, content, self._bound(self.prefix, place))
        return self.prefix + base64.urlsafe_b64encode(nonce + sealed).decode().rstrip("=")

    def open(self, value: str, place: str) -> bytes:
        """Raises `Unreadable`."""
        head, _, body = value.rpartition(".")
        version, _, key = head.partition(".")
        if version != VERSION or key not in self._keys or not body.isascii():
            raise Unreadable
        try:
            raw = base64.b64decode(body + "=" * (-len(body) % 4), altchars=b"-_", validate=True)
            return self._keys[key].decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], self._bound(f"{head}.", place))
        except (binascii.Error, InvalidTag, ValueError):
            raise Unreadable from None

    @staticmethod
    def _bound(prefix: str, place: str) -> bytes:
        return f"{prefix}{place}".encode()


class CipherAtRest(Cipher):
    """Opens what the release before has stored (Fernet), too.

    Args:
        purpose: of the values of the release before; theirs and ours have different keys.
    """

    def __init__(self, master_keys: MasterKeys, purpose: str) -> None:
        super().__init__(master_keys, purpose)
        keys = [Fernet(base64.urlsafe_b64encode(key)) for key in master_keys.derive(purpose)]
        self._former = MultiFernet(keys)

    def seal_as_before(self, content: bytes) -> str:
        """For a database that the release before may still read: bound to no place."""
        return self._former.encrypt(content).decode()

    def open(self, value: str, place: str) -> bytes:
        if not value.startswith(FERNET_PREFIX):
            return super().open(value, place)
        try:
            return self._former.decrypt(value)
        except InvalidToken:
            raise Unreadable from None
