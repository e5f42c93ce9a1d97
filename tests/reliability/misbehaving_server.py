"""The server of a soak: ``python -m tests.reliability.misbehaving_server SEED``, driven by
``MisbehavingServer``.

/numbered/N.jpg is the picture of N, late by a random time, after whatever ``fault_of`` says goes wrong first.
The servers of the tests do the rest.
"""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable

from tests.reliability import REPOSITORY
from tests.reliability.misbehaving import fault_of
from tests.reliability.pictures import draw
from tests.servers import ImageServer
from tests.servers.misbehaviours import MISBEHAVIOURS, Parameters, at
from tests.servers.process import Connection, main

# What 64 downloads in flight make of this, some 300 rows a second, two cores can do beside the server.
SHORTEST_LATENCY_S, LONGEST_LATENCY_S = 0.05, 0.35
HTML = b"<!DOCTYPE html><title>moved</title><p>This picture has moved." + b" " * 2000


class MisbehavingServer(ImageServer):
    """A server of numbered pictures on 127.0.0.1 to 127.0.0.16, in a process of its own."""

    def __init__(self, seed: int) -> None:
        self.scheme = "http"
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.reliability.misbehaving_server", str(seed)],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.process_id = self._process.pid
        self.port: int = self._answer()["port"]


async def commit(fault: str, connection: Connection, path: str, parameters: Parameters) -> None:
    """Do what the fault says instead of answering."""
    if fault in ("404", "410", "429", "500", "503", "503 for long"):
        await connection.respond(int(fault[:3]), ["Retry-After: 1"] if fault == "429" else [], b"no")
    elif fault == "truncated":
        picture = draw(number_in(path))
        await connection.respond(200, ["Content-Type: image/jpeg"], picture[: len(picture) * 3 // 5])
    elif fault == "wrong content":
        await connection.respond(200, ["Content-Type: image/jpeg"], HTML)
    elif fault == "redirect loop":
        await connection.respond(302, [f"Location: {path}"], b"round")
    else:
        name = fault.removesuffix(" for ever").removesuffix(" for long").replace(" ", "-")
        name = {"hang": "hang-before-headers", "drip": "drip-body"}.get(name, name)
        await MISBEHAVIOURS[name](connection, f"/{name}", parameters)


def number_in(path: str) -> int:
    return int(path.rsplit("/", 1)[1].removesuffix(".jpg"))


def numbered(seed: int) -> Callable[[Connection, str, Parameters], Awaitable[None]]:
    """The behaviour of /numbered/N.jpg for a seed."""
    late = random.Random(seed)

    async def answer(connection: Connection, path: str, parameters: Parameters) -> None:
        await asyncio.sleep(late.uniform(SHORTEST_LATENCY_S, LONGEST_LATENCY_S))
        fault = fault_of(seed, number_in(path))
        if fault and not (0 < fault.times < connection.site.counts[path]):
            await commit(fault.name, connection, path, parameters)
        else:
            await connection.respond(200, ["Content-Type: image/jpeg"], draw(number_in(path)))

    return answer


if __name__ == "__main__":
    at("numbered")(numbered(int(sys.argv[1])))
    asyncio.run(main(None, None))
