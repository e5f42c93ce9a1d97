"""A simulated web in one process: ``python -m benchmarks.web_process FOLDER PORT BEHAVIOUR``.

Every host is a loopback address of its own. Some accept and never answer, some refuse, the others answer
each request after a latency that depends on the request's path alone: every contender meets the same web.
Started by ``servers.SimulatedWeb``; ends when its standard input is closed. Raw asyncio, standard library
only, about 0.15 ms of CPU a request, so that it takes little from the cores it shares.
"""

from __future__ import annotations

import asyncio
import json
import math
import random
import resource
import sys
import threading
import zlib
from dataclasses import dataclass
from pathlib import Path

CONTENT_TYPES = {".jpg": "image/jpeg", ".png": "image/png", ".webp": "image/webp"}
NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\nContent-Length: 9\r\n\r\nnot found"


@dataclass(frozen=True)
class Behaviour:
    """What the hosts of the simulated web do.

    ``hosts`` addresses, of which the shares ``silent`` (accept, never answer) and ``refusing``; a path that
    is no file of the folder is a 404. Latency is log-normal: ``median_latency_s``, ``latency_spread`` (the
    standard deviation of its logarithm: at 0.8 the slowest percent takes 6.4 times the median).
    """

    hosts: int = 500
    silent: float = 0.04
    refusing: float = 0.03
    median_latency_s: float = 0.15
    latency_spread: float = 0.8


def addresses(behaviour: Behaviour) -> list[str]:
    """All host addresses: first the silent ones, then the refusing ones, then those that answer."""
    return [f"127.1.{1 + number // 250}.{1 + number % 250}" for number in range(behaviour.hosts)]


def silent_addresses(behaviour: Behaviour) -> list[str]:
    """The hosts that accept and never answer."""
    return addresses(behaviour)[: round(behaviour.hosts * behaviour.silent)]


def listening_addresses(behaviour: Behaviour) -> list[str]:
    """The hosts that accept connections: nobody listens at the refusing ones."""
    silent = round(behaviour.hosts * behaviour.silent)
    refusing = round(behaviour.hosts * behaviour.refusing)
    every = addresses(behaviour)
    return every[:silent] + every[silent + refusing :]


def latency_s(behaviour: Behaviour, target: bytes) -> float:
    """Seconds until the request for ``target`` is answered; the same whenever it is asked."""
    rng = random.Random(zlib.crc32(target))
    return rng.lognormvariate(math.log(behaviour.median_latency_s), behaviour.latency_spread)


def load_answers(folder: Path) -> dict[bytes, bytes]:
    """Whole HTTP answers by path, for every image in ``folder``."""
    answers = {}
    for path in sorted(folder.iterdir()):
        if path.suffix in CONTENT_TYPES:
            body = path.read_bytes()
            head = f"HTTP/1.1 200 OK\r\nContent-Type: {CONTENT_TYPES[path.suffix]}\r\n"
            head += f"Content-Length: {len(body)}\r\n\r\n"
            answers[f"/{path.name}".encode()] = head.encode() + body
    return answers


class Connection(asyncio.Protocol):
    """One client: its requests are answered one at a time, each after its latency."""

    transport: asyncio.Transport

    def __init__(self, answers: dict[bytes, bytes], behaviour: Behaviour) -> None:
        self.answers = answers
        self.behaviour = behaviour
        self.received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.received += data
        if not self.received.endswith(b"\r\n\r\n"):
            return
        lines = self.received.lower()
        target = self.received.split(b" ", 2)[1]
        self.received = b""
        keep = b"\r\nconnection: close" not in lines and b" http/1.0\r\n" not in lines
        delay = latency_s(self.behaviour, target)
        asyncio.get_running_loop().call_later(delay, self.answer, target.partition(b"?")[0], keep)

    def answer(self, path: bytes, keep: bool) -> None:
        """Send what there is under ``path``; close afterwards unless ``keep``."""
        if self.transport.is_closing():
            return
        self.transport.write(self.answers.get(path, NOT_FOUND))
        if not keep:
            self.transport.close()  # after what is written has been sent


class SilentConnection(asyncio.Protocol):
    """A client of a host that accepts, reads and never answers."""


async def serve(folder: Path, port: int, behaviour: Behaviour) -> None:
    """Serve until standard input is closed."""
    loop = asyncio.get_running_loop()
    answers = load_answers(folder)
    silent = silent_addresses(behaviour)
    answering = [each for each in listening_addresses(behaviour) if each not in set(silent)]
    if silent:
        await loop.create_server(SilentConnection, silent, port, backlog=1024)
    await loop.create_server(lambda: Connection(answers, behaviour), answering, port, backlog=1024)
    gone = asyncio.Event()

    def wait_for_parent() -> None:
        sys.stdin.buffer.read()
        loop.call_soon_threadsafe(gone.set)

    threading.Thread(target=wait_for_parent, daemon=True).start()
    await gone.wait()


def main() -> None:
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    folder, port, behaviour = sys.argv[1:]
    asyncio.run(serve(Path(folder), int(port), Behaviour(**json.loads(behaviour))))


if __name__ == "__main__":
    main()
