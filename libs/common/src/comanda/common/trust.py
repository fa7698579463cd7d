"""Which issuers a service trusts, from its settings."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from comanda.common.clock import Clock
from comanda.common.revocation import Revocations
from comanda.common.settings import ServiceSettings, data_folder
from comanda.common.tokens import (
    KeySource,
    ServiceSigner,
    SigningKey,
    Verifier,
    key_source,
    service_issuer,
    user_issuer,
)

USERS_AUDIENCE = "comanda"
"""The `aud` of every user's token: one for the whole system."""


def verifier(
    settings: ServiceSettings,
    name: str,
    clock: Clock,
    services: Mapping[str, tuple[str, Iterable[str]]],
    *,
    users: KeySource | None = None,
    revocations: Revocations | None = None,
) -> Verifier:
    """Verifies the users' tokens and those of the named services.

    Args:
        name: the service that verifies; service tokens must be meant for it.
        services: for each calling service, where its key set is and which scopes it is granted. An empty place means
            the file that the caller writes into `COMANDA_DATA` when it makes its key.
        users: the keys of the users' tokens, for who holds them itself; by default those that the settings name.
        revocations: see `Verifier`.
    """
    if users is None:
        cache = settings.jwks_cache or data_folder() / "jwks" / f"{name}.json"
        users = key_source(settings.auth_jwks_source, cache=cache, clock=clock)
    issuers = [user_issuer(settings.auth_issuer, users, USERS_AUDIENCE)]
    for caller, (source, scopes) in services.items():
        keys = key_source(source or str(_folder() / f"{caller}.jwks.json"), cache=None, clock=clock)
        issuers.append(service_issuer(caller, keys, name, scopes))
    return Verifier(issuers, clock, revocations=revocations)


def signer(name: str, path: str, clock: Clock) -> ServiceSigner:
    """Signs the tokens of a calling service with the key in that file, by default one in `COMANDA_DATA`."""
    return ServiceSigner(name, SigningKey.load_or_create(key_path(name, path)), clock)


def key_path(name: str, path: str) -> Path:
    return Path(path) if path else _folder() / f"{name}.pem"


def _folder() -> Path:
    return data_folder() / "keys"
