"""Downloads and runs inside a network namespace of their own, where every address there is is this machine.

``visit`` runs this file in a new namespace (network and mounts: it needs root and iproute2), which has
nothing but loopback with the addresses of ``ADDRESSES`` on it, a web server on all of them that counts, a DNS
server on 127.0.0.1:53, and a resolv.conf that names it. Inside, nothing is sent before it has been verified
that this is so.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import json
import logging.handlers
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PUBLIC, PRIVATE, OTHER_PRIVATE = "93.184.216.34", "10.1.2.3", "192.168.7.7"
# The two ends of an interface between two namespaces.
HERE, THERE = "10.77.0.1", "10.77.0.2"
PUBLIC_IPV6 = "2606:2800::1"
RESOLVER_FILE = "nameserver 127.0.0.1\nsearch corp.test\n"
ADDRESSES = (
    f"{PUBLIC}/32",
    f"{PRIVATE}/32",
    f"{OTHER_PRIVATE}/32",
    "169.254.169.254/32",
    "100.100.100.200/32",
    "168.63.129.16/32",
    "192.0.0.192/32",
    "100.64.0.9/32",
    f"{PUBLIC_IPV6}/128",
    "fd00:ec2::254/128",
    "fd12::1/128",
    "64:ff9b::a9fe:a9fe/128",
    "2002:a9fe:a9fe::1/128",
)


@dataclass
class Visit:
    """Rows downloaded one after the other by one fetcher; ``settings`` are fields of ``FetchSettings``.

    With ``command``, options of the command line, the whole program makes a run of them instead. ``down``:
    it runs behind an interface, which is taken down that many seconds after the beginning, for so long.
    ``together``: all rows at once. ``ports``: the first and the last port for connections.
    """

    urls: list[str]
    settings: dict[str, Any] = field(default_factory=dict)
    command: dict[str, Any] | None = None
    down: list[tuple[float, float]] = field(default_factory=list)
    together: bool = False
    ports: str = ""


@dataclass
class Seen:
    """The failure of each row (None: it was downloaded), and what the listener saw, by its own address."""

    failures: list[str | None]
    connections: dict[str, int]
    requests: dict[str, list[str]]
    warnings: list[str] = field(default_factory=list)


def visit(*visits: Visit, resolver_file: str = RESOLVER_FILE) -> list[Seen]:
    """Make the visits in a namespace with that resolv.conf; skips the test where that is not permitted."""
    if sys.platform != "linux" or shutil.which("unshare") is None or shutil.which("ip") is None:
        pytest.skip("needs Linux with unshare and iproute2")
    if subprocess.run(["unshare", "-nm", "true"], capture_output=True, check=False).returncode:
        pytest.skip("network namespaces are not permitted here; they need root")
    asked = json.dumps([vars(each) for each in visits])
    outside = os.readlink("/proc/self/ns/net")
    done = subprocess.run(
        ["unshare", "-nm", sys.executable, "-m", "tests.fetching.own_network", outside, resolver_file],
        cwd=REPOSITORY,
        input=asked,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [Seen(**seen) for seen in json.loads(done.stdout)]


def enter(outside: str, resolver_file: str) -> None:
    """Make sure that this is another network than ``outside``, and furnish it."""
    assert os.readlink("/proc/self/ns/net") != outside, "not in a namespace of its own"
    assert os.listdir("/sys/class/net") == ["lo"] or _links() == ["lo"], "there is a way out"
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for address in ADDRESSES:
        nodad = ["nodad"] if ":" in address else []
        subprocess.run(["ip", "address", "add", address, "dev", "lo", *nodad], check=True)
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    own = Path("/dev/shm") / f"resolv-{os.getpid()}"
    own.write_text(resolver_file)
    subprocess.run(["mount", "--bind", str(own), "/etc/resolv.conf"], check=True)
    own.unlink()


def _links() -> list[str]:
    listed = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True).stdout
    return [line.split(": ")[1] for line in listed.splitlines()]


class Listener:
    """A web server on every address, port 80: ``/to?URL`` redirects there, anything else is an image."""

    def __init__(self) -> None:
        self.connections: collections.Counter[str] = collections.Counter()
        self.requests: dict[str, list[str]] = collections.defaultdict(list)
        started = threading.Event()
        threading.Thread(target=lambda: asyncio.run(self._run(started)), daemon=True).start()
        assert started.wait(60)

    async def _run(self, started: threading.Event) -> None:
        for address in ("0.0.0.0", "::"):
            await asyncio.start_server(self._serve, address, 80)
        started.set()
        await asyncio.Event().wait()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        own = writer.get_extra_info("sockname")[0]
        self.connections[own] += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                path = head.split(b" ", 2)[1].decode()
                self.requests[own].append(path)
                if path.startswith("/slow"):
                    await asyncio.sleep(0.2)
                if path.startswith("/to?"):
                    target = urllib.parse.unquote(path[4:])
                    writer.write(
                        f"HTTP/1.1 302 Found\r\nLocation: {target}\r\nContent-Length: 0\r\n\r\n".encode()
                    )
                else:
                    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nimage")
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


def download_together(urls: list[str], settings: dict[str, Any]) -> list[str | None]:
    from tests.fetching.download_all import download_all

    return [fetched.failure for fetched in download_all(urls, **settings)]


def download_in_turn(urls: list[str], settings: dict[str, Any]) -> list[str | None]:
    from img2dataset.fetching import Fetcher, FetchSettings
    from img2dataset.types import Fetched, Row

    delivered: queue.SimpleQueue[Fetched] = queue.SimpleQueue()
    outcomes = []
    with Fetcher(FetchSettings(timeout=5, **settings, adaptive_thread_count=False), delivered.put) as fetcher:
        for index, url in enumerate(urls):
            fetcher.submit([Row(0, index, url)])
            fetched = delivered.get(timeout=60)
            fetcher.release(fetched.size)
            assert fetched.body in (None, b"image")
            outcomes.append(fetched.failure)
    return outcomes


def run_command(urls: list[str], options: dict[str, Any]) -> list[str | None]:
    import pyarrow.parquet as pq

    from tests.program.runs import run

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "list.txt").write_text("".join(f"{url}\n" for url in urls))
        chosen = {"output_format": "webdataset", "processes_count": 1, "disable_all_reencoding": True}
        done = run(url_list=folder / "list.txt", output_folder=folder / "out", **chosen, **options)
        assert done.returncode == 0, done.stderr
        return list(pq.read_table(folder / "out" / "00000.parquet")["error_message"].to_pylist())


def run_behind_interface(
    urls: list[str], options: dict[str, Any], times: list[tuple[float, float]]
) -> list[str | None]:
    """Make the run in one more namespace, with an interface as its only way here."""
    from tests.fetching.dns_server import DnsServer

    with behind_an_interface() as inside, DnsServer(HERE, 53) as server:
        downs = threading.Thread(target=take_down, args=(inside, times))
        downs.start()
        outcomes = run_command(urls, {"prefix": inside, "dns_servers": server.address, **options})
        downs.join()
        return outcomes


@contextlib.contextmanager
def behind_an_interface() -> Iterator[list[str]]:
    """One more namespace, whose only way here is an interface; the words that run a command in it."""
    with subprocess.Popen(["unshare", "-n", "sleep", "300"]) as holder:
        try:
            inside = ["nsenter", "-t", str(holder.pid), "-n"]
            outside = os.readlink("/proc/self/ns/net")
            while os.readlink(f"/proc/{holder.pid}/ns/net") == outside:  # it is not there yet
                assert holder.poll() is None, "unshare has ended"
                time.sleep(0.01)
            for command in (
                ["ip", "link", "add", "here", "type", "veth", "peer", "name", "there"],
                ["ip", "link", "set", "there", "netns", str(holder.pid)],
                ["ip", "address", "add", f"{HERE}/24", "dev", "here"],
                ["ip", "link", "set", "here", "up"],
                [*inside, "ip", "address", "add", f"{THERE}/24", "dev", "there"],
                [*inside, "ip", "link", "set", "lo", "up"],
            ):
                subprocess.run(command, check=True)
            set_up(inside)
            yield inside
        finally:
            holder.kill()


def set_up(inside: list[str]) -> None:
    subprocess.run([*inside, "ip", "link", "set", "there", "up"], check=True)
    subprocess.run([*inside, "ip", "route", "add", "default", "via", HERE], check=True)


def take_down(inside: list[str], times: list[tuple[float, float]]) -> None:
    started = time.monotonic()
    for at, seconds in times:
        time.sleep(max(0.0, started + at - time.monotonic()))
        subprocess.run([*inside, "ip", "link", "set", "there", "down"], check=True)
        time.sleep(seconds)
        set_up(inside)


def main(outside: str, resolver_file: str) -> None:
    enter(outside, resolver_file)
    from tests.fetching.dns_server import DnsServer

    warnings = logging.handlers.QueueHandler(queue.SimpleQueue())
    logging.getLogger().addHandler(warnings)
    listener = Listener()
    seen = []
    with DnsServer("127.0.0.1", 53):
        for each in json.load(sys.stdin):
            listener.connections.clear()
            listener.requests.clear()
            if each["ports"]:
                Path("/proc/sys/net/ipv4/ip_local_port_range").write_text(each["ports"])
            if each["down"]:
                failures = run_behind_interface(each["urls"], each["command"], each["down"])
            elif each["command"] is not None:
                failures = run_command(each["urls"], each["command"])
            else:
                download = download_together if each["together"] else download_in_turn
                failures = download(each["urls"], each["settings"])
            said = [warnings.queue.get().getMessage() for _ in range(warnings.queue.qsize())]  # type: ignore[attr-defined]
            seen.append(vars(Seen(failures, dict(listener.connections), dict(listener.requests), said)))
    json.dump(seen, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
