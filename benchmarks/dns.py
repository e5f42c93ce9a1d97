"""Names found and names/s against a bad name server: this project's resolver beside the system's.

    python -m benchmarks.dns            # 20 000 names, some two minutes; root for the system's part

The server, on loopback and in a process of its own, drops 20 % of what it is asked, says SERVFAIL to 12 %
(whatever the name: it may know it a moment later), takes 1 to 3 s for 3 % of the names, each time anew, and
20 ms for the rest. Both sides get two processes with 1024 names in flight each: this project as its fetcher
asks, the system as getaddrinfo in as many threads, which is how img2dataset 1.47.0 finds hosts. Of 20 000
names the last few hundred are those that were lost again and again: names/s is given for the whole list, and
until 99 % of it was answered.

The system's resolver reads its server from /etc/resolv.conf. So everything happens in namespaces of its own
(network and mounts), where that file is another one; without the right to make them it is left out.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import heapq
import os
import random
import selectors
import shutil
import socket
import subprocess
import sys
import threading
import time
import zlib
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

PROCESSES, IN_FLIGHT = 2, 1024
LOST, SERVFAIL, SLOW = 0.20, 0.12, 0.03
USUAL_S, SLOW_S = 0.02, (1.0, 3.0)
# A name that has no address by then has failed; the default timeout of a download.
TIMEOUT_S = 10.0
INSIDE = "--inside"
ADDRESS_RECORD = b"\xc0\x0c\0\1\0\1\0\0\1\x2c\0\4\x7f\0\0\1"
# When to send what to whom.
Due = tuple[float, bytes, tuple[str, int]]


@dataclass
class Outcome:
    """What one process found."""

    found: int
    names: int
    cpu_s: float
    failures: collections.Counter[str]
    waits_s: list[float]
    ended_s: list[float]


class BadServer:
    """See the module's docstring. Packets are lost at random, names are slow by their hash.

    One loop over one socket: in asyncio each answer took three times as long, and the server's core is one of
    the two that are measured.
    """

    def __init__(self, port: int) -> None:
        self.listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        # Losses shall be those above, not those of a full buffer.
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self.listener.bind(("127.0.0.1", port))
        self.listener.setblocking(False)
        # The usual answers are due in the order of their questions; only the others need a heap.
        self.usual: collections.deque[Due] = collections.deque()
        self.slow: list[Due] = []

    def run(self) -> None:
        """Serve until standard input ends."""
        with selectors.DefaultSelector() as selector:
            selector.register(self.listener, selectors.EVENT_READ)
            selector.register(sys.stdin, selectors.EVENT_READ)
            while True:
                dues = [queue[0][0] for queue in (self.usual, self.slow) if queue]
                wait = max(0.0, min(dues) - time.monotonic()) if dues else None
                if any(key.fileobj is sys.stdin for key, _ in selector.select(wait)):
                    return
                self.take_questions()
                self.send_due()

    def take_questions(self) -> None:
        with contextlib.suppress(BlockingIOError):
            for _ in range(64):
                data, client = self.listener.recvfrom(4096)
                if random.random() >= LOST:
                    self.answer(data, client)

    def answer(self, data: bytes, client: tuple[str, int]) -> None:
        end = data.index(b"\0", 12) + 1
        question = data[12 : end + 4]
        if random.random() < SERVFAIL:
            answer = data[:2] + b"\x81\x82\0\1\0\0\0\0\0\0" + question
        elif data[end : end + 2] == b"\0\1":
            answer = data[:2] + b"\x81\x80\0\1\0\1\0\0\0\0" + question + ADDRESS_RECORD
        else:
            answer = data[:2] + b"\x81\x80\0\1\0\0\0\0\0\0" + question
        now = time.monotonic()
        if zlib.crc32(data[12:end].lower()) < SLOW * 2**32:
            heapq.heappush(self.slow, (now + random.uniform(*SLOW_S), answer, client))
        else:
            self.usual.append((now + USUAL_S, answer, client))

    def send_due(self) -> None:
        now = time.monotonic()
        while self.usual and self.usual[0][0] <= now:
            self.listener.sendto(*self.usual.popleft()[1:])
        while self.slow and self.slow[0][0] <= now:
            self.listener.sendto(*heapq.heappop(self.slow)[1:])


def serve(port: int) -> None:
    server = BadServer(port)
    print(server.listener.getsockname()[1], flush=True)
    server.run()


def resolve_here(names: list[str], server: str) -> Outcome:
    """With this project's resolver."""
    from img2dataset.fetching.dns.resolver import Resolver
    from img2dataset.fetching.dns.system import SearchRules
    from img2dataset.fetching.http.transport import Transport

    transport = Transport(1)
    resolver: Resolver[float] = Resolver(
        transport.watch,
        servers=(server,),
        timeout_s=TIMEOUT_S,
        min_ttl_s=60,
        max_ttl_s=3600,
        rules=SearchRules(),
        hosts={},
        ipv6=False,
    )
    cpu = time.process_time()
    outcome = Outcome(0, len(names), 0.0, collections.Counter(), [], [])
    in_flight = asked = 0
    while asked < len(names) or in_flight:
        now = time.monotonic()
        while asked < len(names) and in_flight < IN_FLIGHT:
            in_flight += resolver.resolve(names[asked], now, now) is None
            asked += 1
        due = resolver.next_due()
        transport.wait(None if due is None else max(0.0, due - now))
        now = time.monotonic()
        resolver.turn(now)
        for asked_at, resolved in resolver.answered():
            in_flight -= 1
            outcome.waits_s.append(now - asked_at)
            outcome.ended_s.append(now)
            outcome.found += resolved.failure is None
            outcome.failures[resolved.failure or "found"] += 1
    resolver.close()
    transport.close()
    outcome.cpu_s = time.process_time() - cpu
    return outcome


def resolve_by_system(names: list[str], server: str) -> Outcome:
    """With getaddrinfo, in threads."""
    cpu = time.process_time()
    outcome = Outcome(0, len(names), 0.0, collections.Counter(), [], [])
    left, lock = iter(names), threading.Lock()

    def work() -> None:
        while True:
            with lock:
                name = next(left, None)
            if name is None:
                return
            asked_at = time.monotonic()
            try:
                socket.getaddrinfo(name, 80, type=socket.SOCK_STREAM)
                said = "found"
            except socket.gaierror as error:
                said = error.strerror or str(error.errno)
            with lock:
                outcome.failures[said] += 1
                outcome.waits_s.append(time.monotonic() - asked_at)
                outcome.ended_s.append(time.monotonic())

    threads = [threading.Thread(target=work) for _ in range(IN_FLIGHT)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    outcome.found = outcome.failures["found"]
    outcome.cpu_s = time.process_time() - cpu
    return outcome


def measure(title: str, way: str, count: int, server: str) -> None:
    resolve = resolve_here if way == "here" else resolve_by_system
    names = [f"host{n}.{way}.example" for n in range(count)]
    with ProcessPoolExecutor(PROCESSES) as pool:
        list(pool.map(abs, range(PROCESSES)))  # the processes are there before the clock starts
        started = time.monotonic()
        parts = [pool.submit(resolve, names[part::PROCESSES], server) for part in range(PROCESSES)]
        outcomes = [part.result() for part in parts]
        seconds = time.monotonic() - started
    ended = sorted(end for outcome in outcomes for end in outcome.ended_s)
    most = count * 99 // 100
    waits = sorted(wait for outcome in outcomes for wait in outcome.waits_s)
    found = sum(outcome.found for outcome in outcomes)
    cpu_us = sum(outcome.cpu_s for outcome in outcomes) / count * 1e6
    print(
        f"| {title} | {found / count:.2%} | {count / seconds:,.0f} "
        f"| {most / (ended[most - 1] - started):,.0f} | {cpu_us:.0f} µs "
        f"| {waits[len(waits) // 2]:.2f} s | {waits[int(len(waits) * 0.99)]:.2f} s |",
        flush=True,
    )
    said = sum((outcome.failures for outcome in outcomes), collections.Counter[str]())
    print(f"    {title}: {dict(said)}", file=sys.stderr)


def compare(count: int, inside: bool) -> None:
    """Run both sides against a server of their own making."""
    command = [sys.executable, "-m", "benchmarks.dns", "--serve", "53" if inside else "0"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        port = int(server.stdout.readline())
        print("| | names found | names/s | names/s to 99 % of them | CPU a name | median wait | 99 % |")
        print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
        measure("this project", "here", count, f"127.0.0.1:{port}")
        if inside:
            measure("getaddrinfo", "system", count, "")
        server.communicate()


def enter_namespaces() -> None:
    """Loopback alone, and a resolv.conf that names the server on it."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    own = Path("/dev/shm") / f"resolv-{os.getpid()}"
    own.write_text("nameserver 127.0.0.1\n")
    subprocess.run(["mount", "--bind", str(own), "/etc/resolv.conf"], check=True)
    own.unlink()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--names", type=int, default=20_000, help="how many different names; default 20000")
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    parser.add_argument(INSIDE, action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.serve is not None:
        serve(chosen.serve)
        return
    if chosen.inside:
        enter_namespaces()
        compare(chosen.names, inside=True)
        return
    tools = all(shutil.which(tool) for tool in ("unshare", "ip", "mount"))
    if tools and not subprocess.run(["unshare", "-nm", "true"], capture_output=True, check=False).returncode:
        command = [
            "unshare",
            "-nm",
            sys.executable,
            "-m",
            "benchmarks.dns",
            INSIDE,
            "--names",
            str(chosen.names),
        ]
        sys.exit(subprocess.run(command, check=False).returncode)
    print(
        "The system's resolver is left out: it needs Linux, iproute2 and root for a resolv.conf of its own."
    )
    compare(chosen.names, inside=False)


if __name__ == "__main__":
    main()
