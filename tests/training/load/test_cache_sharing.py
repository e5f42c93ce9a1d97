"""The cache beside others and over time: what is kept, how long a lock is held, what an error says."""

from __future__ import annotations

import pickle
import threading
import time
from pathlib import Path

import pytest
import requests
from torch.utils.data import DataLoader

from img2dataset.errors import OptionError
from img2dataset.storage.locks import locked
from img2dataset.training import (
    ImageCache,
    ImageLoader,
    ImageLoadError,
    ImageTextDataset,
    collate,
    load_image,
)
from img2dataset.training.load.cache_entry import Entry
from tests.pictures import photograph
from tests.servers import ImageServer


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"<!DOCTYPE html><html>please wait</html>", "HTML"),
        (b'{"error": "quota"}', "JSON"),
        (b"try again later", "text"),
    ],
)
@pytest.mark.parametrize("with_session", [False, True])
def test_what_is_no_image_is_asked_for_again(
    image_server: ImageServer, tmp_path: Path, body: bytes, kind: str, with_session: bool
) -> None:
    session = requests.Session() if with_session else None
    path = f"/training/page_{kind}_{with_session}.jpg"
    url = image_server.put(path, body)
    loader = ImageLoader(cache=tmp_path, session=session)
    for _ in range(2):
        with pytest.raises(ImageLoadError, match=f"{kind} instead of an image"):
            loader(url)
    assert image_server.count(path) == 2
    image_server.put(path, photograph(96, 64, 1))
    assert loader(url).size == (96, 64)
    assert loader(url).size == (96, 64)
    assert image_server.count(path) == 3


def test_each_url_is_stored_and_free_as_soon_as_it_has_ended(tmp_path: Path) -> None:
    cache = ImageCache(tmp_path)
    first_is_there, others_have_read = threading.Event(), threading.Event()
    picture = photograph(8, 8, 1)

    def fetch(wanted, arrived):
        entries = [Entry(url, picture, time.time()) for url, _ in wanted]
        arrived(entries[0])
        first_is_there.set()
        assert others_have_read.wait(60)
        arrived(entries[1])
        return entries

    def never(wanted, arrived):
        raise AssertionError(wanted)

    batch = threading.Thread(target=cache.get_many, args=(["http://a/1", "http://a/2"], fetch))
    batch.start()
    assert first_is_there.wait(60)
    assert cache.get_many(["http://a/1"], never)["http://a/1"].body == picture
    with locked(tmp_path / "locks" / cache._lock_name("http://a/1"), wait_s=0):
        others_have_read.set()
    batch.join()
    assert cache.stats().entries == 2


@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_lock_of_another_is_waited_for_until_the_deadline(served, tmp_path: Path, count: int) -> None:
    urls = served(count)
    loader = ImageLoader(cache=tmp_path, deadline_s=0.5)
    # For the locks alone: on a busy machine a download may take longer.
    loader._downloader = ImageLoader()._downloader
    assert loader.cache is not None
    names = {loader.cache._lock_name(url) for url in urls}
    result: list[object] = []
    thread = threading.Thread(target=lambda: result.extend(loader.load_many(urls)))
    holders = [locked(tmp_path / "locks" / name) for name in names]
    for holder in holders:
        holder.__enter__()
    try:
        thread.start()
        thread.join(60)
        assert [picture.size for picture in result] == [(96, 64)] * count  # type: ignore[attr-defined]
    finally:
        for holder in holders:
            holder.__exit__(None, None, None)
        thread.join()


@pytest.mark.parametrize("with_session", [False, True])
@pytest.mark.parametrize(
    ("path", "kind", "says"),
    [("/status/404", OSError, "HTTP 404"), ("/status/503", OSError, "HTTP 503")],
)
def test_the_error_of_a_download_has_its_cause(
    image_server: ImageServer, path: str, kind: type[BaseException], says: str, with_session: bool
) -> None:
    session = requests.Session() if with_session else None
    with pytest.raises(ImageLoadError) as caught:
        load_image(image_server.url(path), retries=0, session=session)
    assert isinstance(caught.value.__cause__, kind)
    assert says in str(caught.value.__cause__)


def test_the_cause_comes_back_from_a_worker(served, tmp_path: Path) -> None:
    (url,) = served(1)
    dataset = ImageTextDataset(
        [{"url": f"{url}-missing"}], loader={"retries": 0}, img_transform={"resize": 8}
    )
    with pytest.raises(ImageLoadError) as caught:
        list(DataLoader(dataset, 1, num_workers=1, collate_fn=collate))
    assert "HTTP 404" in str(caught.value)
    error = pickle.loads(pickle.dumps(ImageLoadError("a.jpg: gone", "a.jpg", "gone")))
    assert (str(error), error.source, error.__cause__) == ("a.jpg: gone", "a.jpg", None)
    with pytest.raises(ImageLoadError) as failed:
        load_image(f"{url}-missing", retries=0)
    again = pickle.loads(pickle.dumps(failed.value))
    assert str(again.__cause__) == str(failed.value.__cause__) == "HTTP 404"


def test_blanks_around_a_url_of_a_list_are_no_part_of_it(served, requests_of, tmp_path: Path) -> None:
    (url,) = served(1)
    rows = [{"url": text.format(url), "caption": "x"} for text in ("{}", " {}", "{}\r\n", "\t{} ")]
    dataset = ImageTextDataset(rows, img_transform={"resize": 8}, cache=tmp_path)
    assert [dataset[index]["img"].shape[1] for index in range(4)] == [8] * 4
    assert requests_of([url]) == 1


def test_a_refused_connection_is_the_cause() -> None:
    with pytest.raises(ImageLoadError) as caught:
        load_image("http://127.0.0.1:9/a.jpg", retries=0)
    assert isinstance(caught.value.__cause__, ConnectionError)


@pytest.mark.parametrize("bound", [1, 3, 20])
def test_the_cache_is_bounded_by_count(tmp_path: Path, bound: int) -> None:
    cache = ImageCache(tmp_path, max_entries=bound)
    for number in range(25):
        cache.put(Entry(f"http://example.org/{number}", photograph(8, 8, 1), time.time()))
        assert cache.stats().entries <= bound
    assert cache.get("http://example.org/24") is not None
    with pytest.raises(OptionError, match="max_entries"):
        ImageCache(tmp_path, max_entries=0)


@pytest.mark.parametrize("blanks", [" {} ", "\t{}", "{}\r\n"])
def test_blanks_around_a_url_are_no_part_of_it(served, requests_of, tmp_path: Path, blanks: str) -> None:
    (url,) = served(1)
    assert load_image(blanks.format(url), cache=str(tmp_path)).size == (96, 64)
    assert load_image(url, cache=str(tmp_path)).size == (96, 64)
    assert load_image({"bytes": None, "path": blanks.format(url)}, cache=str(tmp_path)).size == (96, 64)
    assert requests_of([url]) == 1
