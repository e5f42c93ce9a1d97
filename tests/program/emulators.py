"""Object stores of other makers as programs on this machine: s3rver (S3), Azurite (Azure), one of Google's.

Comes in: a folder for their data. Goes out: a running ``Emulator``, with what fsspec must be told to reach
it. ``make .venv/.slow`` installs them beside the environment; the first two are npm packages.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fsspec

from tests.servers.nginx import free_ports

NPM_PACKAGES = Path(sys.prefix) / "stores" / "node_modules" / ".bin"
# Azurite's own account, which its documentation names.
AZURE_ACCOUNT = "devstoreaccount1"
AZURE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="

# gcsfs asks by gRPC first, whether a bucket is a zonal one, which the emulator does not speak.
_WITHOUT_GRPC = {"GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false"}


@dataclass
class Emulator:
    """A store that runs; ``options`` are those of its fsspec file system."""

    scheme: str
    options: dict[str, Any]
    command: list[str]
    port: int
    log: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> dict[str, str]:
        """What a program is told to reach it: fsspec's own configuration."""
        return {f"FSSPEC_{self.scheme.upper()}": json.dumps(self.options), **_WITHOUT_GRPC}

    def file_system(self) -> Any:
        os.environ.update(_WITHOUT_GRPC)
        return fsspec.filesystem(
            self.scheme, skip_instance_cache=True, use_listings_cache=False, **self.options
        )

    def start(self) -> None:
        """Start it, and wait until it listens."""
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        until = time.monotonic() + 60
        while time.monotonic() < until:
            assert self.process.poll() is None, self.log.read_text()
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise AssertionError(f"{self.command[0]} does not listen: {self.log.read_text()}")

    def stop(self) -> None:
        """End it, as a machine that fails does."""
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.process = None


def missing(name: str) -> str | None:
    """Why an emulator cannot be started here; None if it can."""
    if name == "gs":
        return _not_importable("gcp_storage_emulator", "gcsfs")
    if not (NPM_PACKAGES / {"s3": "s3rver", "az": "azurite-blob"}[name]).exists():
        return "the npm packages are not installed: make .venv/.slow"
    return _not_importable("s3fs" if name == "s3" else "adlfs")


@contextmanager
def running(name: str, folder: Path) -> Iterator[Emulator]:
    """The emulator of a scheme: ``s3``, ``az`` or ``gs``."""
    (port,) = free_ports(1)
    folder.mkdir(parents=True, exist_ok=True)
    emulator = _emulator(name, port, folder)
    emulator.start()
    try:
        yield emulator
    finally:
        emulator.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _emulator(name: str, port: int, folder: Path) -> Emulator:
    address, log = f"http://127.0.0.1:{port}", folder / "log"
    if name == "s3":
        options: dict[str, Any] = {
            "key": "S3RVER",
            "secret": "S3RVER",
            "endpoint_url": address,
            "client_kwargs": {"region_name": "eu-west-1"},
        }
        program = str(NPM_PACKAGES / "s3rver")
        where = ["--directory", str(folder / "data"), "--address", "127.0.0.1", "--port", str(port)]
        (folder / "data").mkdir()
        # It signs the marks of listings that go on with a cipher that OpenSSL 3 has for old programs alone.
        command = ["node", "--openssl-legacy-provider", program, *where, "--no-vhost-buckets"]
        return Emulator("s3", options, command, port, log)
    if name == "az":
        connection = (
            f"DefaultEndpointsProtocol=http;AccountName={AZURE_ACCOUNT};AccountKey={AZURE_KEY};"
            f"BlobEndpoint={address}/{AZURE_ACCOUNT};"
        )
        program = str(NPM_PACKAGES / "azurite-blob")
        where = ["--blobHost", "127.0.0.1", "--blobPort", str(port), "--location", str(folder)]
        command = [program, *where, "--skipApiVersionCheck", "--silent"]
        return Emulator("az", {"connection_string": connection}, command, port, log)
    program = str(Path(sys.executable).with_name("gcp-storage-emulator"))
    where = ["start", "--host", "127.0.0.1", "--port", str(port), "--in-memory"]
    options = {"endpoint_url": address, "token": "anon", "project": "test"}
    return Emulator("gs", options, [program, *where], port, log)


def _not_importable(*modules: str) -> str | None:
    absent = [module for module in modules if importlib.util.find_spec(module) is None]
    return f"{absent[0]} is not installed: make .venv/.slow" if absent else None
