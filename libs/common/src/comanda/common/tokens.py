"""Who calls: signing and verifying the tokens of users (RFC 9068) and of services, always ES256.

A user's token is signed by auth; a service signs its own, for one callee and one minute. The callee knows beforehand
which issuers it trusts, where their keys are and what a service may do, so nothing in a token can widen that.
"""

import json
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from comanda.common.clock import Clock
from comanda.common.jwks import (
    MAX_KID_CHARS,
    FileKeys,
    InvalidKeySet,
    KeySource,
    KeysUnavailable,
    StaticKeys,
)
from comanda.common.jwks_url import UrlKeys, key_source
from comanda.common.principal import Principal
from comanda.common.problems import NoAutenticado, ServicioNoDisponible
from comanda.common.revocation import PolledRevocations, Revocations
from comanda.common.signing import (
    ALGORITHM,
    REGISTRY,
    SERVICE_LIFE_SECONDS,
    SERVICE_TYPE,
    ServiceSigner,
    SigningKey,
)

__all__ = [
    "FileKeys",
    "InvalidKeySet",
    "KeySource",
    "Principal",
    "ServiceSigner",
    "SigningKey",
    "StaticKeys",
    "TrustedIssuer",
    "UrlKeys",
    "Verifier",
    "key_source",
    "service_issuer",
    "user_issuer",
]

USER_TYPE = "at+jwt"
AUTH = "auth"
"""Who is missing when a user's key cannot be learnt."""
MAX_TOKEN_CHARS = 4096

_NOT_VALID = "El token no es válido."
_LATEST_EPOCH_SECONDS = 1e12


@dataclass(frozen=True)
class TrustedIssuer:
    """An issuer that a service accepts tokens of.

    Args:
        name: its `iss`, compared exactly.
        keys: where its keys are.
        kind: what it issues; a token of the other kind is refused.
        audience: what `aud` must name: for users the audience of this deployment, for services the callee.
        scopes: what a service is granted, whatever its token says; None for users, whose tokens carry `scope`.
    """

    name: str
    keys: KeySource
    kind: Literal["user", "service"]
    audience: str
    scopes: frozenset[str] | None

    def __post_init__(self) -> None:
        if (self.kind == "service") != (self.scopes is not None):
            raise ValueError("scopes: a fixed set for a service, None for users")


def user_issuer(name: str, keys: KeySource, audience: str) -> TrustedIssuer:
    """The issuer of the users' tokens."""
    return TrustedIssuer(name, keys, "user", audience, None)


def service_issuer(name: str, keys: KeySource, callee: str, scopes: Iterable[str]) -> TrustedIssuer:
    """A service that may call `callee` with those scopes."""
    return TrustedIssuer(name, keys, "service", callee, frozenset(scopes))


class Verifier:
    """Tells who a token speaks for, without asking anybody.

    A verified token is remembered, so it costs a signature check once; no longer than its issuer has the key that
    signed it, as far as is known here.

    Args:
        issuers: those whose tokens are accepted; no two of the same name.
        leeway_seconds: how far the clocks of issuer and verifier may differ.
        revocations: tells whose tokens no longer count, asked each time; None: they count until they expire.
        cache_entries: how many verified tokens are remembered; the least recently used goes first.
    """

    def __init__(
        self,
        issuers: Iterable[TrustedIssuer],
        clock: Clock,
        leeway_seconds: float = 30,
        *,
        revocations: Revocations | None = None,
        cache_entries: int = 10_000,
    ) -> None:
        self._issuers: dict[str, TrustedIssuer] = {}
        for issuer in issuers:
            if issuer.name in self._issuers:
                raise ValueError(f"issuer {issuer.name!r} given twice")
            self._issuers[issuer.name] = issuer
        self._clock = clock
        self._leeway_seconds = leeway_seconds
        self.revocations = revocations
        self._cache_entries = cache_entries
        self._verified: OrderedDict[str, _Verified] = OrderedDict()

    @property
    def loops(self) -> list[Callable[[], Awaitable[None]]]:
        """What keeps the keys of the issuers, and what they have ended, at hand, for ever, in the background."""
        keys = [issuer.keys.keep_fresh for issuer in self._issuers.values() if isinstance(issuer.keys, UrlKeys)]
        ended = [self.revocations.keep_polling] if isinstance(self.revocations, PolledRevocations) else []
        return [*keys, *ended]

    async def aclose(self) -> None:
        if isinstance(self.revocations, PolledRevocations):
            await self.revocations.aclose()

    async def verify(self, token: str) -> Principal:
        """Who the token speaks for.

        Raises:
            NoAutenticado: if the token is malformed, forged, expired, not yet valid or meant for somebody else, or its
                session has ended.
            ServicioNoDisponible: if its key is unknown and its issuer cannot be asked.
        """
        verified = self._verified.get(token)
        if verified is None or not verified.keys.knows(verified.kid):
            self._verified.pop(token, None)
            verified = await self._verify(token)
            self._verified[token] = verified
            if len(self._verified) > self._cache_entries:
                self._verified.popitem(last=False)
        elif self._now() >= verified.principal.expires_at + self._leeway_seconds:
            self._verified.pop(token, None)
            raise _expired()
        else:
            self._verified.move_to_end(token)
        if self.revocations is not None and await self.revocations.ended(verified.principal):
            raise NoAutenticado("La sesión ha terminado.")
        return verified.principal

    async def _verify(self, token: str) -> "_Verified":
        parsed, claims = _parse(token)
        # Until the signature is checked, the claims serve only to find whose key has to have made it.
        name = claims.get("iss")
        issuer = self._issuers.get(name) if isinstance(name, str) else None
        if issuer is None:
            raise NoAutenticado("El emisor del token no es de confianza.")
        kid = _checked_header(parsed.headers(), issuer.kind)
        try:
            key = await issuer.keys.key(kid)
        except KeysUnavailable:
            raise ServicioNoDisponible(AUTH) from None
        if key is None:
            raise NoAutenticado("No se conoce la clave con la que se firmó el token.")
        if not _signed_by(parsed, key):
            raise NoAutenticado(_NOT_VALID)
        _check_audience(claims, issuer)
        expires_at = self._check_times(claims, issuer)
        return _Verified(_principal(claims, issuer, expires_at), issuer.keys, kid)

    def _check_times(self, claims: dict[str, Any], issuer: TrustedIssuer) -> float:
        now, leeway = self._now(), self._leeway_seconds
        expires_at, issued_at = _instant(claims, "exp"), _instant(claims, "iat")
        if now >= expires_at + leeway:
            raise _expired()
        not_before = _instant(claims, "nbf") if "nbf" in claims else issued_at
        if max(issued_at, not_before) > now + leeway:
            raise NoAutenticado("El token todavía no es válido.")
        if issuer.kind == "service" and expires_at - issued_at > SERVICE_LIFE_SECONDS:
            raise NoAutenticado(_NOT_VALID)
        return expires_at

    def _now(self) -> float:
        return self._clock.now().timestamp()


@dataclass(frozen=True, slots=True)
class _Verified:
    """Whom a token speaks for, and the key that showed it."""

    principal: Principal
    keys: KeySource
    kid: str


def _expired() -> NoAutenticado:
    return NoAutenticado("El token ha caducado.")


def _parse(token: str) -> tuple[jws.CompactSignature, dict[str, Any]]:
    if len(token) > MAX_TOKEN_CHARS or not token.isascii():
        raise NoAutenticado(_NOT_VALID)
    try:
        parsed = jws.extract_compact(token.encode(), registry=REGISTRY)
        claims = json.loads((parsed.payload or b"").decode())
    except (JoseError, ValueError, TypeError, RecursionError) as error:
        raise NoAutenticado(_NOT_VALID) from error
    if not isinstance(claims, dict) or not isinstance(parsed.headers(), dict):
        raise NoAutenticado(_NOT_VALID)
    return parsed, claims


def _checked_header(header: dict[str, Any], kind: Literal["user", "service"]) -> str:
    """The `kid`, if the header is one that this kind of issuer writes."""
    kid, typ = header.get("kid"), header.get("typ")
    expected = USER_TYPE if kind == "user" else SERVICE_TYPE
    # RFC 8725 §3.1 and §3.10: the verifier alone decides the algorithm, and follows no key that a token brings along.
    accepted = (
        header.get("alg") == ALGORITHM
        and isinstance(typ, str)
        and typ.lower().removeprefix("application/") == expected
        and isinstance(kid, str)
        and 0 < len(kid) <= MAX_KID_CHARS
        and header.keys().isdisjoint(("jku", "jwk", "x5u", "x5c", "crit", "b64"))
    )
    if not accepted:
        raise NoAutenticado(_NOT_VALID)
    return str(kid)


def _signed_by(parsed: jws.CompactSignature, key: ECKey) -> bool:
    try:
        return jws.validate_compact(parsed, key, registry=REGISTRY)
    except (JoseError, ValueError, TypeError):
        return False


def _check_audience(claims: dict[str, Any], issuer: TrustedIssuer) -> None:
    audience = claims.get("aud")
    audiences = [audience] if isinstance(audience, str) else audience
    if not isinstance(audiences, list) or not all(isinstance(one, str) for one in audiences):
        raise NoAutenticado(_NOT_VALID)
    if issuer.audience not in audiences or (issuer.kind == "service" and len(audiences) > 1):
        raise NoAutenticado("El token no es para este servicio.")


def _principal(claims: dict[str, Any], issuer: TrustedIssuer, expires_at: float) -> Principal:
    subject, token_id = _text(claims, "sub"), _text(claims, "jti")
    if issuer.kind == "service" and subject != issuer.name:
        raise NoAutenticado(_NOT_VALID)
    scopes = issuer.scopes
    if scopes is None:
        # A token for which no scope was granted may leave the claim out or empty (RFC 9068 §2.2.3).
        granted = claims.get("scope", "")
        if not isinstance(granted, str):
            raise NoAutenticado(_NOT_VALID)
        scopes = frozenset(filter(None, granted.split(" ")))
    client_id = _text(claims, "client_id") if "client_id" in claims else None
    session_id = _text(claims, "sid") if "sid" in claims else None
    authenticated_at = _instant(claims, "auth_time") if "auth_time" in claims else None
    is_service = issuer.kind == "service"
    return Principal(
        issuer.name, subject, scopes, client_id, token_id, expires_at, is_service, session_id, authenticated_at
    )


def _text(claims: dict[str, Any], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not value:
        raise NoAutenticado(_NOT_VALID)
    return value


def _instant(claims: dict[str, Any], name: str) -> float:
    value = claims.get(name)
    # The bounds also refuse NaN, the infinities and integers that no float holds.
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _LATEST_EPOCH_SECONDS:
        raise NoAutenticado(_NOT_VALID)
    return float(value)
