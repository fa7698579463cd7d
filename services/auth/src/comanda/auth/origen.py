"""Which requests count as coming from one place."""

import ipaddress

UNKNOWN = "desconocido"
IPV6_SITE_BITS = 64
"""What one subscriber is given at least, and can choose addresses from freely (RFC 6177, RIPE-690)."""


def lugar(address: str) -> str:
    """The place that an address stands for: an IPv4 address by itself, of IPv6 the network of 64 bits.

    What is no address is one place for all: a proxy that passes on nonsense must not give anybody places without end.
    """
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return UNKNOWN
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((int(parsed), IPV6_SITE_BITS), strict=False))
