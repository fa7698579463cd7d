"""Sessions that a browser keeps in a cookie: which pages may use it, and what it looks like."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import urlsplit

from comanda.auth.domain import NO_STORE
from comanda.common.problems import Problem

PATH = "/auth/sesion"
NAME = "comanda_sesion"
DEFAULT_PORTS = {"http": 80, "https": 443}


class CredencialesIncorrectas(Problem):
    """The email and the password, or the code of the second step, are not right."""

    status, slug, title = 401, "credenciales-incorrectas", "El email o la contraseña no son correctos"

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail, headers=NO_STORE | {"WWW-Authenticate": "Bearer"})


class SegundoFactorPendiente(Problem):
    """The password is right, and no session exists yet: send `mfa_token` with a code."""

    status, slug, title = 403, "segundo-factor-requerido", "Falta el código del segundo factor"
    extra_schema: ClassVar[dict[str, Any]] = {"mfa_token": {"type": "string"}}

    def __init__(self, mfa_token: str) -> None:
        super().__init__(headers=NO_STORE, mfa_token=mfa_token)


class SesionTerminada(Problem):
    """There is no session, or it has ended: log in again. The cookie is removed."""

    status, slug, title = 401, "sesion-terminada", "La sesión ha terminado"

    def __init__(self, cookie: "Cookie") -> None:
        headers = NO_STORE | {"WWW-Authenticate": "Bearer", "Set-Cookie": cookie.removal}
        super().__init__("Entre de nuevo.", headers=headers)


class OrigenNoPermitido(Problem):
    """A page of somebody else asks, in the name of whoever looks at it."""

    status, slug, title = 403, "origen-no-permitido", "La página que lo pide no es de esta dirección"

    def __init__(self) -> None:
        super().__init__(headers=NO_STORE)


@dataclass(frozen=True, slots=True)
class Cookie:
    """Carries the refresh token, out of reach of scripts (RFC 6265bis)."""

    secure: bool
    """Whether people reach us by https: then the name keeps other hosts and plain pages from setting it, and wants the
    path `/` (§4.1.3.2)."""

    @property
    def name(self) -> str:
        return f"__Host-{NAME}" if self.secure else NAME

    def holding(self, token: str, seconds: int) -> str:
        """The `Set-Cookie` that keeps it so long."""
        place = "/; Secure" if self.secure else PATH
        return f"{self.name}={token}; Max-Age={seconds}; Path={place}; HttpOnly; SameSite=Strict"

    @property
    def removal(self) -> str:
        return self.holding("", 0)


def exigir_pagina_propia(
    origin: str | None, fetch_site: str | None, *, host: str, origenes: Iterable[str], secure: bool
) -> None:
    """Lets pages of our own address pass, and programs, which send neither header.

    SameSite alone does not tell apart what is of one site: other ports of this machine, other names of the domain.

    Args:
        origin: header `Origin` (RFC 6454 §7); browsers send it with every POST and DELETE.
        fetch_site: header `Sec-Fetch-Site` (Fetch Metadata); browsers send it to https and to localhost.
        host: header `Host`.
        origenes: where our pages are besides that, should a proxy not pass on the `Host` that the browser has sent.
        secure: only pages that came by https are ours.

    Raises:
        OrigenNoPermitido.
    """
    if fetch_site not in (None, "same-origin", "none"):
        raise OrigenNoPermitido
    if origin is None:
        return
    page = _parts(origin)
    if page is None or (secure and page[0] != "https"):
        raise OrigenNoPermitido
    if page not in (_parts(f"{page[0]}://{host}"), *map(_parts, origenes)):
        raise OrigenNoPermitido


def _parts(origin: str) -> tuple[str, str, int] | None:
    """Scheme, host and port; None: it is no origin, as `null` is none."""
    try:
        url = urlsplit(origin)
        port = url.port or DEFAULT_PORTS[url.scheme]
    except (ValueError, KeyError):
        return None
    return (url.scheme, url.hostname, port) if url.hostname else None
