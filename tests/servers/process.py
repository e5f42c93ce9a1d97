"""The web server itself: ``python -m tests.servers.process [CERTIFICATE [CLIENT_AUTHORITY]]``.

Driven by ``ImageServer``. Raw asyncio protocol, no HTTP library: some ten thousand requests a second on one
core, and every wrong thing a server can send can be sent. Standard library only.
"""

from __future__ import annotations

import asyncio
import collections
import json
import os
import select
import ssl
import sys
import threading
import time
from typing import Any

from tests.servers.misbehaviours import find_misbehaviour

ADDRESSES = tuple(f"127.0.0.{last}" for last in range(1, 17))
REASONS = {200: "OK", 204: "No Content", 301: "Moved Permanently", 302: "Found", 404: "Not Found"}


def head(status: int, lines: list[str], length: int | None) -> bytes:
    fields = [f"HTTP/1.1 {status} {REASONS.get(status, 'Status')}", *lines]
    if length is not None:
        fields.append(f"Content-Length: {length}")
    return "\r\n".join([*fields, "", ""]).encode("latin-1")


class Site:
    """What is served, and what has been asked for."""

    def __init__(self) -> None:
        self.resources: dict[str, tuple[bytes, float]] = {}
        self.counts: collections.Counter[str] = collections.Counter()
        self.last: dict[str, bytes] = {}
        self.times: collections.defaultdict[str, list[float]] = collections.defaultdict(list)
        self.accepted: collections.defaultdict[str, list[float]] = collections.defaultdict(list)
        # When how many bytes went out, of what was put.
        self.sent: list[tuple[float, int]] = []
        self.connections = self.open = self.peak = 0
        self.live: set[Connection] = set()
        # Tells of connections whose clients have closed them, before the loop comes to it.
        self.closed = select.epoll() if hasattr(select, "epoll") else None

    def connected(self, connection: Connection) -> None:
        self.connections += 1
        self.open += 1
        self.live.add(connection)
        if self.closed is not None:
            self.closed.register(connection.descriptor, select.EPOLLRDHUP)
        if self.open > self.peak:
            self.peak = max(self.peak, self.really_open())

    def disconnected(self, connection: Connection) -> None:
        self.open -= 1
        self.live.discard(connection)
        if self.closed is not None and connection.descriptor >= 0:  # else it has forgotten it
            self.closed.unregister(connection.descriptor)

    def really_open(self) -> int:
        """Without those that ended before the latest began: what is accepted first may be seen first."""
        return self.open - (len(self.closed.poll(0, max(1, self.open))) if self.closed is not None else 0)

    def command(self, command: dict[str, Any], body: bytes) -> dict[str, Any]:
        action = command["do"]
        if action == "put":
            answer = head(command["status"], command["lines"], len(body)) + body
            self.resources[command["path"]] = (answer, command["latency"])
        elif action == "count":
            return {"count": self.counts[command["path"]]}
        elif action == "last":
            request = self.last.get(command["path"])
            return {"request": None if request is None else request.decode("latin-1")}
        elif action == "times":
            return {"times": self.times[command["path"]]}
        elif action == "sent":
            return {"sent": self.sent}
        elif action == "abort":
            for connection in list(self.live):
                connection.transport.abort()
        elif action == "reset_peak":
            self.peak = self.really_open()
        elif action == "statistics":
            requests = sum(self.counts.values())
            return {
                "requests": requests,
                "connections": self.connections,
                "open": self.open,
                "peak": self.peak,
            }
        return {}


class Connection(asyncio.Protocol):
    """One client: answers its requests in order, or hands it to a misbehaviour."""

    transport: asyncio.Transport

    def __init__(self, site: Site) -> None:
        self.site = site
        self.received = bytearray()
        self.busy: asyncio.Task[None] | None = None
        self.may_write = asyncio.Event()
        self.may_write.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]
        self.site.connected(self)

    @property
    def descriptor(self) -> int:
        """Of its socket; -1 once that is closed."""
        return int(self.transport.get_extra_info("socket").fileno())

    def connection_lost(self, error: Exception | None) -> None:
        self.site.disconnected(self)
        self.may_write.set()
        if self.busy:
            self.busy.cancel()

    def pause_writing(self) -> None:
        self.may_write.clear()

    def resume_writing(self) -> None:
        self.may_write.set()

    def data_received(self, data: bytes) -> None:
        self.received += data
        self.answer_requests()

    def answer_requests(self) -> None:
        while not self.busy:
            end = self.received.find(b"\r\n\r\n")
            if end < 0:
                return
            request = bytes(self.received[:end])
            del self.received[: end + 4]
            target = request.split(b" ", 2)[1].decode("latin-1")
            path, _, query = target.partition("?")
            self.site.counts[path] += 1
            self.site.last[path] = request
            resource = self.site.resources.get(path)
            if resource is not None and not resource[1]:
                self.send_answer(resource[0])
                continue
            if resource is not None:
                work = self.send_late(*resource)
            else:
                work = find_misbehaviour(path)(self, path, query)
            self.busy = asyncio.ensure_future(self.run(work))

    async def run(self, work: Any) -> None:
        try:
            await work
        except (ConnectionError, OSError):
            self.transport.abort()
        self.busy = None
        self.answer_requests()

    async def send_late(self, answer: bytes, latency: float) -> None:
        await asyncio.sleep(latency)
        self.send_answer(answer)

    def send_answer(self, answer: bytes) -> None:
        self.site.sent.append((time.monotonic(), len(answer)))
        self.transport.write(answer)

    async def send(self, data: bytes) -> None:
        """Write and wait until the client has taken most of it."""
        if self.transport.is_closing():
            raise ConnectionError
        self.transport.write(data)
        await self.may_write.wait()

    async def respond(self, status: int, lines: list[str], body: bytes = b"") -> None:
        await self.send(head(status, lines, len(body)) + body)


def listen_to_commands(site: Site, loop: asyncio.AbstractEventLoop) -> None:
    """Reads standard input in a thread of its own; its end is the end of the server."""
    for line in sys.stdin.buffer:
        command = json.loads(line)
        body = sys.stdin.buffer.read(command["size"])
        done: asyncio.Future[dict[str, Any]] = asyncio.run_coroutine_threadsafe(  # type: ignore[assignment]
            perform(site, command, body), loop
        )
        answer(done.result())
    os._exit(0)


async def perform(site: Site, command: dict[str, Any], body: bytes) -> dict[str, Any]:
    return site.command(command, body)


def answer(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


async def main(certificate: str | None, client_authority: str | None) -> None:
    context = None
    if certificate:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
        if client_authority:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(client_authority)
    loop = asyncio.get_running_loop()
    site = Site()
    port = 0
    for address in ADDRESSES:
        try:
            server = await loop.create_server(
                lambda: Connection(site), address, port, ssl=context, backlog=4096, reuse_address=True
            )
        except OSError:
            if address == ADDRESSES[0]:
                raise
            continue  # only 127.0.0.1 exists on some systems
        port = port or server.sockets[0].getsockname()[1]
    threading.Thread(target=listen_to_commands, args=(site, loop), daemon=True).start()
    answer({"port": port})
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*[*sys.argv[1:], None, None][:2]))
