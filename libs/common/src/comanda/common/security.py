"""Who may call a route: the bearer token of a request, checked offline, and the scopes it carries (RFC 6750)."""

from typing import Any

from fastapi import Depends
from fastapi.openapi.models import HTTPBearer
from fastapi.security.base import SecurityBase
from starlette.requests import Request
from starlette.types import Scope

from comanda.common.headers import header
from comanda.common.problems import NoAutenticado, NoAutorizado
from comanda.common.tokens import Principal

SIN_ALCANCES = (
    "El token no tiene ningún alcance: si la cuenta no tiene segundo factor, actívelo (POST /auth/yo/totp y "
    "/auth/yo/totp/confirmar) y entre de nuevo."
)
"""For who logged in without the second factor that is asked of everybody."""

CALLER = "comanda.caller"
"""Where the scope of a request keeps its caller, once identified."""


def source(scope: Scope) -> str:
    """The address that a request came from; behind a trusted proxy, the one that the proxy saw."""
    client = scope.get("client")
    return str(client[0]) if client else ""


class Allow(SecurityBase):
    """A dependency that answers with the caller, if its token carries one of the scopes.

    Raises:
        NoAutenticado: no bearer token, or an invalid one.
        NoAutorizado: it carries none of the scopes.
    """

    def __init__(self, *scopes: str) -> None:
        self.model = HTTPBearer(bearerFormat="JWT")
        self.scheme_name = "token"
        self.scopes = frozenset(scopes)

    async def __call__(self, request: Request) -> Principal:
        principal: Principal | None = request.scope.get(CALLER)
        if principal is None:
            principal = request.scope[CALLER] = await self._identify(request)
        if self.scopes and self.scopes.isdisjoint(principal.scopes):
            raise NoAutorizado(None if principal.scopes else SIN_ALCANCES)
        return principal

    async def _identify(self, request: Request) -> Principal:
        scheme, _, token = (header(request, b"authorization") or "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise NoAutenticado
        principal: Principal = await request.app.state.wiring.verifier.verify(token.strip())
        return principal


def allow(*scopes: str) -> Any:
    """`Annotated[Principal, allow("pedidos:crear")]`: the caller, who has at least one of the scopes."""
    return Depends(Allow(*scopes))
