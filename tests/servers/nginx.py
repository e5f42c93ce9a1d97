"""nginx over a folder of files, on ephemeral ports: http, https (HTTP/1.1) and https with HTTP/2."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

CONFIGURATION = """
daemon off; master_process off; pid {home}/nginx.pid; error_log {home}/error.log warn;
events {{ worker_connections 8192; }}
http {{
  access_log off; sendfile on; tcp_nopush on; tcp_nodelay on;
  types {{ image/jpeg jpg; image/png png; image/webp webp; }}
  default_type application/octet-stream;
  {keepalive}
  client_body_temp_path {home}/t1; proxy_temp_path {home}/t2; fastcgi_temp_path {home}/t3;
  uwsgi_temp_path {home}/t4; scgi_temp_path {home}/t5;
  ssl_certificate {certificate}; ssl_certificate_key {certificate};
  ssl_session_cache shared:tests:4m;
  root {folder};
  server {{ listen 127.0.0.1:{http} backlog=4096; }}
  server {{ listen 127.0.0.1:{https} ssl backlog=4096; }}
  server {{ listen 127.0.0.1:{http2} ssl http2 backlog=4096; }}
}}
"""


def find_nginx() -> str | None:
    """The nginx program, also where Debian puts it outside a user's PATH."""
    return shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


class Nginx:
    """A running nginx; ``http``, ``https`` and ``http2`` are addresses without a final slash."""

    def __init__(
        self,
        home: Path,
        folder: Path,
        certificate: str,
        keepalive: str = "keepalive_requests 1000000; keepalive_timeout 60s;",
    ) -> None:
        program = find_nginx()
        if program is None:
            raise RuntimeError("nginx is not installed; on Debian: apt-get install nginx-light")
        self.folder = folder
        home.mkdir(parents=True, exist_ok=True)
        folder.mkdir(parents=True, exist_ok=True)
        configuration, log = home / "nginx.conf", home / "error.log"
        command = [program, "-p", str(home), "-c", str(configuration), "-e", str(log)]
        # Between their choice and its start, another program may have taken one of the ports.
        for _ in range(5):
            ports = free_ports(3)
            configuration.write_text(
                CONFIGURATION.format(
                    home=home,
                    folder=folder,
                    certificate=certificate,
                    keepalive=keepalive,
                    http=ports[0],
                    https=ports[1],
                    http2=ports[2],
                )
            )
            log.unlink(missing_ok=True)
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
            if self._listens(home / "nginx.pid"):
                break
            said = log.read_text() if log.exists() else ""
            if "Address already in use" not in said:
                raise RuntimeError(f"nginx ended at its start: {said}")
        else:
            raise RuntimeError("nginx has found its ports taken five times")
        self.process_id = self._process.pid
        self.http, self.https, self.http2 = (
            f"{scheme}://127.0.0.1:{port}"
            for scheme, port in zip(("http", "https", "https"), ports, strict=True)
        )

    def _listens(self, number: Path) -> bool:
        """Whether it does, once that is certain: it writes its process number when it has all ports."""
        until = time.monotonic() + 120
        while self._process.poll() is None:
            if number.exists() and number.read_text().strip() == str(self._process.pid):
                return True
            if time.monotonic() > until:
                self._process.kill()
                raise RuntimeError("nginx does not listen after 120 seconds")
            time.sleep(0.02)
        return False

    def close(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def free_ports(count: int) -> list[int]:
    """Ports nobody listens on; held together while they are chosen so that they differ."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()
