"""What the machine says about names: its hosts file, and how its resolver is set up. Read once a process.

Called by ``naming`` and ``settings``. Pure functions of the files' text, and where the files are.
"""

from __future__ import annotations

import contextlib
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from img2dataset.errors import OptionError

HOSTS_FILE = Path("/etc/hosts")
RESOLVER_FILE = Path("/etc/resolv.conf")
_LARGEST_NDOTS = 15
_SERVER_WITH_PORT = re.compile(r"(?:\[(?P<ipv6>[^\]]*)\]|(?P<ipv4>[^:]*)):(?P<port>[0-9]{1,5})")


@dataclass(frozen=True, slots=True)
class SearchRules:
    """How short names are completed: ``ndots`` and ``search`` of resolv.conf(5).

    ``has_servers``: name servers are set. Without any the C library would ask this machine itself.
    """

    domains: tuple[str, ...] = ()
    ndots: int = 1
    has_servers: bool = False

    def candidates(self, name: str) -> tuple[str, ...]:
        """The full names to ask for, in order, until one exists.

        A name with a dot is asked for as it stands first, where the system may put it last (Kubernetes
        sets ndots to 5): one question instead of four for nearly every name of a list. One with enough
        dots is complete, and is not completed by a search domain of the own network.
        """
        dots = name.count(".")
        if name.endswith(".") or dots >= self.ndots or not self.domains:
            return (name.removesuffix("."),)
        completed = tuple(f"{name}.{domain}" for domain in self.domains)
        return (name, *completed) if dots else (*completed, name)


def parse_resolver_file(text: str) -> SearchRules:
    """The rules that the text of a resolv.conf sets; the last of several ``search`` lines holds."""
    domains: tuple[str, ...] = ()
    ndots, has_servers = 1, False
    for line in _lines(text):
        keyword, *values = line.split()
        if keyword == "nameserver" and values:
            has_servers = True
        elif keyword in ("search", "domain"):
            domains = tuple(stripped for value in values if (stripped := value.strip(".").lower()))
        elif keyword == "options":
            for value in values:
                if value.startswith("ndots:") and value[6:].isdigit():
                    ndots = min(int(value[6:]), _LARGEST_NDOTS)
    return SearchRules(domains, ndots, has_servers)


def parse_hosts_file(text: str) -> dict[str, tuple[str, ...]]:
    """Name in lower case → its addresses in the order of the file."""
    addresses: dict[str, tuple[str, ...]] = {}
    for line in _lines(text):
        address, *names = line.split()
        if not _is_address(address):
            continue
        for name in (name.lower().removesuffix(".") for name in names):
            if address not in addresses.get(name, ()):
                addresses[name] = (*addresses.get(name, ()), address)
    return addresses


def read_text(path: Path) -> str:
    """The text of a system file; empty if there is none."""
    with contextlib.suppress(OSError):
        return path.read_text(encoding="utf-8", errors="replace")
    return ""


def has_ipv6(path: Path = Path("/proc/net/if_inet6")) -> bool:
    """Whether this machine has an IPv6 address of the internet (2000::/3).

    Without one, asking for IPv6 addresses doubles the questions and gives what cannot be reached.
    """
    if path.exists():
        return any(line[0] in "23" for line in read_text(path).splitlines())
    # Where the kernel has no such file. Sends nothing: it only chooses the address it would send from.
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.connect(("2001:db8::1", 53))
            return bool(probe.getsockname()[0][0] in "23")
    except OSError:
        return False


def name_server(text: str) -> str:
    """A name server as users write it (``192.0.2.1``, ``192.0.2.1:5353``, ``[2001:db8::1]:53``), for c-ares.

    Raises:
        OptionError: it is no address, or the port is none.
    """
    text = text.strip()
    match = _SERVER_WITH_PORT.fullmatch(text)
    address, port = (match["ipv6"] or match["ipv4"], match["port"]) if match else (text.strip("[]"), "53")
    if not _is_address(address) or not 0 < int(port) < 65536:
        raise OptionError(
            f"dns_servers has {text!r}; each must be an address, with a port if it is not 53:"
            " 192.0.2.1, 192.0.2.1:5353 or [2001:db8::1]:53"
        )
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _lines(text: str) -> Iterator[str]:
    for line in text.splitlines():
        line = line.partition("#")[0].partition(";")[0].strip()
        if line:
            yield line


def _is_address(text: str) -> bool:
    family = socket.AF_INET6 if ":" in text else socket.AF_INET
    try:
        socket.inet_pton(family, text)
    except OSError:
        return False
    return True
