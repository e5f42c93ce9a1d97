"""The cache: one download however many ask, whole at any moment, bounded, verified."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

from img2dataset.errors import OptionError
from img2dataset.training import ImageCache, ImageLoader, ImageLoadError, cache_command
from img2dataset.training.load.cache_entry import Entry, decode_entry
from tests.pictures import photograph
from tests.servers import ImageServer

LOAD_ALL = """
import random, sys
from img2dataset.training import ImageLoader
loader = ImageLoader(cache=sys.argv[1], retries=0)
urls = sys.stdin.read().split()
random.Random(int(sys.argv[2])).shuffle(urls)
step = int(sys.argv[3])
for start in range(0, len(urls), step):
    for picture in loader.load_many(urls[start:start + step]):
        assert picture.size == (96, 64), picture
print("loaded")
"""


def start_loading(cache: Path, urls: list[str], seed: int, step: int) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", LOAD_ALL, str(cache), str(seed), str(step)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin
    process.stdin.write("\n".join(urls))
    process.stdin.close()
    return process


def test_sixteen_processes_asking_for_a_hundred_urls_make_a_hundred_requests(
    served, requests_of, tmp_path: Path
) -> None:
    urls = served(100)
    processes = [start_loading(tmp_path, urls, seed, (1, 16, 100)[seed % 3]) for seed in range(16)]
    for process in processes:
        assert process.stdout
        assert process.stdout.read() == "loaded\n"
        assert process.wait() == 0
    assert requests_of(urls) == 100


def test_threads_that_ask_at_once_make_one_request(served, requests_of, tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    urls = served(8)
    loader = ImageLoader(cache=tmp_path)
    with ThreadPoolExecutor(16) as threads:
        sizes = list(threads.map(lambda url: loader(url).size, urls * 8))
    assert set(sizes) == {(96, 64)}
    assert requests_of(urls) == 8


def test_a_killed_process_leaves_a_whole_cache_and_no_lock(served, tmp_path: Path) -> None:
    urls = served(200)
    chance = random.Random(0)
    for round_number in range(4):
        process = start_loading(tmp_path, urls, round_number, 8)
        time.sleep(chance.uniform(0.3, 0.8))
        process.send_signal(signal.SIGKILL)
        process.wait()
        for path in (tmp_path / "objects").glob("*/*"):
            decode_entry(path.read_bytes())  # raises unless whole
    process = start_loading(tmp_path, urls, 0, 50)
    assert process.stdout
    assert process.stdout.read() == "loaded\n"
    process.wait()
    assert ImageCache(tmp_path).stats().entries == 200


def entry(number: int, size: int = 1000) -> Entry:
    return Entry(
        f"http://example.org/{number}", b"\xff\xd8" + bytes([number % 256]) * (size - 2), time.time()
    )


def test_the_least_recently_used_are_removed_above_the_bound(tmp_path: Path) -> None:
    cache = ImageCache(tmp_path, max_bytes=12_000)
    for number in range(8):
        cache.put(entry(number))
        path = next(
            p
            for p in (tmp_path / "objects").glob("*/*")
            if decode_entry(p.read_bytes()).url == entry(number).url
        )
        os.utime(path, (1_000_000 + number, 1_000_000 + number))
    assert cache.get(entry(0).url) is not None  # used: now the newest
    for number in range(8, 14):
        cache.put(entry(number))
        assert cache.stats().bytes <= 12_000
    assert cache.get(entry(0).url) is not None
    assert cache.get(entry(1).url) is None
    assert cache.get(entry(13).url) is not None


def test_an_entry_larger_than_the_bound_is_not_kept(tmp_path: Path) -> None:
    cache = ImageCache(tmp_path, max_bytes=5000)
    cache.put(entry(1))
    cache.put(entry(2, 6000))
    assert (cache.get(entry(1).url) is None, cache.get(entry(2).url)) == (False, None)


def test_an_altered_entry_is_noticed_and_downloaded_again(served, requests_of, tmp_path: Path) -> None:
    urls = served(1)
    loader = ImageLoader(cache=tmp_path)
    loader(urls[0])
    (path,) = (tmp_path / "objects").glob("*/*")
    data = bytearray(path.read_bytes())
    data[-10] ^= 1
    path.write_bytes(data)
    assert loader(urls[0]).size == (96, 64)
    assert requests_of(urls) == 2
    decode_entry(path.read_bytes())


def test_what_failed_for_good_is_not_asked_for_again_but_what_can_pass_is(
    image_server: ImageServer, tmp_path: Path
) -> None:
    loader = ImageLoader(cache=tmp_path, retries=0)
    for path, expected in (("/status/404?cached", 1), ("/status/503?cached", 2)):
        before = image_server.count(path.partition("?")[0])
        for _ in range(2):
            with pytest.raises(ImageLoadError, match="HTTP"):
                loader(image_server.url(path))
        assert image_server.count(path.partition("?")[0]) - before == expected


@pytest.mark.parametrize("with_session", [False, True])
@pytest.mark.parametrize(
    ("headers", "condition"),
    [
        ([("ETag", '"one"')], 'If-None-Match: "one"'),
        (
            [("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")],
            "If-Modified-Since: Thu, 01 Jan 2026 00:00:00 GMT",
        ),
        ([("etag", 'W/"1"'), ("Last-Modified", "today")], "If-Modified-Since: today"),
    ],
)
def test_a_changed_image_is_noticed_when_the_cache_asks(
    image_server: ImageServer,
    tmp_path: Path,
    headers: list[tuple[str, str]],
    condition: str,
    with_session: bool,
) -> None:
    path = "/training/changing.jpg"
    url = image_server.put(path, photograph(96, 64, 1), headers=headers)
    session = requests.Session() if with_session else None
    asking = ImageLoader(cache=ImageCache(tmp_path, revalidate_after_s=0.0), session=session)
    assert asking(url).size == (96, 64)
    image_server.put(path, b"", status=304, headers=headers)
    assert asking(url).size == (96, 64)
    assert condition in (image_server.last_request(path) or "").splitlines()
    image_server.put(path, photograph(64, 64, 2), headers=[("ETag", '"two"')])
    assert asking(url).size == (64, 64)
    never = ImageLoader(cache=tmp_path)
    before = image_server.count(path)
    assert never(url).size == (64, 64)
    assert image_server.count(path) == before


@pytest.mark.parametrize("with_session", [False, True])
@pytest.mark.parametrize("etag", ['"' + "x" * 2000 + '"', '"caf\u00e9"'])
def test_a_validator_that_is_no_plain_header_value_is_not_sent_back(
    image_server: ImageServer, tmp_path: Path, etag: str, with_session: bool
) -> None:
    path = "/training/odd_validator.jpg"
    url = image_server.put(path, photograph(96, 64, 1), headers=[("ETag", etag)])
    session = requests.Session() if with_session else None
    asking = ImageLoader(cache=ImageCache(tmp_path, revalidate_after_s=0.0), session=session)
    for _ in range(2):
        assert asking(url).size == (96, 64)
        assert "If-" not in (image_server.last_request(path) or "")


def test_an_entry_of_a_shared_folder_writes_no_headers_of_its_own(
    image_server: ImageServer, tmp_path: Path
) -> None:
    path = "/training/smuggled.jpg"
    url = image_server.put(path, photograph(96, 64, 1))
    cache = ImageCache(tmp_path, revalidate_after_s=0.0)
    cache.put(Entry(url, photograph(96, 64, 0), 0.0, etag='"a"\r\nX-Smuggled: yes', last_modified="then"))
    assert ImageLoader(cache=cache)(url).size == (96, 64)
    request = image_server.last_request(path) or ""
    assert "Smuggled" not in request
    assert "If-Modified-Since: then" in request.splitlines()


def test_a_site_that_opts_out_is_heard_also_when_the_cache_asks(
    image_server: ImageServer, tmp_path: Path
) -> None:
    path = "/training/opted_out.jpg"
    url = image_server.put(path, photograph(96, 64, 1))
    asking = ImageLoader(cache=ImageCache(tmp_path, revalidate_after_s=0.0))
    assert asking(url).size == (96, 64)
    image_server.put(path, photograph(96, 64, 1), headers=[("X-Robots-Tag", "noai")])
    with pytest.raises(ImageLoadError, match="opt-out"):
        asking(url)


def test_a_folder_that_cannot_be_written_to_still_serves_what_it_has(
    served, requests_of, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = served(2)
    loader = ImageLoader(cache=tmp_path)
    loader(first)
    # A file where the folder for new entries should be: no write can succeed, whoever runs the test.
    temporary = tmp_path / "temporary"
    temporary.rmdir()
    temporary.write_text("")
    assert loader(first).size == (96, 64)
    assert loader(second).size == (96, 64)
    assert requests_of([first]) == 1
    assert "nothing more can be stored" in caplog.text


def test_names_in_the_cache_come_from_hashes_alone(tmp_path: Path) -> None:
    ImageCache(tmp_path / "c").put(
        Entry("http://x/../../../../etc/passwd\x00%2f", photograph(96, 64, 0), 0.0)
    )
    (path,) = (
        path for path in tmp_path.rglob("*") if path.is_file() and path.parent.parent.name == "objects"
    )
    assert set(path.parent.name + path.name) <= set("0123456789abcdef")


def test_stats_and_clear_from_the_command_line(tmp_path: Path) -> None:
    cache = ImageCache(tmp_path / "cache")
    for number in range(3):
        cache.put(entry(number))
    assert "entries   3" in cache_command(["stats", str(tmp_path / "cache")])
    assert cache_command(["clear", str(tmp_path / "cache")]).startswith("3 entries removed")
    assert cache.stats().entries == 0
    cache.put(entry(1))
    assert cache.get(entry(1).url) is not None
    for words in (["stats"], ["burn", "x"], ["clear", str(tmp_path / "mistyped")]):
        with pytest.raises(OptionError):
            cache_command(words)
    assert not (tmp_path / "mistyped").exists()


def test_wrong_bounds_are_named(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="max_bytes"):
        ImageCache(tmp_path, max_bytes=0)
    with pytest.raises(OptionError, match="revalidate_after_s"):
        ImageCache(tmp_path, revalidate_after_s=-1)
