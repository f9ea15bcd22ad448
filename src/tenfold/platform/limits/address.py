"""Addresses: who is at the other end of a connection, and how the limits count them.

Only `X-Forwarded-For` is read. RFC 7239's `Forwarded` is not: a proxy that writes one of the two passes the other
through as the client sent it, so a server that believes both believes the client.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Read `10.0.0.0/8`, `2001:db8::/32` or single addresses; raises ValueError naming the text that is neither."""
    return tuple(ip_network(text.strip()) for text in texts)


@lru_cache(maxsize=8192)
def client_key(address: str) -> str:
    """Who an address is to the limits: an IPv4 address, an IPv6 /64 (what one household gets), or `ip:unknown`.

    An IPv4 address mapped into IPv6 (`::ffff:192.0.2.1`) counts as IPv4.
    """
    parsed = _parse(address)
    if parsed is None:
        return "ip:unknown"
    if isinstance(parsed, IPv4Address):
        return f"ip:{parsed}"
    return f"ip:{IPv6Address(int(parsed) >> 64 << 64)}/64"


def client_address(peer: str, forwarded_for: str | None, trusted: Sequence[Network]) -> str:
    """The address of the client: the peer, or what proxies that we trust say of it in `X-Forwarded-For`.

    The header is walked from the right, where our own proxies write, past those we trust; the first other address is
    the client, and what stands left of it is the client's own invention. After a malformed hop the peer is the client.
    """
    if not forwarded_for or not trusted or not _is_trusted(peer, trusted):
        return peer
    found, rest = peer, forwarded_for
    while rest:
        rest, _, hop = rest.rpartition(",")
        address = _hop(hop.strip())
        if address is None:
            return peer
        found = address
        if not _is_trusted(address, trusted):
            break
    return found


def _hop(text: str) -> str | None:
    """The address in one hop, without the port that some proxies add: `192.0.2.1:4711`, `[2001:db8::1]:4711`."""
    if text.startswith("["):
        text, closed, port = text[1:].partition("]")
        if not closed or (port and not (port[0] == ":" and port[1:].isdecimal())):
            return None
    elif text.count(":") == 1:
        text, _, port = text.partition(":")
        if not port.isdecimal():
            return None
    parsed = _parse(text)
    return None if parsed is None else str(parsed)


def _is_trusted(address: str, trusted: Sequence[Network]) -> bool:
    parsed = _parse(address)
    return parsed is not None and any(parsed in network for network in trusted)


@lru_cache(maxsize=8192)
def _parse(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        return address.ipv4_mapped or address
    return address
