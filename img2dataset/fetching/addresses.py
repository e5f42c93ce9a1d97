"""What kind of address is this, and may it be connected to? Pure; called before and at each connection.

Comes in: a host as written in a URI, or the address of a connection. Goes out: its ``Kind``, or the
failure with which a connection to it is refused. IPv6 forms that carry an IPv4 address (mapped, compatible,
NAT64, 6to4, Teredo) are what that address is. Kinds follow IANA's special-purpose registries (RFC 6890).
"""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from img2dataset import failures
from img2dataset.failures import Failure

Kind = Literal[
    "public", "private", "loopback", "link-local", "metadata", "multicast", "unspecified", "reserved"
]
_ALLOWED_IN_LISTS = frozenset({"public", "private", "loopback"})

# The first match counts. "metadata" are the services by which clouds give programs of a machine its keys.
_IPV4: tuple[tuple[str, Kind], ...] = (
    ("0.0.0.0/8", "unspecified"),
    ("100.100.100.200/32", "metadata"),  # Alibaba
    ("168.63.129.16/32", "metadata"),  # Azure
    ("192.0.0.192/32", "metadata"),  # Oracle
    ("169.254.0.0/16", "link-local"),  # with 169.254.169.254, nearly everybody's metadata
    ("127.0.0.0/8", "loopback"),
    ("10.0.0.0/8", "private"),
    ("100.64.0.0/10", "private"),
    ("172.16.0.0/12", "private"),
    ("192.0.0.0/24", "private"),
    ("192.0.2.0/24", "private"),
    ("192.168.0.0/16", "private"),
    ("198.18.0.0/15", "private"),
    ("198.51.100.0/24", "private"),
    ("203.0.113.0/24", "private"),
    ("224.0.0.0/4", "multicast"),
    ("240.0.0.0/4", "reserved"),  # with the broadcast address
)
_IPV6: tuple[tuple[str, Kind], ...] = (
    ("::/128", "unspecified"),
    ("::1/128", "loopback"),
    ("fd00:ec2::/32", "metadata"),  # Amazon
    ("fd20:ce::254/128", "metadata"),  # Google
    ("fd00:42::42/128", "metadata"),  # Scaleway
    ("fc00::/7", "private"),
    ("fe80::/10", "link-local"),
    ("fec0::/10", "private"),
    ("ff00::/8", "multicast"),
    ("64:ff9b:1::/48", "private"),
    ("2001::/23", "private"),
    ("2001:db8::/32", "private"),
    ("3fff::/20", "private"),
    ("2000::/3", "public"),
)
# Prefixes whose addresses carry an IPv4 address, that many bits above the lowest.
_CARRIERS = (
    ("::/96", 0),
    ("::ffff:0:0/96", 0),
    ("::ffff:0:0:0/96", 0),
    ("64:ff9b::/96", 0),
    ("2002::/16", 80),
)
_TEREDO = 0x20010000 << 96
_NAT64_LOCAL = 0x0064FF9B0001 << 80
_NUMERIC_LABEL = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")


def _network(text: str, family: int) -> tuple[int, int]:
    """(network, mask) as numbers."""
    address, _, length = text.partition("/")
    bits = 32 if family == socket.AF_INET else 128
    mask = ((1 << bits) - 1) ^ ((1 << bits - int(length)) - 1)
    return int.from_bytes(socket.inet_pton(family, address), "big"), mask


_IPV4_NETWORKS = tuple((*_network(text, socket.AF_INET), kind) for text, kind in _IPV4)
_IPV6_NETWORKS = tuple((*_network(text, socket.AF_INET6), kind) for text, kind in _IPV6)
_CARRIER_NETWORKS = tuple((*_network(text, socket.AF_INET6), shift) for text, shift in _CARRIERS)


@lru_cache(maxsize=8192)
def kind_of(address: str) -> Kind:
    """The kind of a numeric address, as a socket names it; what is no such address is ``reserved``."""
    try:
        if ":" not in address:
            return _kind_of_ipv4(int.from_bytes(socket.inet_pton(socket.AF_INET, address), "big"))
        packed = socket.inet_pton(socket.AF_INET6, address.partition("%")[0])
    except OSError:
        return "reserved"
    return _kind_of_ipv6(int.from_bytes(packed, "big"))


def _kind_of_ipv4(number: int) -> Kind:
    for network, mask, kind in _IPV4_NETWORKS:
        if number & mask == network:
            return kind
    return "public"


def _kind_of_ipv6(number: int) -> Kind:
    if number > 1:  # :: and ::1 are their own
        for network, mask, shift in _CARRIER_NETWORKS:
            if number & mask == network:
                return _kind_of_ipv4(number >> shift & 0xFFFFFFFF)
    if number >> 96 == _TEREDO >> 96:
        carried = _kind_of_ipv4(~number & 0xFFFFFFFF)
        return "private" if carried == "public" else carried
    if number >> 80 == _NAT64_LOCAL >> 80:
        # Where in these the IPv4 address stands is the network's choice (RFC 6052): at the end, or after
        # the prefix with eight bits left out.
        numbers = (number, (number >> 64 & 0xFFFF) << 16 | number >> 40 & 0xFFFF)
        for carried in (_kind_of_ipv4(each & 0xFFFFFFFF) for each in numbers):
            if carried not in _ALLOWED_IN_LISTS and carried != "unspecified":
                return carried
        return "private"
    for network, mask, kind in _IPV6_NETWORKS:
        if number & mask == network:
            return kind
    return "reserved"


@lru_cache(maxsize=8192)
def numeric_address(host: str) -> str | None:
    """The address that ``host`` spells, in the usual form; None if it is a name.

    IPv4 in every spelling that some program takes for one: decimal, octal, hexadecimal, with one to four
    parts, with a dot at the end. IPv6 with its brackets or without.

    Raises:
        ValueError: the last part is a number, so it is no name, but it is no address either.
    """
    if ":" in host:
        try:
            packed = socket.inet_pton(socket.AF_INET6, host.strip("[]"))
        except OSError:
            raise ValueError(host) from None
        return socket.inet_ntop(socket.AF_INET6, packed)
    parts = host.removesuffix(".").split(".")
    if not _NUMERIC_LABEL.fullmatch(parts[-1]):
        return None
    *first, last = (_number(part) for part in parts)
    if len(first) > 3 or any(number > 255 for number in first) or last >= 256 ** (4 - len(first)):
        raise ValueError(host)
    packed = bytes(first) + last.to_bytes(4 - len(first), "big")
    return socket.inet_ntop(socket.AF_INET, packed)


def _number(part: str) -> int:
    if len(part) > 32 or not _NUMERIC_LABEL.fullmatch(part):
        raise ValueError(part)
    if part[:2] in ("0x", "0X"):
        return int(part[2:] or "0", 16)
    return int(part, 8 if part[0] == "0" else 10)


@dataclass(frozen=True, slots=True)
class Reach:
    """Which addresses may be connected to.

    ``private_allowed``: private and loopback addresses may be named by the list itself. A redirect from a
    public address to one of them is refused in any case. ``proxied``: the address is that of a proxy, and
    says nothing about where the request goes.
    """

    private_allowed: bool
    proxied: bool = False

    def refusal(self, address: str, after_public: bool) -> Failure | None:
        """The failure of a connection to ``address``; None if it may be made.

        Args:
            address: numeric.
            after_public: a redirect from a public address led here.
        """
        kind = kind_of(address)
        if kind == "public":
            return None
        if kind in _ALLOWED_IN_LISTS and self.private_allowed and (self.proxied or not after_public):
            return None
        return failures.of_address(kind)

    def select(
        self, addresses: tuple[str, ...], after_public: bool
    ) -> tuple[tuple[str, ...], Failure | None]:
        """Those of a name's ``addresses`` that may be connected to; if none may, why the first may not."""
        refusals = [self.refusal(address, after_public) for address in addresses]
        if not any(refusals):
            return addresses, None
        kept = tuple(address for address, refusal in zip(addresses, refusals, strict=True) if refusal is None)
        return kept, None if kept else refusals[0]
