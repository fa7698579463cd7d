"""The master key, from which every other secret of auth is derived, and the others that are accepted beside it."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from comanda.auth.settings import Settings
from comanda.common.files import create_once, read_secret
from comanda.common.settings import data_folder

_ID_BYTES = 6


@dataclass(frozen=True, slots=True)
class MasterKeys:
    """What is written is written under `present`; what was written under one of the others is still read."""

    present: bytes = field(repr=False)
    others: tuple[bytes, ...] = field(default=(), repr=False)

    @classmethod
    def of(cls, settings: Settings) -> "MasterKeys":
        """As configured; without a master key one of our own, made once and kept, mode 0600, in `COMANDA_DATA`."""
        present = settings.master_key.get_secret_value().encode() if settings.master_key else _kept()
        given = settings.master_key_previous.get_secret_value() if settings.master_key_previous else ""
        # As a whole, too: no rule keeps commas out of a master key.
        others = [part.strip().encode() for part in (*given.split(","), given) if part.strip()]
        return cls(present, tuple(key for key in dict.fromkeys(others) if key != present))

    @property
    def id(self) -> str:
        """The name of the present one, which tells nothing of it."""
        return key_id(self.present)

    @property
    def all(self) -> Sequence[bytes]:
        return (self.present, *self.others)

    def derive(self, purpose: str) -> list[bytes]:
        """The secrets for that purpose, the present one first: it writes, and all read."""
        return [derive(key, purpose) for key in self.all]


def derive(master_key: bytes, purpose: str) -> bytes:
    """A key of 32 bytes for one purpose (HKDF-SHA256, RFC 5869), unrelated to those for other purposes."""
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=f"comanda auth {purpose}".encode()).derive(master_key)


def key_id(master_key: bytes) -> str:
    """The name of a master key: 12 hexadecimal digits."""
    return derive(master_key, "key id")[:_ID_BYTES].hex()


def _kept() -> bytes:
    path = data_folder() / "keys" / "master.key"
    create_once(path, secrets.token_urlsafe(48).encode() + b"\n", 0o600)
    return read_secret(path).strip()
