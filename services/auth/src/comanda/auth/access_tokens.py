"""What access tokens say (RFC 9068 §2.2), whoever they are given to."""

from typing import Any

from comanda.auth.settings import Settings
from comanda.common.clock import Clock
from comanda.common.trust import USERS_AUDIENCE


def access_claims(
    settings: Settings,
    clock: Clock,
    *,
    sub: str,
    client_id: str,
    scope: str,
    life_seconds: int | None = None,
    **own: Any,
) -> dict[str, Any]:
    """The claims of a token that is issued now, with what is said besides of this kind of holder.

    Args:
        life_seconds: by default as the settings say.
    """
    issued = int(clock.now().timestamp())
    return {
        "iss": settings.issuer,
        "sub": sub,
        "aud": USERS_AUDIENCE,
        "exp": issued + (settings.access_token_seconds if life_seconds is None else life_seconds),
        "iat": issued,
        "jti": str(clock.new_id()),
        "client_id": client_id,
        "scope": scope,
        **own,
    }
