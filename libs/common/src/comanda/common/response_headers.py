"""What every answer tells a browser, so that nobody makes a page of it, frames it, guesses its type or keeps it.

Source: OWASP REST Security Cheat Sheet and Secure Headers Project.
"""

from collections.abc import Iterable

from comanda.common.settings import ServiceSettings

RawHeaders = tuple[tuple[bytes, bytes], ...]

NO_STORE = (b"cache-control", b"no-store")
"""For an answer to somebody who has shown a token, unless the answer says otherwise."""

HSTS_SECONDS = 31_536_000
"""A year."""

_ALWAYS = (
    (b"content-security-policy", b"default-src 'none'; base-uri 'none'; frame-ancestors 'none'"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
)
_HSTS = b"strict-transport-security"
_OURS = frozenset((NO_STORE[0], _HSTS, *(name for name, _ in _ALWAYS)))


def security_headers(settings: ServiceSettings) -> RawHeaders:
    """Those of every answer; with HSTS (RFC 6797), subdomains too, where the public address, the issuer's, is https."""
    if settings.auth_issuer.startswith("https://"):
        return (*_ALWAYS, (_HSTS, b"max-age=%d; includeSubDomains" % HSTS_SECONDS))
    return _ALWAYS


def complete(own: Iterable[tuple[bytes, bytes]], ours: RawHeaders) -> list[tuple[bytes, bytes]]:
    """The headers of an answer and ours; where both have one, the answer's own."""
    for name, _ in own:
        if name in _OURS:
            names = {name for name, _ in own}
            return [*own, *(header for header in ours if header[0] not in names)]
    return [*own, *ours]
