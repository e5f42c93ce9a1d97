"""Faults of the network, each try in a namespace of its own: a ``Place`` comes in, a ``Trial`` goes out.

``python -m tests.reliability.fault_network OUTSIDE FAULT`` is the half that runs in there: as root, with
iproute2.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import pickle
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from tests.fetching.dns_server import DnsServer
from tests.fetching.own_network import HERE, behind_an_interface, enter, set_up
from tests.pictures import photograph
from tests.reliability.fault_place import SAMPLE_INTERVAL_S, Place, Trial
from tests.reliability.fault_trials import NotPossible
from tests.servers import ImageServer, Nginx, TestAuthority, find_nginx

REPOSITORY = Path(__file__).resolve().parents[2]
TRY_TIME_LIMIT_S = 300


def in_own_network(fault: str) -> Callable[[Place], Trial]:
    """Try a fault of ``FAULTS`` in a namespace."""

    def attempt(place: Place) -> Trial:
        if shutil.which("unshare") is None or shutil.which("ip") is None:
            raise NotPossible("there is no unshare or no ip command")
        if subprocess.run(["unshare", "-nm", "true"], capture_output=True).returncode:
            raise NotPossible("network namespaces are not permitted")
        outside = os.readlink("/proc/self/ns/net")
        done = subprocess.run(
            ["unshare", "-nm", sys.executable, "-m", "tests.reliability.fault_network", outside, fault],
            cwd=REPOSITORY,
            input=pickle.dumps((place.program, place.folder, place.chance, place.part)),
            capture_output=True,
            timeout=TRY_TIME_LIMIT_S,
        )
        if done.returncode:
            raise RuntimeError(done.stderr.decode())
        trial: Trial = pickle.loads(done.stdout)
        return trial

    return attempt


def fill(place: Place, address: str, hosts: int) -> None:
    """The list of ``Place.fill``, its rows spread over that many names of ``address``."""
    place.fill(latency_s=0.2, threads=4)
    place.part = 0.15 + 0.5 * place.part
    names = [f"a{address.replace('.', '-')}.n{number}.test" for number in range(hosts)]
    place.urls = [url.replace("127.0.0.1", names[row % hosts]) for row, url in enumerate(place.urls)]
    write_list(place)


def write_list(place: Place) -> None:
    Path(str(place.options["url_list"])).write_text("".join(f"{url}\n" for url in place.urls))


def name_server_away(absences: int) -> Callable[[Place], Trial]:
    """The only name server is away for 3 s, that many times with 2 s in between."""

    def attempt(place: Place) -> Trial:
        fill(place, "127.0.0.1", hosts=200)
        server = DnsServer("127.0.0.1", 53)
        try:
            with place.start(SAMPLE_INTERVAL_S) as run:
                place.await_moment(run)
                for absence in range(absences):
                    time.sleep(2.0 if absence else 0.0)
                    server.close()
                    time.sleep(3.0)
                    server = DnsServer("127.0.0.1", 53)
                return place.await_end(run)
        finally:
            server.close()

    return attempt


def interface_down(seconds: float) -> Callable[[Place], Trial]:
    """The interface that is the only way to the servers is down for so long."""

    def attempt(place: Place) -> Trial:
        with behind_an_interface() as inside:
            fill(place, HERE, hosts=50)
            relay(place.server.port)
            with DnsServer(HERE, 53), place.start(SAMPLE_INTERVAL_S, inside) as run:
                place.await_moment(run)
                subprocess.run([*inside, "ip", "link", "set", "there", "down"], check=True)
                time.sleep(seconds)
                set_up(inside)
                return place.await_end(run)

    return attempt


def relay(port: int) -> None:
    """Hand what arrives at ``HERE`` to the server on loopback, from a thread."""

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while received := await reader.read(65536):
                writer.write(received)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to_server = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(copy(reader, to_server[1]), copy(to_server[0], writer))

    async def run() -> None:
        server = await asyncio.start_server(serve, HERE, port)
        started.set()
        await server.serve_forever()

    started = threading.Event()
    threading.Thread(target=lambda: asyncio.run(run()), daemon=True).start()
    if not started.wait(20):
        raise RuntimeError("the relay does not listen")


def connections_ended(place: Place) -> Trial:
    """An https server, HTTP/2 where the client wants it, that ends each connection after three answers."""
    if find_nginx() is None:
        raise NotPossible("nginx is not installed")
    place.fill(threads=16)
    authority = TestAuthority(place.folder)
    files = place.folder / "files"
    keepalive = "keepalive_requests 3; keepalive_timeout 60s;"
    server = Nginx(place.folder / "nginx", files, authority.certificate("127.0.0.1"), keepalive)
    try:
        for number in range(8):
            (files / f"{number}.jpg").write_bytes(photograph(240 + 40 * number, 240, seed=number))
        place.urls = [f"{server.http2}/{row % 8}.jpg?row={row}" for row in range(len(place.urls))]
        write_list(place)
        trusting = {**place.program.environment, "SSL_CERT_FILE": authority.authority_file}
        place.program = dataclasses.replace(place.program, environment=trusting)
        return place.run_to_its_end()
    finally:
        server.close()


FAULTS = {
    "name server away once": name_server_away(1),
    "name server away four times": name_server_away(4),
    "interface down for 8 s": interface_down(8.0),
    "interface down for 20 s": interface_down(20.0),
}


def main(outside: str, fault: str) -> None:
    program, folder, chance, part = pickle.load(sys.stdin.buffer)
    resolver = HERE if fault.startswith("interface") else "127.0.0.1"
    enter(outside, f"nameserver {resolver}\n")
    with ImageServer() as server:
        trial = FAULTS[fault](Place(program, folder, server, chance, part))
    sys.stdout.buffer.write(pickle.dumps(trial))


if __name__ == "__main__":
    main(*sys.argv[1:])
