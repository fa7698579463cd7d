"""The keys that sign access tokens, in auth's own database, and the master key that encrypts them there."""

import base64
import secrets
from typing import Any

import structlog
from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from joserfc.jwk import ECKey

from comanda.auth.repository import Repository
from comanda.auth.settings import Settings
from comanda.common.app import NotReady
from comanda.common.clock import Clock
from comanda.common.database import Database
from comanda.common.files import create_once, read_secret
from comanda.common.jwks import parse_key_set
from comanda.common.settings import data_folder
from comanda.common.tokens import USER_TYPE, SigningKey

log = structlog.get_logger()


class SigningKeys:
    """Signs tokens and, as a `KeySource`, verifies them. All replicas share the keys of one database."""

    RELOAD_SECONDS = 5
    """Shortest time between two looks for a key that another replica may have added."""

    def __init__(self, database: Database, master_key: bytes, clock: Clock) -> None:
        self._database = database
        self._repository = Repository(database)
        self._cipher = Fernet(base64.urlsafe_b64encode(derive(master_key, "signing keys")))
        self._clock = clock
        self._loaded_at = clock.monotonic()
        self._newest: SigningKey | None = None
        self._public: dict[str, ECKey] = {}
        self.jwks: dict[str, Any] = {"keys": []}
        """The public key set (RFC 7517)."""

    async def load_or_create(self) -> None:
        """Raises `NotReady` when the master key is not the one that encrypted what is stored."""
        async with self._database.transaction() as connection:
            await self._repository.serializar_arranque(connection)
            stored = await self._repository.leer_claves(connection)
            if not stored:
                key = SigningKey.generate()
                encrypted = self._cipher.encrypt(key.to_pem()).decode()
                await self._repository.insertar_clave(connection, key.kid, encrypted, self._clock.now())
                stored = [(key.kid, encrypted)]
        self._take([self._decrypt(encrypted) for _, encrypted in stored])

    def sign(self, claims: dict[str, Any]) -> str:
        """An access token (RFC 9068) with those claims."""
        assert self._newest is not None  # noqa: S101  # loaded before the first request
        return self._newest.sign(claims, USER_TYPE)

    async def key(self, kid: str) -> ECKey | None:
        if kid not in self._public and self._clock.monotonic() - self._loaded_at >= self.RELOAD_SECONDS:
            await self._reload()
        return self._public.get(kid)

    async def _reload(self) -> None:
        self._loaded_at = self._clock.monotonic()
        async with self._database.read() as connection:
            stored = await self._repository.leer_claves(connection)
        try:
            self._take([self._decrypt(encrypted) for _, encrypted in stored])
        except NotReady as error:
            log.error("signing_keys_not_reloaded", reason=str(error))

    def _decrypt(self, encrypted: str) -> SigningKey:
        try:
            return SigningKey.from_pem(self._cipher.decrypt(encrypted))
        except InvalidToken:
            raise NotReady(
                "AUTH_MASTER_KEY is not the key that encrypted the signing keys in this database: set the one it was "
                "first started with"
            ) from None

    def _take(self, keys: list[SigningKey]) -> None:
        self.jwks = {"keys": [key.public_jwk() for key in keys]}
        self._public = parse_key_set(self.jwks)
        self._newest = keys[-1]


def derive(master_key: bytes, purpose: str) -> bytes:
    """A key of 32 bytes for one purpose (HKDF-SHA256, RFC 5869), unrelated to those for other purposes."""
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=f"comanda auth {purpose}".encode()).derive(master_key)


def master_key(settings: Settings) -> bytes:
    """The configured master key, else one of our own that is made once and kept, mode 0600, in `COMANDA_DATA`."""
    if settings.master_key:
        return settings.master_key.get_secret_value().encode()
    path = data_folder() / "keys" / "master.key"
    create_once(path, secrets.token_urlsafe(48).encode() + b"\n", 0o600)
    return read_secret(path).strip()
