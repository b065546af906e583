"""A URL → where it leads: which service's house, and whether into the world, this machine or its network."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Literal

from runner.catalog import split

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_LOCAL_NAT64 = ipaddress.IPv6Network("64:ff9b:1::/48")  # RFC 8215: where it leads is the network's own business
_COMPATIBLE = ipaddress.IPv6Network("::/96")

Realm = Literal["everywhere", "this machine", "the network"]


def realm(host: str) -> Realm:
    """Where a host, as written, stands: names count as everywhere but those that are reserved for private use."""
    name = host.lower().removesuffix(".")  # the root's dot, which changes nothing
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        if name == "localhost" or name.endswith(".localhost"):
            return "this machine"
        return "the network" if name.endswith((".local", ".internal")) else "everywhere"
    if isinstance(address, ipaddress.IPv6Address):
        if address in _LOCAL_NAT64:
            return "the network"
        address = _carried(address)
    return "this machine" if address.is_loopback else "everywhere" if address.is_global else "the network"


def _carried(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The IPv4 address that an IPv6 one stands for, where it does: a gateway would lead there (RFC 4291, 6052, 3056)."""
    if address.ipv4_mapped or address.sixtofour:
        return address.ipv4_mapped or address.sixtofour or address
    is_carrier = any(address in net for net in (_NAT64, _COMPATIBLE)) and int(address) & 0xFFFFFFFF > 1
    return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF) if is_carrier else address


def is_at(url: str, bases: Sequence[str]) -> bool:
    """Whether a URL lies at one of these: scheme, host and port, however they are spelt."""
    return _origin(url) in map(_origin, bases)


def _origin(url: str) -> tuple[str, str, int | None]:
    parts = split(url)
    return parts.scheme, (parts.hostname or "").lower(), parts.port or {"https": 443, "http": 80}.get(parts.scheme)


def host_of(url: str) -> str:
    """`host[:port]`, never a user or password."""
    parts = split(url)
    return (parts.hostname or "") + (f":{parts.port}" if parts.port else "")
