"""Stores to write to: in memory, a real S3 server, an unsteady one, a server that renames."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from img2dataset.storage import retries
from tests.storage.stores import RenamingServer, UnsteadyStore

folder_numbers = itertools.count()


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "_FIRST_WAIT_S", 0.001)


@pytest.fixture
def spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The local disk that shards wait on before they are uploaded."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


# moto answers every request on a thread of its own, and looks before it puts: two conditional puts of one
# object could both be the first, which S3 excludes. So they are answered one after the other.
S3_SERVER = """
import threading
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

moto, one_at_a_time = DomainDispatcherApplication(create_backend_app), threading.Lock()

def answer(environ, start_response):
    with one_at_a_time:
        return list(moto(environ, start_response))

server = make_server("127.0.0.1", 0, answer, threaded=True)
print(server.port, flush=True)
server.serve_forever()
"""


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """A real S3 server in a process of its own; its address."""
    pytest.importorskip("moto", reason="moto is not installed")
    pytest.importorskip("s3fs", reason="s3fs is not installed")
    process = subprocess.Popen(
        [sys.executable, "-c", S3_SERVER], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    port = process.stdout.readline().strip()
    assert port, "the S3 server ended"
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.wait()


@pytest.fixture(params=["memory", "s3"])
def remote_folder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    name = f"bucket-{os.getpid()}-{next(folder_numbers)}"
    if request.param == "memory":
        return f"memory://{name}/out"
    address = request.getfixturevalue("s3_server")
    # Where credentials and addresses come from is fsspec's own configuration.
    options = {
        "key": "k",
        "secret": "s",
        "endpoint_url": address,
        "client_kwargs": {"region_name": "eu-west-1"},
    }
    monkeypatch.setitem(fsspec.config.conf, "s3", options)
    fsspec.filesystem("s3").mkdir(name)
    return f"s3://{name}/out"


@pytest.fixture
def unsteady_folder() -> str:
    fsspec.register_implementation("unsteady", UnsteadyStore, clobber=True)
    UnsteadyStore.empty()
    UnsteadyStore.uploads.clear()
    UnsteadyStore.failures.clear()
    UnsteadyStore.steps_until_it_breaks = None
    return "unsteady://bucket/out"


@pytest.fixture
def renaming_folder(tmp_path: Path) -> str:
    """A folder on a server that renames; the same files are at the path after the protocol."""
    fsspec.register_implementation("renaming", RenamingServer, clobber=True)
    RenamingServer.moves.clear()
    RenamingServer.moves_until_it_breaks = None
    return f"renaming://{tmp_path}/remote"
