"""A link that a server gave → whether it may be followed: as written, as its name resolves, and as it then turns out.

Links lead anywhere in the world, or to where the provider itself lives (`home`): this machine, or its network.
"""

from __future__ import annotations

import anyio

from runner.answers import clean
from runner.catalog import split
from runner.errors import Refused
from runner.hosts import Realm, realm


def check(url: str, home: Realm) -> None:
    """As written: http(s) only."""
    parts = split(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise Refused(f'the provider gave a link that is not http(s): "{clean(url, 80)}"')
    check_address(parts.hostname, parts.hostname, home)


async def check_name(host: str, port: int, home: Realm) -> None:
    """A name may stand for this machine or one in its network: what it resolves to counts, in whatever form it is written."""
    if realm(host) == home != "everywhere":
        return
    try:
        found = await anyio.getaddrinfo(host, port)
    except OSError:
        return  # a proxy may know it; without one there is no connection
    for *_, address in found:
        check_address(str(address[0]), host, home)


def check_address(address: str, shown: str, home: Realm) -> None:
    if realm(address) not in {"everywhere", home}:
        raise Refused(f"the provider gave a link into a private network: {shown}")
