"""A DNS server on loopback, in a process of its own: ``python -m tests.fetching.dns_server [ADDRESS]``.

What it answers is written in the names (the labels left of ``.test``): ``a127-0-0-1.x.test`` has that IPv4
address, ``b--1.x.test`` is the IPv6 address ``::1``, several labels several addresses; ``missing``,
``servfail``, ``refused``, ``silent``, ``lost2`` (the first two questions are lost), ``slow1500`` (the answer
takes 1.5 s, however often it is asked for), ``ttl1``, ``long`` (more than a datagram holds: asked again over
TCP), ``brokenaaaa`` (denies the whole name when asked for IPv6), ``thenA-B-C-D`` (from the second question
on that address: rebinding). Counts what it is asked.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import json
import random
import re
import socket
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
A, AAAA = 1, 28
PORTS = 20_000, 32_000
SERVFAIL, NXDOMAIN, REFUSED = 2, 3, 5


class DnsServer:
    """The handle a test holds; ``address`` is what a client is told."""

    def __init__(self, address: str = "127.0.0.1", port: int = 0) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.fetching.dns_server", address, str(port)],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout
        self.port = int(self._process.stdout.readline())
        self.address = f"[{address}]:{self.port}" if ":" in address else f"{address}:{self.port}"

    def questions(self, name: str | None = None) -> int:
        """How often ``name`` was asked for, of any type; None: everything together."""
        counts: dict[str, int] = self._ask("counts")
        return sum(counts.values()) if name is None else counts.get(name.lower(), 0)

    def _ask(self, what: str) -> Any:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{what}\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def peak(self) -> int:
        """For how many names answers were due later at one time, at most."""
        return int(self._ask("peak"))

    def close(self) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        try:
            self._process.wait(60)
        finally:
            self._process.kill()
            self._process.wait()
            self._process.stdout.close()

    def __enter__(self) -> DnsServer:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class Zone:
    """What is answered; counts by name."""

    def __init__(self) -> None:
        self.counts: collections.Counter[str] = collections.Counter()
        self.due = self.peak = 0
        self.seen: set[bytes] = set()
        self.by_kind: collections.Counter[tuple[str, int]] = collections.Counter()

    def answer(self, question: bytes, tcp: bool) -> tuple[bytes | None, float]:
        """The packet to send back, None for silence, and after how many seconds."""
        labels, end = read_name(question)
        (kind,) = struct.unpack(">H", question[end : end + 2])
        name = ".".join(labels).lower()
        self.counts[name] += 1
        self.by_kind[name, kind] += 1
        parts = name.split(".")
        delay = next((int(part[4:]) / 1000 for part in parts if re.fullmatch(r"slow\d+", part)), 0.0)
        lost = next((int(part[4:]) for part in parts if re.fullmatch(r"lost\d+", part)), 0)
        if "silent" in parts or self.by_kind[name, kind] <= lost:
            return None, 0.0
        codes = {"missing": NXDOMAIN, "servfail": SERVFAIL, "refused": REFUSED}
        code = next((codes[part] for part in parts if part in codes), 0)
        if "brokenaaaa" in parts and kind == AAAA:
            code = NXDOMAIN
        ttl = next((int(part[3:]) for part in parts if re.fullmatch(r"ttl\d+", part)), 300)
        section = question[12 : end + 4]
        if "long" in parts and not tcp:
            return question[:2] + struct.pack(">HHHHH", 0x8380, 1, 0, 0, 0) + section, delay
        records = b"" if code else b"".join(record(kind, ttl, each) for each in self.addresses(parts, kind))
        count = len(records) // (12 + (4 if kind == A else 16))
        return question[:2] + struct.pack(">HHHHH", 0x8180 | code, 1, count, 0, 0) + section + records, delay

    def addresses(self, parts: list[str], kind: int) -> list[bytes]:
        found = [part[1:].replace("-", ".") for part in parts if re.fullmatch(r"a\d+-\d+-\d+-\d+", part)]
        later = [part[4:].replace("-", ".") for part in parts if re.fullmatch(r"then\d+-\d+-\d+-\d+", part)]
        if later and self.by_kind[".".join(parts), kind] > 1:
            found = later
        if kind == A:
            many = [f"127.0.1.{n}" for n in range(60)] if "long" in parts else []
            return [socket.inet_aton(address) for address in found + many]
        if kind == AAAA:
            names = [
                part[1:].replace("-", ":") for part in parts if re.fullmatch(r"b[0-9a-f-]*-[0-9a-f-]*", part)
            ]
            return [socket.inet_pton(socket.AF_INET6, address) for address in names]
        return []


def read_name(packet: bytes) -> tuple[list[str], int]:
    """The labels of the question's name, and where its type stands."""
    labels, offset = [], 12
    while packet[offset]:
        labels.append(packet[offset + 1 : offset + 1 + packet[offset]].decode("ascii"))
        offset += packet[offset] + 1
    return labels, offset + 1


def record(kind: int, ttl: int, data: bytes) -> bytes:
    return b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, ttl, len(data)) + data


class Datagrams(asyncio.DatagramProtocol):
    transport: asyncio.DatagramTransport

    def __init__(self, zone: Zone) -> None:
        self.zone = zone

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def datagram_received(self, data: bytes, client: tuple[str, int]) -> None:
        packet, delay = self.zone.answer(data, tcp=False)
        if packet is None:
            return
        if not delay:
            self.transport.sendto(packet, client)
            return
        name = data[12 : data.index(b"\0", 12)].lower()
        # The first answer settles a name; those to repeated questions may come after that.
        first = name not in self.zone.seen
        self.zone.seen.add(name)
        self.zone.due += first
        self.zone.peak = max(self.zone.peak, self.zone.due)
        asyncio.get_running_loop().call_later(delay, self.send_late, first, packet, client)

    def send_late(self, first: bool, packet: bytes, client: tuple[str, int]) -> None:
        self.zone.due -= first
        self.transport.sendto(packet, client)


def bind(address: str, port: int) -> tuple[socket.socket, socket.socket]:
    """A socket for datagrams and one for streams on the same port; 0: one that is free for both.

    None that the system gives to sockets of its own accord: while the server is away, a resolver's socket
    could get that very port, be connected to itself, and take its question for the answer.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    while True:
        chosen = port or random.randrange(*PORTS)
        with contextlib.ExitStack() as opened:
            try:
                streams = opened.enter_context(socket.create_server((address, chosen), family=family))
                datagrams = opened.enter_context(socket.socket(family, socket.SOCK_DGRAM))
                datagrams.bind((address, chosen))
            except OSError:
                if port:
                    raise
                continue
            opened.pop_all()
            return datagrams, streams


async def serve(address: str, port: int) -> None:
    zone = Zone()
    datagrams, streams = bind(address, port)
    await asyncio.get_running_loop().create_datagram_endpoint(lambda: Datagrams(zone), sock=datagrams)

    async def stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                (size,) = struct.unpack(">H", await reader.readexactly(2))
                packet, delay = zone.answer(await reader.readexactly(size), tcp=True)
                await asyncio.sleep(delay)
                if packet is not None:
                    writer.write(struct.pack(">H", len(packet)) + packet)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    await asyncio.start_server(stream, sock=streams)
    port = streams.getsockname()[1]
    print(port, flush=True)
    while what := await asyncio.to_thread(sys.stdin.readline):
        print(json.dumps(zone.peak if what == "peak\n" else zone.counts), flush=True)


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], int(sys.argv[2])))
