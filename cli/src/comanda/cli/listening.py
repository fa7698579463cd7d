"""Where a program of ours is to listen, and what is wrong with that."""

import errno
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from comanda.common.settings import ServiceSettings


@dataclass(frozen=True)
class Place:
    """An address and a port, and the settings that name them."""

    host: str
    port: int
    host_variable: str
    port_variable: str

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    def meets(self, other: "Place") -> bool:
        """Whether the two exclude each other: `0.0.0.0` is every address of IPv4, `::` every one there is."""
        hosts = {self.host, other.host}
        if "0.0.0.0" in hosts:  # noqa: S104  # nothing is bound to it here
            hosts = {"0.0.0.0" if ":" not in host else host for host in hosts}  # noqa: S104
        return self.port == other.port and (len(hosts) == 1 or "::" in hosts)

    def fault(self, *, is_taken: bool) -> str:
        """What is wrong with it, naming the setting; empty if nothing is."""
        if self.port == 0:
            return f"{self.port_variable}: 0 is no port that the other services could find"
        if is_taken:
            return f"{self} is given to two programs: set {self.port_variable} to another port"
        try:
            self.bind().close()
        except OSError as error:
            return self.explain(error)
        return ""

    def bind(self) -> socket.socket:
        """Takes the place, which nobody else may hold.

        Raises:
            OSError: it cannot be taken.
        """
        family, _, _, _, socket_address = socket.getaddrinfo(
            self.host, self.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        taken = socket.socket(family)
        try:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            taken.bind(socket_address)
        except OSError:
            taken.close()
            raise
        return taken

    def explain(self, error: OSError) -> str:
        """That error as a line that names the setting to change."""
        if error.errno == errno.EADDRINUSE:
            return f"{self} is in use: set {self.port_variable} to another port"
        if error.errno == errno.EACCES:
            return f"{self} needs more rights than this user has: set {self.port_variable} to another port"
        return f"{self.host_variable}: cannot listen on {self.host}: {error.strerror}"


def place_of(settings: "ServiceSettings") -> Place:
    """Where that service listens."""
    return Place(settings.host, settings.port, settings.variable("host"), settings.variable("port"))
