"""The system's own name service: its files, and why its resolver did not find a host.

``/etc/hosts`` and ``/etc/resolv.conf`` are read once a process, by pure functions of their text; called by
``http.destinations`` and ``settings``.

Where libcurl asks the system's resolver it says only that it failed; whether the name does not exist or the
resolver could not tell decides if another try makes sense. So the question is asked once more
(``NameFailures``, called by the loop), on a few threads of its own, once a host; while more hosts than that
wait for their answer the resolver is plainly overwhelmed, and that is the answer.
"""

from __future__ import annotations

import contextlib
import queue
import re
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar
from urllib.parse import urlsplit

from img2dataset import failures
from img2dataset.errors import OptionError
from img2dataset.failures import Failure
from img2dataset.fetching.machine import RESOURCE_ERRORS

HOSTS_FILE = Path("/etc/hosts")
RESOLVER_FILE = Path("/etc/resolv.conf")
_LARGEST_NDOTS = 15
_SERVER_WITH_PORT = re.compile(r"(?:\[(?P<ipv6>[^\]]*)\]|(?P<ipv4>[^:]*)):(?P<port>[0-9]{1,5})")
_NDOTS = re.compile(r"ndots:([0-9]{1,9})")

THREADS = 4
LONGEST_QUEUE = 64
REMEMBERED_HOSTS = 10_000
_NO_SUCH_NAME = frozenset(
    number for name in ("EAI_NONAME", "EAI_NODATA") if (number := getattr(socket, name, None)) is not None
)
Waiting = TypeVar("Waiting")


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
                if match := _NDOTS.fullmatch(value):
                    ndots = min(int(match[1]), _LARGEST_NDOTS)
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
            f"--dns_servers has {text!r}; each must be an address, with a port if it is not 53:"
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


class NameFailures(Generic[Waiting]):
    """Learns, without blocking the caller, why hosts did not resolve.

    Only the two queues are shared with its threads; the rest belongs to the fetcher's.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._not_found: set[str] = set()
        self._waiting: dict[str, list[Waiting]] = {}
        self._questions: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[tuple[str, Failure]] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        # What one of the threads has died of.
        self._error: BaseException | None = None

    def ask(self, uri: str, waiting: Waiting) -> Failure | None:
        """The failure of ``uri``'s host; None if ``answered`` will tell it to ``waiting``."""
        host = urlsplit(uri).hostname or ""
        if host in self._not_found:
            return failures.DNS_NOT_FOUND
        if host in self._waiting:
            self._waiting[host].append(waiting)
            return None
        if len(self._waiting) >= LONGEST_QUEUE:
            return failures.DNS_TEMPORARY
        if len(self._threads) < THREADS:
            thread = threading.Thread(target=self._answer, name="img2dataset-names", daemon=True)
            self._threads.append(thread)
            thread.start()
        self._waiting[host] = [waiting]
        self._questions.put(host)
        return None

    def answered(self) -> list[tuple[Waiting, Failure]]:
        """Who has an answer by now, with the failure.

        Raises:
            BaseException: what one of the threads has died of; its host would wait for ever.
        """
        if self._error is not None:
            raise self._error
        came: list[tuple[Waiting, Failure]] = []
        while not self._answers.empty():
            host, failure = self._answers.get()
            # What does not exist stays so for this run; what could not be told is asked anew.
            if failure == failures.DNS_NOT_FOUND and len(self._not_found) < REMEMBERED_HOSTS:
                self._not_found.add(host)
            came += [(waiting, failure) for waiting in self._waiting.pop(host)]
        return came

    def close(self) -> None:
        """Let the threads end; those inside the system's resolver end when it returns."""
        for _ in self._threads:
            self._questions.put(None)

    def _answer(self) -> None:
        try:
            while (host := self._questions.get()) is not None:
                self._answers.put((host, why_not_resolved(host)))
                self._wake()
        except BaseException as error:
            self._error = error
            self._wake()


def why_not_resolved(host: str) -> Failure:
    """Ask the system's resolver for ``host``, whose lookup has failed before; blocks."""
    try:
        socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        return failures.DNS_NOT_FOUND if error.errno in _NO_SUCH_NAME else failures.DNS_TEMPORARY
    except OSError as error:
        return failures.OUT_OF_RESOURCES if error.errno in RESOURCE_ERRORS else failures.DNS_TEMPORARY
    except UnicodeError:
        return failures.DNS_NOT_FOUND
    return failures.DNS_TEMPORARY
