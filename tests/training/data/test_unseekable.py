"""Finished datasets and tars on file systems that give streams, and on web servers without ranges."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
from torch.utils.data import DataLoader

from img2dataset import download
from img2dataset.errors import InputError
from img2dataset.training import ShardStream, TarStream
from tests.pictures import photograph
from tests.servers import ImageServer
from tests.training.data.test_tar_stream import by_ustar
from tests.training.data.unseekable import OneWayFileSystem, TarServer, tar_server

# More than fsspec asks a server for at once.
BIG = {f"{n}.jpg": photograph(64, 48, n) + bytes(1_500_000) for n in range(8)}


@pytest.fixture(autouse=True)
def one_way() -> None:
    fsspec.register_implementation("oneway", OneWayFileSystem, clobber=True)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TarServer]:
    pytest.importorskip("aiohttp", reason="fsspec reads http with aiohttp")
    path = tmp_path_factory.mktemp("served") / "a.tar"
    by_ustar(BIG, path)
    with tar_server(path.read_bytes()) as server:
        yield server


@pytest.mark.parametrize("way", ["length", "chunked", "closing", "ranges"])
@pytest.mark.parametrize("workers", [0, 1])
def test_a_tar_is_read_from_every_web_server(server: TarServer, way: str, workers: int) -> None:
    server.ranges.clear()
    stream = TarStream([server.url(way)], image="bytes")
    samples = list(DataLoader(stream, batch_size=None, num_workers=workers))
    assert {sample["metadata"]["key"] + ".jpg": sample["img"] for sample in samples} == BIG
    assert (None not in server.ranges) == (way == "ranges")


@pytest.mark.parametrize("way", ["length", "chunked", "closing", "ranges"])
def test_a_connection_that_breaks_off_is_told(server: TarServer, way: str) -> None:
    url = server.url(f"{way}?cut")
    with pytest.raises(InputError, match=r"the tar 'http.*(cannot be read|is broken): ") as caught:
        list(TarStream(url, image="bytes"))
    assert url in str(caught.value)


def test_a_server_that_has_none_is_told(server: TarServer) -> None:
    with pytest.raises(InputError, match=r"the tar 'http://127\.0\.0\.1:9/a\.tar' cannot be opened: "):
        list(TarStream("http://127.0.0.1:9/a.tar"))


def test_a_request_may_last_longer_than_the_http_client_gives_it(
    server: TarServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    import aiohttp
    from aiohttp import client

    monkeypatch.setattr(client, "DEFAULT_TIMEOUT", aiohttp.ClientTimeout(total=0.001))
    assert len(list(TarStream(server.url("chunked"), image="bytes"))) == len(BIG)


@pytest.mark.parametrize("way", ["/a.tar", "", "/*.tar", "/{a..a}.tar"])
def test_a_file_system_may_give_streams(tmp_path: Path, way: str) -> None:
    by_ustar(BIG, tmp_path / "a.tar")
    samples = list(TarStream(f"oneway://{tmp_path}{way}", image="bytes"))
    assert {sample["metadata"]["key"] + ".jpg": sample["img"] for sample in samples} == BIG
    assert {sample["metadata"]["tar"] for sample in samples} == {f"oneway://{tmp_path}/a.tar"}


@pytest.mark.parametrize("output_format", ["files", "webdataset", "parquet", "tfrecord"])
def test_a_finished_dataset_is_read_from_streams(
    image_server: ImageServer, tmp_path: Path, output_format: str
) -> None:
    rows = [
        {"url": image_server.put(f"/oneway/{n}.jpg", photograph(40 + n, 40, n)), "caption": str(n)}
        for n in range(9)
    ]
    download(
        url_list=rows,
        output_folder=str(tmp_path / "set"),
        output_format=output_format,
        caption_col="caption",
        number_sample_per_shard=5,
        resize_mode="no",
        processes_count=1,
    )
    for where, expected in ((None, list(range(9))), ("width > 44", list(range(5, 9)))):
        stream = ShardStream(f"oneway://{tmp_path}/set", where=where)
        assert [int(sample["caption"]) for sample in stream] == expected
    if output_format in ("webdataset", "tfrecord"):
        path = next((tmp_path / "set").glob("00001.t*"))
        path.write_bytes(path.read_bytes().rstrip(b"\0")[:-100])
        with pytest.raises(InputError, match=rf"{path.name} of .* it ends at byte"):
            list(ShardStream(f"oneway://{tmp_path}/set"))
