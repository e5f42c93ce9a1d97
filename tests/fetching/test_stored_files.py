"""Files and stores that the user allows, under the limits of downloads; and that nothing else is read."""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.registry import register_implementation

from img2dataset.errors import MissingDependency, OptionError
from img2dataset.fetching import Fetcher, FetchSettings, check_schemes
from img2dataset.types import Fetched, Row
from tests.fetching.download_all import HANG_GUARD_S, download, download_all, failure_of
from tests.servers import ImageServer

BODY = bytes(range(256)) * 4000


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "my photo é%41.jpg"
    path.write_bytes(BODY)
    return path


def test_files_are_read_by_path_and_by_url(picture: Path) -> None:
    for url in (str(picture), picture.as_uri(), f"file://localhost{picture.as_uri()[7:]}", f"  {picture}\n"):
        assert download(url, allow_schemes=("file",)).body == BODY


def test_nothing_is_read_that_was_not_allowed(picture: Path) -> None:
    assert failure_of(str(picture)) == "invalid url: no scheme"
    assert failure_of(picture.as_uri()) == "scheme: file not allowed"
    assert failure_of(picture.as_uri(), allow_schemes=("s3",)) == "scheme: file not allowed"
    assert failure_of(f"simplecache::{picture.as_uri()}", allow_schemes=("file",)) == "scheme: not allowed"
    assert (
        failure_of(f"memory://x::{picture.as_uri()}", allow_schemes=("memory", "file"))
        == "storage: no such file"
    )


def test_no_server_may_redirect_to_a_file(image_server: ImageServer, picture: Path) -> None:
    url = image_server.put("/to-file", b"", status=302, headers=[("Location", picture.as_uri())])
    assert failure_of(url, allow_schemes=("file",)) == "scheme: file not allowed"


def test_what_is_no_plain_file_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "empty").touch()
    (tmp_path / "closed").write_bytes(b"x")
    failures = {
        str(tmp_path / "missing"): "storage: no such file",
        str(tmp_path / "pipe"): "storage: no such file",
        str(tmp_path): "storage: no such file",
        "/dev/zero": "storage: no such file",
        f"file://other.example{tmp_path}/empty": "storage: no such file",
        str(tmp_path / "empty"): "empty body",
    }
    outcomes = download_all(list(failures), allow_schemes=("file",))
    assert {outcome.row.url: outcome.failure for outcome in outcomes} == failures


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_says_so(picture: Path) -> None:
    picture.chmod(0)
    assert failure_of(str(picture), allow_schemes=("file",)) == "storage: permission denied"


def test_the_limit_of_size_holds(picture: Path) -> None:
    assert download(str(picture), allow_schemes=("file",), max_download_bytes=len(BODY)).body == BODY
    assert (
        failure_of(str(picture), allow_schemes=("file",), max_download_bytes=len(BODY) - 1)
        == "too large: body"
    )


def test_the_memory_of_bodies_is_bounded_for_files_too(tmp_path: Path) -> None:
    paths = [tmp_path / f"{n}.jpg" for n in range(40)]
    for path in paths:
        path.write_bytes(BODY)
    delivered: queue.SimpleQueue[Fetched] = queue.SimpleQueue()
    settings = FetchSettings(allow_schemes=("file",), body_memory=3 * len(BODY), adaptive_thread_count=False)
    with Fetcher(settings, delivered.put) as fetcher:
        fetcher.submit(Row(0, index, str(path)) for index, path in enumerate(paths))
        for _ in paths:
            fetched = delivered.get(timeout=HANG_GUARD_S)
            assert fetched.body == BODY
            assert fetcher.held_bytes <= 3 * len(BODY)
            fetcher.release(fetched.size)
        assert fetcher.held_bytes == 0


def test_other_file_systems_of_fsspec_are_read() -> None:
    fsspec.filesystem("memory").pipe("/store/a.jpg", BODY)
    assert download("memory://store/a.jpg", allow_schemes=("MEMORY",)).body == BODY
    assert failure_of("memory://store/b.jpg", allow_schemes=("memory",)) == "storage: no such file"


class HangingFileSystem(MemoryFileSystem):
    """Never comes back from opening a path that contains "hang"."""

    protocol = "hanging"
    released = threading.Event()

    def _open(self, path: str, *arguments: Any, **options: Any) -> Any:
        if "hang" in path:
            self.released.wait(HANG_GUARD_S)
        return super()._open(path, *arguments, **options)

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return super()._strip_protocol(path.replace("hanging://", "memory://"))


@pytest.fixture
def hanging() -> Iterator[None]:
    register_implementation("hanging", HangingFileSystem, clobber=True)
    HangingFileSystem.released.clear()
    fsspec.filesystem("memory").pipe("/good.jpg", BODY)
    yield
    HangingFileSystem.released.set()


@pytest.mark.usefixtures("hanging")
def test_a_read_that_hangs_is_given_up_and_others_go_on() -> None:
    urls = [f"hanging://hang{n}" for n in range(30)] + ["hanging://good.jpg"] * 30
    outcomes = download_all(urls, allow_schemes=("hanging",), timeout=3)
    assert [outcome.failure for outcome in outcomes] == ["timeout: silence"] * 30 + [None] * 30
    deadline = failure_of("hanging://hang", allow_schemes=("hanging",), timeout=30, deadline=0.5)
    assert deadline == "timeout: deadline"


@pytest.mark.usefixtures("hanging")
def test_threads_that_hang_are_bounded() -> None:
    urls = [f"hanging://hang{n}" for n in range(200)]
    before = threading.active_count()
    outcomes = download_all(urls, allow_schemes=("hanging",), timeout=0.2)
    assert {outcome.failure for outcome in outcomes} == {"timeout: silence", "storage: cannot be read"}
    assert threading.active_count() - before <= 100


@pytest.mark.usefixtures("hanging")
def test_a_hanging_read_does_not_hold_back_downloads_nor_the_end(image_server: ImageServer) -> None:
    good = image_server.put("/beside.jpg", b"beside")
    delivered: queue.SimpleQueue[Fetched] = queue.SimpleQueue()
    with Fetcher(
        FetchSettings(allow_schemes=("hanging",), adaptive_thread_count=False), delivered.put
    ) as fetcher:
        fetcher.submit(Row(0, index, f"hanging://hang{index}") for index in range(20))
        fetcher.submit([Row(1, 0, good)])
        fetched = delivered.get(timeout=HANG_GUARD_S)
        assert fetched.body == b"beside"
        fetcher.release(fetched.size)
        fetcher.forget(0)
        fetcher.submit([Row(2, 0, good)])
        assert delivered.get(timeout=HANG_GUARD_S).row.shard_id == 2
        started = time.monotonic()
    assert time.monotonic() - started < HANG_GUARD_S / 2
    assert delivered.empty()


def test_ftp_servers_are_held_to_the_same_addresses() -> None:
    for host, failure in (("169.254.1.1", "address: link-local"), ("127.0.0.1", "address: loopback")):
        url = f"ftp://{host}/a.jpg"
        assert failure_of(url, allow_schemes=("ftp",), private_addresses="deny") == failure


def test_schemes_are_checked_before_a_run() -> None:
    check_schemes(["http", "https", "data", "file", "memory", "ftp"])
    for scheme in ("simplecache", "zip", "madeup", "file:"):
        with pytest.raises(OptionError, match=scheme):
            check_schemes([scheme])
    with pytest.raises(MissingDependency, match="dropbox"):
        check_schemes(["dropbox"])
    assert failure_of("dropbox://a.jpg", allow_schemes=("dropbox",)) == "scheme: dropbox not installed"


def test_an_s3_bucket_is_read(s3_environment: Callable[[str], None]) -> None:
    moto = pytest.importorskip("moto.server")
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    s3_environment(f"http://{host}:{port}")
    store = fsspec.filesystem("s3")
    store.mkdir("pictures")
    store.pipe("pictures/folder/a photo.jpg", BODY)
    outcomes = download_all(
        ["s3://pictures/folder/a photo.jpg", "s3://pictures/missing.jpg"], allow_schemes=("s3",)
    )
    server.stop()
    assert [outcome.body for outcome in outcomes] == [BODY, None]
    assert outcomes[1].failure == "storage: no such file"
