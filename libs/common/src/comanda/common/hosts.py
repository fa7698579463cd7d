"""The names that a service answers to.

A page whose own name was made to point here (DNS rebinding) is of the same origin as we are, for its browser; the Host
header alone tells that it meant somebody else.
"""

import re
from collections.abc import Iterable

from comanda.common.problems import Problem
from comanda.common.settings import ServiceSettings

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
"""No page of somebody else can have one of these names."""

_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+?)\.?(?::[0-9]*)?", re.IGNORECASE)


class SinHost(Problem):
    """The request names no host, which HTTP/1.1 demands (RFC 9112 §3.2)."""

    status, slug, title = 400, "sin-host", "Falta la cabecera Host"


class HostNoAdmitido(Problem):
    """The request is meant for a name that the service does not answer to (RFC 9110 §15.5.20)."""

    status, slug, title = 421, "host-no-admitido", "El servicio no atiende con este nombre"


class AllowedHosts:
    """Judges the Host header of each request.

    Args:
        names: without port; `.example.com` is that name and all below, `*` any.
        variable: the setting that allows more, for whoever is refused.
    """

    MAX_KNOWN = 256

    def __init__(self, names: Iterable[str], variable: str) -> None:
        lower = [name.lower() for name in names]
        self._every = "*" in lower
        self._names = frozenset(name.removeprefix(".") for name in lower)
        self._suffixes = tuple(name for name in lower if name.startswith("."))
        self._variable = variable
        self._known: set[bytes] = set()  # as they were sent, so that nobody has to look closely a second time

    @classmethod
    def from_settings(cls, settings: ServiceSettings) -> "AllowedHosts":
        names = (*LOOPBACK, in_url(settings.host), *settings.allowed_host_names)
        if settings.listens_everywhere and not settings.allowed_host_names:
            names = (*names, "*")
        return cls(names, settings.variable("allowed_hosts"))

    def check(self, host: bytes | None) -> None:
        """Raises `SinHost` or `HostNoAdmitido`."""
        if host in self._known or self._every:
            return
        if not host:
            raise SinHost
        if not self._allows(host.decode("latin-1")):
            raise HostNoAdmitido(f"Llame por otro nombre, o permita este en {self._variable}.")
        if len(self._known) < self.MAX_KNOWN:
            self._known.add(host)

    def _allows(self, host: str) -> bool:
        match = _HOST.fullmatch(host)
        if match is None:
            return False
        name = match[1].lower()
        return name in self._names or name.endswith(self._suffixes)


def in_url(address: str) -> str:
    """An address as it stands in a URL: IPv6 in brackets (RFC 3986 §3.2.2)."""
    return f"[{address}]" if ":" in address else address
