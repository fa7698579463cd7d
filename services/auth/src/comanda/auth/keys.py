"""The keys that sign access tokens, as a replica uses them."""

from collections.abc import Sequence
from typing import Any

import structlog
from joserfc.jwk import ECKey

from comanda.auth.claves import Clave, activa
from comanda.auth.key_store import KeyStore
from comanda.common.app import NotReady
from comanda.common.clock import Clock
from comanda.common.jwks import parse_key_set
from comanda.common.tokens import USER_TYPE, SigningKey

log = structlog.get_logger()


class SigningKeys:
    """Signs tokens and, as a `KeySource`, verifies them. All replicas share the keys of one database."""

    RELOAD_SECONDS = 2
    """Pause between two looks for what other replicas, or `comanda keys`, have changed."""

    def __init__(self, store: KeyStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._loaded_at = clock.monotonic()
        self._claves: Sequence[Clave] = ()
        self._signers: dict[str, SigningKey] = {}
        self._public: dict[str, ECKey] = {}
        self.jwks: dict[str, Any] = {"keys": []}
        """The public key set (RFC 7517): keys that will sign, the one that does, and those that did of late."""

    async def load_or_create(self) -> None:
        """Raises `NotReady` when no master key that is set opens what is stored."""
        self._take(await self._store.load_or_create())

    def sign(self, claims: dict[str, Any]) -> str:
        """An access token (RFC 9068) with those claims."""
        return self._signers[activa(self._claves, self._clock.now()).kid].sign(claims, USER_TYPE)

    async def key(self, kid: str) -> ECKey | None:
        if kid not in self._public and self._clock.monotonic() - self._loaded_at >= self.RELOAD_SECONDS:
            await self._reload()
        return self._public.get(kid)

    def knows(self, kid: str) -> bool:
        return kid in self._public

    async def keep_current(self) -> None:
        """The loop that follows the stored keys and, when it is time, announces and removes some."""
        while True:
            await self._reload()
            await self._clock.sleep(self.RELOAD_SECONDS)

    async def _reload(self) -> None:
        self._loaded_at = self._clock.monotonic()
        try:
            stored = await self._store.maintain()
        except NotReady as error:
            log.error("signing_keys_not_reloaded", reason=str(error))
            return
        if stored:  # without any, somebody is about to start anew: until then the last ones serve
            self._take(stored)

    def _take(self, claves: Sequence[Clave]) -> None:
        self._claves = claves
        self._signers = {clave.kid: self._store.signer(clave) for clave in claves}
        self.jwks = {"keys": [key.public_jwk() for key in self._signers.values()]}
        self._public = parse_key_set(self.jwks)
