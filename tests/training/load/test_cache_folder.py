"""The cache where its folder is removed, read-only or damaged, or its clock was wrong."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from img2dataset import failures
from img2dataset.errors import Img2datasetError
from img2dataset.training import ImageCache, ImageLoader, cache_command
from img2dataset.training.load.cache_entry import Entry, failed_entry
from tests.pictures import photograph

URL = "http://x/a.jpg"
READ_ONLY = """
import os, sys
from img2dataset.cli import run_command
from img2dataset.training import ImageLoader
cache, url = sys.argv[1:]
loader = ImageLoader(cache=cache)
print(loader(url).size, os.path.relpath(loader.path(url), cache).partition(os.sep)[0])
print(run_command(["cache", "stats", cache]), run_command(["cache", "clear", cache]))
"""


@pytest.mark.parametrize("is_used_elsewhere", [False, True])
def test_a_cache_folder_that_is_removed_is_made_again(
    served, requests_of, tmp_path: Path, is_used_elsewhere: bool
) -> None:
    urls = served(3)
    loader = ImageLoader(cache=tmp_path / "cache")
    loader(urls)
    shutil.rmtree(tmp_path / "cache")
    assert loader.cache is not None
    assert (loader.cache.stats().entries, loader.cache.clear()) == (0, 0)
    if is_used_elsewhere:
        ImageCache(tmp_path / "cache")
        shutil.rmtree(tmp_path / "cache" / "temporary")
    for _ in range(3):
        loader(urls)
    assert requests_of(urls) == 6
    assert loader.cache.stats().entries == 3


def test_a_read_only_cache_folder_serves_what_it_has_and_says_what_it_cannot(served, tmp_path: Path) -> None:
    alone = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-rm"]
    if shutil.which("unshare") is None or subprocess.run([*alone, "true"], capture_output=True).returncode:
        pytest.skip("needs Linux with unshare")
    (url,) = served(1)
    cache = tmp_path / "cache"
    ImageLoader(cache=cache).path(url)
    shutil.rmtree(cache / "locks")  # as a copy has it that leaves out empty folders
    shutil.rmtree(cache / "temporary")
    script = 'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" && shift && exec "$@"'
    ended = subprocess.run(
        [*alone, "sh", "-c", script, "sh", str(cache), sys.executable, "-c", READ_ONLY, str(cache), url],
        capture_output=True,
        text=True,
    )
    assert ended.stdout.splitlines()[0] == "(96, 64) objects", ended.stderr
    assert ended.stdout.splitlines()[-1] == "0 1"
    assert ended.stderr.startswith(f"img2dataset: the cache folder {str(cache)!r} cannot be cleared: ")


@pytest.mark.parametrize(
    "change",
    [{"checked": value} for value in (None, "yesterday", [1], 10**400)] + [{"url": "http://x/b.jpg"}],
)
def test_a_description_of_other_types_is_no_entry(tmp_path: Path, change: dict[str, Any]) -> None:
    cache = ImageCache(tmp_path, revalidate_after_s=60)
    entry = Entry(URL, photograph(96, 64, 0), time.time())
    cache.put(entry)
    (path,) = (tmp_path / "objects").glob("*/*")
    line, body = path.read_bytes().split(b"\n", 1)
    path.write_bytes(json.dumps(json.loads(line) | change).encode() + b"\n" + body)
    found = cache.get_many([URL], lambda wanted, arrived: [arrived(entry) for _ in wanted])  # type: ignore
    assert found == {URL: entry}
    assert cache.get(URL) == entry


def test_deep_brackets_are_no_entry(tmp_path: Path) -> None:
    cache = ImageCache(tmp_path)
    cache.put(Entry(URL, photograph(96, 64, 0), time.time()))
    (path,) = (tmp_path / "objects").glob("*/*")
    path.write_bytes(b"[" * 100_000 + b"\n")
    assert cache.get(URL) is None


def test_what_a_clock_that_was_ahead_has_noted_is_not_believed_until_then(tmp_path: Path) -> None:
    cache = ImageCache(tmp_path)
    tomorrow = time.time() + 86400
    gone = failed_entry(URL, failures.of_status(404))
    cache.put(Entry(URL, b"", tomorrow, failure=gone.failure))
    leftover = tmp_path / "temporary" / "leftover"
    leftover.write_bytes(b"half")
    os.utime(leftover, (tomorrow, tomorrow))
    asked: list[str] = []

    def fetch_many(wanted: Any, arrived: Any) -> list[Entry]:
        asked.extend(url for url, _ in wanted)
        return [arrived(gone) for _ in wanted]

    ImageCache(tmp_path).get_many([URL], fetch_many)
    assert asked == [URL]
    assert not leftover.exists()


def test_what_cannot_be_removed_is_told(tmp_path: Path) -> None:
    cache = ImageCache(tmp_path / "cache")
    cache.put(Entry(URL, photograph(96, 64, 0), time.time()))
    (path,) = (tmp_path / "cache" / "objects").glob("*/*")
    path.unlink()
    path.mkdir()  # cannot be removed as an entry is, whoever runs the test
    with pytest.raises(Img2datasetError, match="cannot be cleared"):
        cache_command(["clear", str(tmp_path / "cache")])
