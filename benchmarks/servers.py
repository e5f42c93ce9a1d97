"""The servers the contenders load from: nginx over http and https, and a simulated web. Used by ``run.py``.

All listen on addresses of the loopback network only, in processes of their own: their CPU is not counted
to the program measured, but they use the same cores, as everything on one machine does.
"""

from __future__ import annotations

import json
import os
import pwd
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.web_process import Behaviour, listening_addresses

ADDRESSES = tuple(f"127.0.1.{last}" for last in range(1, 201))

CONFIGURATION = """
daemon off; pid {home}/nginx.pid; error_log {home}/error.log warn; {user}
worker_processes auto; worker_rlimit_nofile 65536;
events {{ worker_connections 16384; }}
http {{
  access_log off; sendfile on; tcp_nopush on; tcp_nodelay on;
  types {{ image/jpeg jpg; image/png png; image/webp webp; }}
  client_body_temp_path {home}/t1; proxy_temp_path {home}/t2; fastcgi_temp_path {home}/t3;
  uwsgi_temp_path {home}/t4; scgi_temp_path {home}/t5;
  root {folder};
  server {{
    {http_listen}
    keepalive_requests 100000; keepalive_timeout 60s;
  }}
  server {{
    {https_listen}
    ssl_certificate {certificate}; ssl_certificate_key {certificate};
    # A full handshake for every request, as with a web of hosts that are met once.
    keepalive_timeout 0; ssl_session_cache off; ssl_session_tickets off;
  }}
}}
"""


def find_nginx() -> str:
    """The nginx program, also where Debian puts it outside a user's PATH.

    Raises:
        RuntimeError: it is not installed; the message says how to get it.
    """
    program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if program is None:
        raise RuntimeError("nginx is not installed; on Debian and Ubuntu: sudo apt-get install nginx-light")
    return program


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Nginx:
    """nginx over ``folder`` at ``ADDRESSES``: ``http_port`` keeps connections alive, ``https_port`` never.

    Args:
        home: folder for its configuration and logs.
        folder: what is served.
        certificate: file with private key and certificate, good for ``ADDRESSES``.
    """

    def __init__(self, home: Path, folder: Path, certificate: Path) -> None:
        program = find_nginx()
        home.mkdir(parents=True, exist_ok=True)
        self.http_port, self.https_port = free_port(), free_port()
        configuration = home / "nginx.conf"
        configuration.write_text(
            CONFIGURATION.format(
                home=home,
                folder=folder,
                certificate=certificate,
                # Started by root, its workers would become "nobody", who may not see the folder.
                user=f"user {pwd.getpwuid(0).pw_name};" if os.geteuid() == 0 else "",
                http_listen=_listen_lines(self.http_port, ""),
                https_listen=_listen_lines(self.https_port, " ssl"),
            )
        )
        self.log = home / "error.log"
        command = [program, "-p", str(home), "-c", str(configuration), "-e", str(self.log)]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        self.process_id = self._process.pid
        wait_until_listening(self._process, self.https_port, self.log)

    def close(self) -> None:
        """End it and its workers."""
        _end(self._process)


def _listen_lines(port: int, options: str) -> str:
    return " ".join(f"listen {address}:{port}{options} backlog=1024;" for address in ADDRESSES)


class SimulatedWeb:
    """Hosts of the open web, as ``behaviour`` says, over ``folder``; see ``web_process.py``."""

    def __init__(self, home: Path, folder: Path, behaviour: Behaviour) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        log = home / "web.log"
        command = [sys.executable, "-m", "benchmarks.web_process", str(folder), str(self.port)]
        with open(log, "wb") as output:
            self._process = subprocess.Popen(
                [*command, json.dumps(behaviour.__dict__)],
                stdin=subprocess.PIPE,  # closed when this process is gone, which ends the server
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self.process_id = self._process.pid
        wait_until_listening(self._process, self.port, log, listening_addresses(behaviour)[-1])

    def close(self) -> None:
        """End it."""
        _end(self._process)


def wait_until_listening(
    process: subprocess.Popen[bytes], port: int, log: Path, address: str = ADDRESSES[-1]
) -> None:
    """Return when ``process`` accepts connections.

    Raises:
        RuntimeError: it ended, or did not listen within 20 seconds.
    """
    for _ in range(1000):
        if process.poll() is not None:
            said = log.read_text().strip() if log.exists() else ""
            raise RuntimeError(f"the server ended at its start with status {process.returncode}: {said}")
        with socket.socket() as probe:
            if probe.connect_ex((address, port)) == 0:
                return
        time.sleep(0.02)
    process.terminate()
    raise RuntimeError(f"the server does not listen on {address}:{port} after 20 seconds; see {log}")


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
