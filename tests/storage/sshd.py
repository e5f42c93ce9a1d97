"""A real sshd of the user who runs the tests, on loopback: for SFTP, and for folders mounted over it."""

from __future__ import annotations

import contextlib
import getpass
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

SERVER = "/usr/sbin/sshd"
CONFIGURATION = """Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/key
AuthorizedKeysFile {folder}/key.pub
PidFile none
StrictModes no
UsePAM no
PermitRootLogin yes
Subsystem sftp internal-sftp
"""


@dataclass(frozen=True, slots=True)
class Sshd:
    """Where it listens, and the key that lets this user in."""

    port: int
    key: Path

    @property
    def access(self) -> dict[str, object]:
        """As fsspec's configuration has it."""
        user = {"username": getpass.getuser(), "key_filename": str(self.key)}
        return {**user, "port": self.port, "host_key_policy": "auto_add"}

    @contextlib.contextmanager
    def mounted(self, folder: Path, at: Path) -> Iterator[Path]:
        """A folder of the server, mounted as another machine would."""
        at.mkdir()
        ssh = f"IdentityFile={self.key},StrictHostKeyChecking=no,UserKnownHostsFile=/dev/null,LogLevel=ERROR"
        source = f"{getpass.getuser()}@127.0.0.1:{folder}"
        subprocess.run(["sshfs", "-p", str(self.port), "-o", ssh, source, str(at)], check=True, timeout=60)
        try:
            yield at
        finally:
            subprocess.run(["fusermount3", "-u", "-z", str(at)], check=True, timeout=60)


def need_mounts() -> None:
    """Skip where no folder can be mounted over ssh."""
    if shutil.which("sshfs") is None or not Path("/dev/fuse").exists():
        pytest.skip("there is no sshfs, or no /dev/fuse; on Debian: apt-get install sshfs")


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    if not Path(SERVER).exists() or shutil.which("ssh-keygen") is None:
        pytest.skip("there is no sshd; on Debian: apt-get install openssh-server")
    folder = tmp_path_factory.mktemp("sshd")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / "key")], check=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    (folder / "config").write_text(CONFIGURATION.format(port=port, folder=folder))
    with contextlib.suppress(OSError):
        Path("/run/sshd").mkdir(exist_ok=True)  # where it has itself without privileges
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen([SERVER, "-D", "-e", "-f", str(folder / "config")], stderr=log)
        until = time.monotonic() + 60
        while True:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), 10).close()
                break
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < until, (folder / "log").read_text()
            time.sleep(0.1)
        yield Sshd(port, folder / "key")
        process.terminate()
        process.wait()
