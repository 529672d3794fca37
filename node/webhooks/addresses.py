"""Where a node delivers to: out into the world, and never back into the house it stands in.

An address is named by a participant and asked for by the node, so it could be aimed at whatever only the
node's network reaches. Therefore: `https` alone, on the ports that belong to it; the host is resolved once
for each attempt, every address found must be globally routable, and the connection goes to one of those very
addresses, so that a second answer of the name service counts for nothing. Certificate and SNI are still the
name's.

An operator who delivers inside their own network says so when the node starts; then `http`, other ports,
loopback and private networks are let through as well, and still nothing link-local or multicast, where
clouds keep their metadata.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final, NamedTuple

import httpx2

from ledger.errors import CommonpointError

URL_CHARACTERS_MAX: Final = 1_024
Resolve = Callable[[str, int], Sequence[str]]
"""Host and port → the addresses that the name service gives, as text. May raise `OSError`."""

_PORTS: Final = frozenset({443, 8443})
_PORT_MIN: Final = 1_024
"""In a network of the operator's own, every port that is nobody's well-known one, and those of http."""
_OWN_PORTS: Final = frozenset({80, 443})
_LABEL: Final = r"[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?"
_NAME: Final = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*")
_NUMBER: Final = re.compile(r"(?:0x[0-9a-f]*|[0-9]+)\Z")
_PRINTABLE: Final = re.compile(r"[!-~]+")

_GLOBAL_6: Final = IPv6Network("2000::/3")
"""All that was ever given out for the world; NAT64, IPv4-mapped and unique local ones lie outside."""
_NOT_GLOBAL: Final = tuple(
    IPv6Network(each)
    for each in ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20")
) + tuple(
    IPv4Network(each)
    for each in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
"""IANA's special-purpose registries: what is not globally reachable, or reaches something else."""
_OWN: Final = tuple(
    IPv4Network(each)
    for each in ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")
) + tuple(IPv6Network(each) for each in ("::1/128", "fc00::/7"))


class AddressRefused(CommonpointError):
    """An address to which nothing is delivered. The code says why."""


class Target(NamedTuple):
    """A URL that may be delivered to, as far as it says itself."""

    url: httpx2.URL
    host: str
    port: int


def check_url(text: str, *, to_private: bool) -> Target:
    """The URL is one to deliver to. Raises `AddressRefused`; what its host resolves to is checked later."""
    if len(text) > URL_CHARACTERS_MAX or _PRINTABLE.fullmatch(text) is None or "\\" in text:
        raise AddressRefused("URL_MALFORMED")
    try:
        url = httpx2.URL(text)
    except (httpx2.InvalidURL, ValueError):
        raise AddressRefused("URL_MALFORMED") from None
    if url.scheme not in (("https", "http") if to_private else ("https",)):
        raise AddressRefused("URL_SCHEME", scheme=url.scheme)
    if url.userinfo or "@" in text.partition("?")[0] or "#" in text:
        raise AddressRefused("URL_MALFORMED", why="neither user nor fragment")
    port = url.port if url.port is not None else 443 if url.scheme == "https" else 80
    if not (port in _PORTS or (to_private and (port in _OWN_PORTS or _PORT_MIN <= port <= 65_535))):
        raise AddressRefused("URL_PORT", port=port)
    host = url.raw_host.decode("ascii")
    _check_host(host, to_private=to_private)
    return Target(url, host, port)


def _check_host(host: str, *, to_private: bool) -> None:
    """A name, or an address in its one usual spelling that may be delivered to."""
    last = host.rpartition(".")[2]
    if ":" in host or _NUMBER.match(last):
        # Whatever some resolver may take for an address (0x7f.1, 2130706433) is one or is refused.
        try:
            address = ip_address(host)
        except ValueError:
            raise AddressRefused("URL_HOST", why="not an address in its usual spelling") from None
        if str(address) != host:
            raise AddressRefused("URL_HOST", why="not an address in its usual spelling")
        if not is_allowed(host, to_private=to_private):
            raise AddressRefused("NO_PUBLIC_ADDRESS")
    elif _NAME.fullmatch(host) is None:
        raise AddressRefused("URL_HOST", why="not the name of a host")


def is_allowed(address: str, *, to_private: bool) -> bool:
    """Whether a node delivers to this address."""
    try:
        # An address with a zone is link-local, and `ip_address` keeps the zone with it.
        parsed = ip_address(address)
    except ValueError:
        return False
    return _is_global(parsed) or (to_private and any(parsed in network for network in _OWN))


def _is_global(address: IPv4Address | IPv6Address) -> bool:
    if isinstance(address, IPv6Address) and (address not in _GLOBAL_6 or address.scope_id is not None):
        return False
    return not any(address in network for network in _NOT_GLOBAL)


def resolve(host: str, port: int) -> list[str]:
    """What the name service says, in its order. Raises `OSError`. It may take its time."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def choose_addresses(target: Target, *, resolve: Resolve, to_private: bool) -> list[str]:
    """The addresses to try, all of them allowed. Raises `AddressRefused`.

    One that is not allowed refuses them all: a host that is inside and outside at once is no host to us. That
    there are none and that they are not allowed is one answer, so that nobody learns which names our network
    knows.
    """
    try:
        addresses = list(resolve(target.host, target.port))
    except (OSError, UnicodeError):
        addresses = []
    if not addresses or not all(is_allowed(address, to_private=to_private) for address in addresses):
        raise AddressRefused("NO_PUBLIC_ADDRESS")
    return addresses
