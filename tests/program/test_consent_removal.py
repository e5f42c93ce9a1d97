"""``img2dataset consent OUTPUT --recheck --remove``: what is reserved now leaves finished shards."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.pictures import photograph
from tests.program.consents import consent, document, is_whole, said
from tests.program.contract import Maker, column, rows_of
from tests.program.runs import COMMAND, read_dataset, run, start
from tests.program.test_faults import wait_until
from tests.servers import ImageServer
from tests.storage.conftest import s3_server
from tests.working.retaking import stored, write_as_1_47
from tests.working.shards import failure, settings_for, success

__all__ = ["s3_server"]  # a fixture

PICTURE = photograph(40, 30)
FORMATS = ["files", "webdataset", "parquet", "tfrecord"]


@pytest.fixture
def site() -> Iterator[ImageServer]:
    with ImageServer() as server:
        yield server


def reserve(site: ImageServer, *paths: str) -> None:
    for path in paths:
        site.put(path, PICTURE, headers=[("X-Robots-Tag", "noai")])


# Without the column of consent, each format is written in the same way but for that column.
@pytest.mark.parametrize(
    ("output_format", "save_consent"),
    [
        *((name, True) for name in FORMATS),
        ("webdataset", False),
        *(pytest.param(name, False, marks=pytest.mark.slow) for name in FORMATS if name != "webdataset"),
    ],
)
def test_the_sample_leaves_and_its_row_stays_as_a_failure(
    make: Maker, site: ImageServer, output_format: str, save_consent: bool
) -> None:
    urls = [site.put(f"/{n}.jpg", photograph(40, 30, seed=n)) for n in range(7)]
    site.put("/1.jpg", PICTURE, headers=[("X-Robots-Tag", "noarchive")])
    folder = make(
        [*urls, site.url("/missing.jpg")],
        output_format=output_format,
        save_consent=save_consent,
        number_sample_per_shard=4,
    )
    before, rows, names = stored(folder, output_format), rows_of(folder), _names(folder)
    untouched = (folder / "00001_stats.json").read_bytes()
    times = _statistics(folder, "00000")
    reserve(site, "/1.jpg", "/3.jpg")
    found = document(folder, "--recheck", "--remove")
    assert (found["reserved"], found["removed"]) == (2, 2)
    after = stored(folder, output_format)
    assert after == {key: sample for key, sample in before.items() if key not in ("000001", "000003")}
    assert len(after) == len(before) - 2
    for old, new in zip(rows, rows_of(folder), strict=True):
        if old["url"] not in (urls[1], urls[3]):
            assert new == old
            continue
        assert (new["status"], new["error_message"]) == ("failed_to_download", "opt-out: X-Robots-Tag")
        emptied = ("width", "height", "original_width", "original_height", "exif", "sha256")
        assert [new[name] for name in emptied] == [None] * 6
        assert (new["key"], new["url"]) == (old["key"], old["url"])
        if save_consent:
            values = [signal["value"] for signal in json.loads(new["consent"])]
            assert values == (["noarchive", "noai"] if old["url"] == urls[1] else ["noai"])
    statistics = _statistics(folder, "00000")
    assert statistics["status_dict"] == {"success": 2, "opt-out: X-Robots-Tag": 2}
    assert (statistics["start_time"], statistics["end_time"]) == (times["start_time"], times["end_time"])
    assert (folder / "00001_stats.json").read_bytes() == untouched
    assert "2 good; 8 rows, 5 successes" in is_whole(folder)
    gone = {name for name in names if name.startswith("00000/") and name.split(".")[0][-1] in "13"}
    assert _names(folder) == names - gone
    assert document(folder, "--recheck", "--remove")["removed"] == 0
    assert document(folder)["left_out"] == {"opt-out: X-Robots-Tag": 2}


def _schemas(folder: Path) -> list[pa.Schema]:
    return [pq.read_schema(path) for path in sorted(folder.glob("*.parquet"))]


def _names(folder: Path) -> set[str]:
    paths = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {str(path) for path in paths if not str(path).startswith(".")}


def _statistics(folder: Path, shard: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((folder / f"{shard}_stats.json").read_text())
    return read


def test_what_is_sold_or_not_known_stays_and_a_shard_may_lose_all(make: Maker, site: ImageServer) -> None:
    folder = make([site.put(f"/{n}.jpg", PICTURE) for n in range(4)], number_sample_per_shard=2)
    site.put("/0.jpg", b"", status=402)
    site.put("/1.jpg", b"", status=404)
    reserve(site, "/2.jpg", "/3.jpg")
    assert "taken out: 2 rows of 1 shard" in said(folder, "--recheck", "--remove")
    assert column(folder, "status") == ["success"] * 2 + ["failed_to_download"] * 2
    assert "2 good; 4 rows, 2 successes" in is_whole(folder)


@pytest.mark.parametrize(
    "options",
    [
        {"encode_format": "png", "output_format": "parquet"},
        {"hugging_face_images": True, "output_format": "parquet"},
        {"encode_format": "webp", "output_format": "tfrecord"},
        pytest.param({"compute_hash": "md5", "extract_exif": False}, marks=pytest.mark.slow),
        pytest.param({"compute_hash": None, "number_sample_per_shard": 1}, marks=pytest.mark.slow),
        pytest.param({"oom_shard_count": 2, "number_sample_per_shard": 100}, marks=pytest.mark.slow),
        {"disable_all_reencoding": True, "output_format": "webdataset"},
    ],
)
def test_what_a_shard_was_made_with_is_read_from_itself(
    make: Maker, site: ImageServer, options: dict[str, Any]
) -> None:
    folder = make([site.put(f"/{n}.jpg", PICTURE) for n in range(3)], **options)
    (folder / ".img2dataset_manifest").unlink()
    names = list(rows_of(folder)[0])
    schemas = _schemas(folder)
    reserve(site, "/1.jpg")
    assert document(folder, "--recheck", "--remove")["removed"] == 1
    assert _schemas(folder) == schemas
    assert column(folder, "status") == ["success", "failed_to_download", "success"]
    assert list(rows_of(folder)[0]) == names
    assert "3 rows, 2 successes" in is_whole(folder)


def test_columns_and_captions_of_the_list_stay(tmp_path: Path, site: ImageServer) -> None:
    urls = [site.put(f"/{n}.jpg", PICTURE) for n in range(3)]
    rows = {"url": urls, "text": ["a", "b", None], "consent": ["mine", None, "x"], "size": [1.5, None, 3.0]}
    pq.write_table(pa.table(rows), tmp_path / "list.parquet")
    options = {"input_format": "parquet", "caption_col": "text", "output_format": "webdataset"}
    made = run(
        url_list=tmp_path / "list.parquet",
        output_folder=tmp_path / "out",
        save_additional_columns='["consent","size"]',
        processes_count=1,
        **options,
    )
    assert made.returncode == 0, made.stderr
    reserve(site, "/1.jpg")
    assert document(tmp_path / "out", "--recheck", "--remove")["removed"] == 1
    assert column(tmp_path / "out", "caption", "consent", "size") == [
        ("a", "mine", 1.5),
        ("b", None, None),
        (None, "x", 3.0),
    ]
    assert set(read_dataset(tmp_path / "out").captions) == {"000000000", "000000002"}


@pytest.mark.parametrize("output_format", ["files", "webdataset", "parquet"])
def test_rows_of_a_folder_of_1_47_0_are_taken_out(
    tmp_path: Path, site: ImageServer, output_format: str
) -> None:
    folder = tmp_path / "out"
    settings = settings_for(folder, output_format)
    urls = [site.put(f"/{n}.jpg", PICTURE) for n in range(4)]
    table = pa.table({"caption": ["a", "b", "c", "d"], "url": urls})
    made = [success(settings, table, n) for n in (2, 0, 1)]
    write_as_1_47(folder, settings, [*made, failure(settings, 3)], table)
    before = stored(folder, output_format)
    reserve(site, "/0.jpg")
    found = document(folder, "--recheck", "--remove")
    assert (found["removed"], found["free"]) == (1, 2)
    assert set(stored(folder, output_format)) == set(before) - {made[1].key}
    assert "4 rows, 2 successes" in is_whole(folder)


@pytest.mark.parametrize("output_format", [pytest.param("files", marks=pytest.mark.slow), "webdataset"])
def test_killed_at_any_moment_each_shard_is_the_old_or_the_new_one(
    make: Maker, site: ImageServer, output_format: str
) -> None:
    rows, shards = 120, 30
    urls = [site.put(f"/{n}.jpg", PICTURE) for n in range(rows)]
    folder = make(urls, output_format=output_format, number_sample_per_shard=rows // shards)
    reserve(site, *(f"/{n}.jpg" for n in range(0, rows, 2)))
    # However late the first kill comes, it finds the last shard unfinished.
    last = f"/{rows - 1}.jpg"
    site.put(last, PICTURE, latency_s=280)

    def rewritten() -> int:
        return sum('"success": 2' in path.read_text() for path in folder.glob("*_stats.json"))

    done, kills = 0, 0
    while done < shards and kills < 6:
        command = [COMMAND, "consent", folder, "--recheck", "--remove", "--timeout", "250"]
        pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
        with subprocess.Popen(command, **pipes) as process:  # type: ignore[call-overload]
            wait_until(lambda before=done: rewritten() > before, process)
            process.send_signal(signal.SIGKILL)
        site.put(last, PICTURE)
        kills += 1
        done = rewritten()
    assert kills > 1
    assert document(folder, "--recheck", "--remove")["reserved"] in range(rows // 2)
    assert "30 good; 120 rows, 60 successes" in is_whole(folder)
    assert column(folder, "status") == ["failed_to_download", "success"] * (rows // 2)
    assert not list(folder.glob(".tmp/*"))


def test_it_must_be_alone_in_the_folder(make: Maker, site: ImageServer, tmp_path: Path) -> None:
    slow = site.put("/slow.jpg", PICTURE, latency_s=280)
    urls = [site.put("/a.jpg", PICTURE), slow]
    (tmp_path / "list.txt").write_text("\n".join(urls))
    options = {"url_list": tmp_path / "list.txt", "output_folder": tmp_path / "out", "processes_count": 1}
    process = start(**options, number_sample_per_shard=1, timeout=250)
    try:
        wait_until((tmp_path / "out" / "00000_stats.json").exists, process)
        reserve(site, "/a.jpg")
        done = consent(tmp_path / "out", "--recheck", "--remove")
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
        assert f"being written to by process {process.pid}" in done.stderr
        assert document(tmp_path / "out", "--recheck")["reserved"] == 1
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=240)


def test_a_shard_that_is_broken_stays_and_is_told(make: Maker, site: ImageServer) -> None:
    options = {"output_format": "webdataset", "number_sample_per_shard": 2}
    folder = make([site.put(f"/{n}.jpg", PICTURE) for n in range(4)], **options)
    (folder / "00000.tar").write_bytes(b"cut short")
    reserve(site, "/0.jpg", "/2.jpg")
    done = consent(folder, "--recheck", "--remove", "--json")
    assert done.returncode == 1
    assert "WARNING: shard 00000 stays as it is" in done.stderr
    assert json.loads(done.stdout)["removed"] == 1
    assert (folder / "00000.tar").read_bytes() == b"cut short"


@pytest.mark.parametrize(
    "output_format",
    [*(pytest.param(name, marks=pytest.mark.slow) for name in FORMATS if name != "webdataset"), "webdataset"],
)
def test_rows_are_taken_out_of_a_store(
    s3_server: str, site: ImageServer, tmp_path: Path, output_format: str
) -> None:
    access = {
        "key": "k",
        "secret": "s",
        "endpoint_url": s3_server,
        "client_kwargs": {"region_name": "eu-west-1"},
    }
    store = fsspec.filesystem("s3", skip_instance_cache=True, use_listings_cache=False, **access)
    bucket = f"bucket-{uuid.uuid4().hex[:12]}"
    store.mkdir(bucket)
    environment = {"FSSPEC_S3": json.dumps(access)}
    (tmp_path / "list.txt").write_text("\n".join(site.put(f"/{n}.jpg", PICTURE) for n in range(6)))
    options = {"output_format": output_format, "number_sample_per_shard": 3, "save_consent": True}
    made = run(
        url_list=tmp_path / "list.txt",
        output_folder=f"s3://{bucket}/out",
        processes_count=1,
        environment=environment,
        **options,
    )
    assert made.returncode == 0, made.stderr
    reserve(site, "/1.jpg", "/2.jpg")
    env = {**os.environ, **environment}
    folder = f"s3://{bucket}/out"
    assert document(folder, "--recheck", "--remove", env=env)["removed"] == 2
    assert document(folder, env=env)["left_out"] == {"opt-out: X-Robots-Tag": 2}
    assert "2 good; 6 rows, 4 successes" in is_whole(folder, env=env)
    assert document(folder, "--recheck", "--remove", env=env)["free"] == 4
    left = [path for path in store.find(f"{bucket}/out") if "/.tmp" in path or "rewrites" in path]
    assert left == []


def test_a_folder_that_cannot_be_written_to_is_one_line(make: Maker, site: ImageServer) -> None:
    alone = ["unshare", "--map-root-user", "--mount", "--"]
    if subprocess.run([*alone, "true"], capture_output=True).returncode:
        pytest.skip("no folder can be mounted here")
    folder = make([site.put("/a.jpg", PICTURE)])
    reserve(site, "/a.jpg")
    mounted = f'mount -o bind {folder} {folder} && mount -o remount,bind,ro {folder} && exec "$@"'
    command = [*alone, "sh", "-c", mounted, "sh", COMMAND, "consent", str(folder), "--recheck", "--remove"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1), done.stderr
    assert f"output_folder {str(folder)!r} cannot be written to: Read-only file system" in done.stderr
