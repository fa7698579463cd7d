"""Free ports for processes that die and come back on the same one."""

import random
import socket
from itertools import islice
from pathlib import Path

FIRST = 12_000
_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")


def free_ports(count: int) -> list[int]:
    """Loopback ports that were free a moment ago, all different, none of which the kernel gives away by itself.

    Otherwise an outgoing connection could take the place of a process while it is dead, and keep it from coming back;
    even one to that very place, which TCP then connects to itself.

    Raises:
        OSError: there are not so many.
    """
    outgoing_from = int(_RANGE.read_text().split()[0]) if _RANGE.exists() else 32_768
    candidates = list(range(FIRST, outgoing_from))
    random.shuffle(candidates)
    found = list(islice(filter(_is_free, candidates), count))
    if len(found) < count:
        raise OSError(f"there are no {count} free ports from {FIRST} to {outgoing_from}")
    return found


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
