"""``img2dataset inspect``: what is said of a dataset, of one sample, and the contact sheet."""

from __future__ import annotations

import io
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import pytest
from PIL import Image

from img2dataset.errors import OutputError
from img2dataset.inspecting import facts, find_sample, gather, open_dataset, sample_images
from img2dataset.inspecting import sampled_images as sampling
from img2dataset.inspecting.command import run
from img2dataset.manifest import MANIFEST_NAME, Manifest, RunRecord
from img2dataset.reporting.report.command import run as report
from tests.program.runs import COMMAND
from tests.storage.conftest import s3_server
from tests.verifying.datasets import FORMATS, ROWS, change_rows, make_dataset
from tests.working.shards import picture

__all__ = ["s3_server"]  # a fixture

WITH_IMAGES = tuple(each for each in FORMATS if each != "dummy")


def inspected(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([COMMAND, "inspect", *words], capture_output=True, text=True, timeout=60)


def said(capsys: pytest.CaptureFixture[str], *words: str, status: int = 0) -> str:
    """What the command prints; nothing beside it."""
    assert run(list(words)) == status
    printed = capsys.readouterr()
    assert (printed.err if status == 0 else printed.out) == ""
    return printed.out if status == 0 else printed.err


@pytest.mark.parametrize("output_format", FORMATS)
def test_counts_columns_and_failures_are_those_of_the_files(tmp_path: Path, output_format: str) -> None:
    make_dataset(tmp_path, output_format)
    found = gather(open_dataset(str(tmp_path)))
    assert found.output_format == output_format
    assert (found.shards_done, found.shards_not_done, found.shards_counted) == (3, 0, 3)
    assert found.rows == found.successes + found.failed_to_download + found.failed_to_resize == 30
    assert found.successes_of == {f"0000{n}": found.successes // 3 for n in range(3)}
    assert sum(each.rows for each in found.failures) == found.rows - found.successes
    assert all(each.meaning for each in found.failures)
    columns = {column.name: (column.type, column.example) for column in found.columns}
    if output_format == "dummy":
        assert (columns, found.sample_rows) == ({}, [])
        return
    assert columns["number"][0] == "int64"
    assert columns["status"] == ("string", "success")
    assert columns["numbers"][0].startswith("list<")
    assert found.image_column == ("jpg" if output_format == "parquet" else None)
    assert columns.get("jpg") == (("binary", None) if output_format == "parquet" else None)
    assert len(found.sample_rows) == facts.SHOWN_ROWS
    assert all("jpg" not in row for row in found.sample_rows)


@pytest.mark.parametrize("output_format", WITH_IMAGES)
def test_everything_is_known_of_a_sample(tmp_path: Path, output_format: str) -> None:
    make_dataset(tmp_path, output_format)
    sample = find_sample(open_dataset(str(tmp_path)), "000013")
    assert (sample.key, sample.shard, sample.row, sample.status) == ("000013", "00001", 3, "success")
    assert sample.image_bytes == picture(3)
    assert sample.image is not None
    assert (sample.image.format, sample.image.fault) == ("jpg", None)
    assert (sample.image.width, sample.image.height, sample.image.bytes) == (11, 8, len(picture(3)))
    assert sample.metadata["url"] == "http://example.com/3.jpg"
    assert sample.metadata["tag"] == "t3"
    assert sample.caption == 'caf\u00e9 \u2028 "quoted"\n'
    ending = {"files": "", "webdataset": ".tar", "parquet": ".parquet", "tfrecord": ".tfrecord"}
    assert sample.data == "00001" + ending[output_format]
    has_files = output_format in ("files", "webdataset")
    assert sample.files == (("000013.jpg", "000013.json", "000013.txt") if has_files else ())
    assert (sample.document is not None) == (output_format != "parquet")


@pytest.mark.parametrize("output_format", WITH_IMAGES)
def test_a_failed_row_is_shown_with_what_its_failure_means(
    tmp_path: Path, output_format: str, capsys: pytest.CaptureFixture[str]
) -> None:
    make_dataset(tmp_path, output_format)
    rows = [find_sample(open_dataset(str(tmp_path)), f"00002{n}") for n in range(ROWS)]
    failed = [row for row in rows if row.status != "success"]
    assert failed
    for row in failed:
        assert row.error_message
        assert row.meaning
        assert (row.image_bytes, row.data) == (None, None)
        lines = said(capsys, str(tmp_path), "--key", row.key)
        assert f"failure: {row.error_message}\n" in lines


@pytest.mark.parametrize(
    ("message", "meaning"),
    [
        ("HTTP 404", "Not Found; it does not pass"),
        ("HTTP 503", "Service Unavailable; it can pass"),
        ("HTTP 799", "which no standard knows"),
        ("HTTP 402: " + 5000 * "9", "it does not pass by itself; the site"),
        ("timeout: connect", "a higher --timeout"),
        ("image too small", "a filter of yours"),
        ("HTTP Error 500: Internal Server Error", "it can pass"),
        ("Image decoding error", "it does not pass"),
    ],
)
def test_failures_of_this_program_and_of_1_47_0_have_a_meaning(message: str, meaning: str) -> None:
    from img2dataset.inspecting.failure_meaning import meaning_of

    assert meaning in meaning_of(message)


def test_exif_and_originals_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_dataset(tmp_path, "webdataset")

    def with_exif(rows: list[dict[str, Any]]) -> None:
        rows[3]["exif"] = json.dumps({"Image Make": "Camera \x1b]0;owned\x07", "Image Model": "M\nN"})

    change_rows(tmp_path, with_exif)
    lines = said(capsys, str(tmp_path), "--key", "000013").splitlines()
    assert lines[lines.index("EXIF of the original:") + 1 :] == [
        "  Image Make   Camera \\x1b]0;owned\\x07",
        "  Image Model  M N",
    ]
    document = json.loads(said(capsys, str(tmp_path), "--key", "000013", "--json"))
    assert document["exif"]["Image Model"] == "M\nN"
    assert document["image"]["format"] == "jpg"
    assert "image_bytes" not in document


def test_what_strangers_wrote_is_shown_as_text_and_fits_80_columns(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_dataset(tmp_path, "webdataset")

    def hostile(rows: list[dict[str, Any]]) -> None:
        for row in rows:
            row["caption"] = "\x1b[2J" + "\u6f22\u5b57 wide " * 40 + "\u202eright to left"
            row["url"] = "http://example.com/" + "long/" * 60
            row["error_message"] = row["error_message"] and "HTTP 404\x1b[31m"

    change_rows(tmp_path, hostile)
    for words in ([], ["--rows", "30"], ["--key", "000011"], ["--key", "000012"]):
        text = said(capsys, str(tmp_path), *words)
        assert "\x1b" not in text
        assert "\u202e" not in text
        for line in text.splitlines():
            wide = sum(2 if "\u3000" < character < "\uffff" else 1 for character in line)
            assert wide <= 80 or line.startswith("output: "), line


def test_the_sheet_has_the_images_whose_keys_are_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_dataset(tmp_path / "out", "parquet")
    sheet = tmp_path / "sheet.png"
    words = [str(tmp_path / "out"), "--sheet", str(sheet), "--images", "6", "--columns", "3", "--json"]
    document = json.loads(said(capsys, *words, "--seed", "7"))
    keys = document["sheet"]["keys"]
    assert len(set(keys)) == 6
    with Image.open(sheet) as written:
        assert (written.format, written.size) == ("PNG", (3 * 168 + 8, 2 * (168 + 45) + 8))
    dataset = open_dataset(str(tmp_path / "out"))
    assert [find_sample(dataset, key).status for key in keys] == ["success"] * 6
    first = sheet.read_bytes()
    assert json.loads(said(capsys, *words, "--seed", "7"))["sheet"]["keys"] == keys
    assert sheet.read_bytes() == first
    assert json.loads(said(capsys, *words, "--seed", "8"))["sheet"]["keys"] != keys


def test_an_image_that_cannot_be_decoded_has_its_place_and_is_named(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    make_dataset(tmp_path / "out", "files", shards=1)
    broken = tmp_path / "out" / "00000" / "000003.jpg"
    broken.write_bytes(broken.read_bytes()[:-300])
    assert run([str(tmp_path / "out"), "--sheet", str(tmp_path / "sheet.jpg")]) == 0
    printed = capfd.readouterr()
    assert "WARNING: 1 image cannot be decoded: 000003" in printed.out
    assert run([str(tmp_path / "out"), "--key", "000003"]) == 0
    printed = capfd.readouterr()
    assert "it cannot be decoded: decode: " in printed.out
    assert printed.err == ""


@pytest.mark.parametrize("output_format", WITH_IMAGES)
def test_a_seed_gives_the_same_images_on_every_file_system(tmp_path: Path, output_format: str) -> None:
    make_dataset(tmp_path, output_format)
    dataset = open_dataset(str(tmp_path))
    sampled = list(sample_images(dataset, 8, seed=3))
    assert len({each.key for each in sampled}) == 8
    for each in sampled:
        assert each.image == picture(int(each.key[-1]))
        assert each.metadata["key"] == each.key
        assert each.metadata["status"] == "success"
    assert [each.key for each in sample_images(dataset, 8, seed=3)] == [each.key for each in sampled]
    everything = list(sample_images(dataset, 1000))
    assert len(everything) == gather(dataset).successes
    copy_to_memory(tmp_path, f"/inspect-{output_format}")
    there = open_dataset(f"memory://inspect-{output_format}")
    elsewhere = list(sample_images(there, 1000))
    assert sorted((each.key, each.image) for each in elsewhere) == sorted(
        (each.key, each.image) for each in everything
    )
    few = list(sample_images(there, 4, seed=1))
    assert len(few) == 4
    assert [each.key for each in sample_images(there, 4, seed=1)] == [each.key for each in few]


@pytest.mark.parametrize("output_format", WITH_IMAGES)
def test_what_small_shards_lack_larger_ones_make_up_for(tmp_path: Path, output_format: str) -> None:
    """Whichever shard comes first by chance."""
    make_dataset(tmp_path, output_format)

    def fail_all_but_the_first(rows: list[dict[str, Any]]) -> None:
        for row in [row for row in rows if row["status"] == "success"][1:]:
            row["status"] = "failed_to_resize"

    change_rows(tmp_path, fail_all_but_the_first)
    dataset = open_dataset(str(tmp_path))
    successes = sum(len(dataset.row_numbers(shard, "status", "success")) for shard in dataset.shards)
    for seed in range(6):
        for count in (4, successes - 2, successes, 100):
            keys = [each.key for each in sample_images(dataset, count, seed)]
            assert len(set(keys)) == len(keys) == min(count, successes)


@pytest.mark.parametrize("cut", ["00000", "00001", "00002"])
def test_a_cut_shard_costs_the_sheet_its_images_and_is_named(
    cut: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    make_dataset(out, "webdataset")
    tar = out / f"{cut}.tar"
    tar.write_bytes(tar.read_bytes()[:1000])
    words = [str(out), "--sheet", str(tmp_path / "sheet.jpg"), "--images", "8"]
    document = json.loads(said(capsys, *words, "--json"))
    assert len(set(document["sheet"]["keys"])) == 8
    assert not [key for key in document["sheet"]["keys"] if key.startswith(cut)]
    text = said(capsys, *words)
    assert f"WARNING: no images of shard {cut} can be shown: {cut}.tar of " in text
    with pytest.raises(OutputError, match=f"{cut}.tar"):
        list(sample_images(open_dataset(str(out)), 8))
    for path in out.glob("*.tar"):
        path.write_bytes(path.read_bytes()[:1000])
    assert ".tar of " in said(capsys, *words, status=1)


def copy_to_memory(folder: Path, name: str) -> None:
    store = fsspec.filesystem("memory")
    for path in folder.rglob("*"):
        if path.is_file():
            store.pipe_file(f"{name}/{path.relative_to(folder)}", path.read_bytes())


def test_of_a_large_shard_on_a_store_only_the_beginning_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_dataset(tmp_path, "webdataset", shards=1)
    copy_to_memory(tmp_path, "/inspect-large")
    monkeypatch.setattr(sampling, "READ_BYTES", 2 * len(picture(0)))
    sampled = list(sample_images(open_dataset("memory://inspect-large"), 10))
    assert 2 <= len(sampled) <= 4
    assert all(each.image == picture(int(each.key[-1])) for each in sampled)


def test_of_very_many_shards_some_are_counted_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_dataset(tmp_path, "webdataset", shards=6)
    monkeypatch.setattr(facts, "MOST_STATISTICS", 4)
    found = gather(open_dataset(str(tmp_path)))
    assert (found.shards_done, found.shards_counted, found.rows) == (6, 4, 40)
    assert "rows: 40 in 4 of the shards, chosen by chance" in said(capsys, str(tmp_path))


def test_a_folder_that_is_being_made_shows_what_is_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_dataset(tmp_path, "webdataset")
    (tmp_path / "00002_stats.json").unlink()
    (tmp_path / "00001_stats.json").write_text("{")
    found = gather(open_dataset(str(tmp_path)))
    assert (found.shards_done, found.shards_not_done, found.shards_unreadable) == (2, 1, 1)
    assert found.rows == ROWS
    text = said(capsys, str(tmp_path))
    assert "shards: 2 done, 1 not done" in text
    assert "the statistics of 1 shard are broken" in text
    with pytest.raises(OutputError, match="no finished shard that the key '000021' is of"):
        find_sample(open_dataset(str(tmp_path)), "000021")
    for path in tmp_path.glob("*_stats.json"):
        path.unlink()
    text = said(capsys, str(tmp_path), "--sheet", str(tmp_path / "sheet.jpg"))
    assert "rows: none yet" in text
    assert "sheet: not written" in text
    assert not (tmp_path / "sheet.jpg").exists()


def test_a_folder_on_s3(
    s3_server: str,
    s3_environment: Callable[[str], None],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    s3_environment(s3_server)
    make_dataset(tmp_path, "webdataset")
    store = fsspec.filesystem("s3", endpoint_url=s3_server, key="test", secret="test")
    store.mkdir("inspected")
    for path in tmp_path.iterdir():
        store.pipe_file(f"inspected/out/{path.name}", path.read_bytes())
    words = ["s3://inspected/out", "--sheet", "s3://inspected/sheet.jpg", "--json"]
    document = json.loads(said(capsys, *words))
    assert (document["rows"], document["output_format"]) == (30, "webdataset")
    assert len(document["sheet"]["keys"]) == document["successes"]
    with Image.open(io.BytesIO(store.cat_file("inspected/sheet.jpg"))) as sheet:
        assert sheet.format == "JPEG"
    assert "000013.jpg" in said(capsys, "s3://inspected/out", "--key", "000013")
    for _ in range(2):  # the second report takes the place of the first
        assert report(["s3://inspected/out"]) == 0
        assert capsys.readouterr().out == "report: s3://inspected/out/report.html\n"
    store.pipe_file("inspected/out/report.html", b"<html>of somebody else</html>")
    assert report(["s3://inspected/out"]) == 1
    assert "report.html is there, and is not img2dataset's" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["a", "b"],
        ["a", "--key"],
        ["a", "--rows", "x"],
        ["a", "--rows=-1"],
        ["a", "--images=0"],
        ["a", "--columns=41"],
        ["a", "--sheet", "sheet.gif"],
        ["a", "--sheet", "sheet.jpg", "--key", "0"],
        ["a", "--unknown"],
    ],
    ids=str,
)
def test_wrong_usage_is_one_line_and_exits_with_2(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    line = said(capsys, *words, status=2)
    assert line.startswith("img2dataset: ")
    assert line.count("\n") == 1


def test_what_is_not_there_or_is_broken_is_one_line_and_exits_with_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    make_dataset(out, "webdataset")
    (out / "00001.tar").write_bytes((out / "00001.tar").read_bytes()[:1000])
    (out / "00002.parquet").write_bytes(b"PAR1")
    (tmp_path / "empty").mkdir()
    for words, part in (
        ([str(tmp_path / "none")], "does not exist"),
        ([str(tmp_path / "empty")], "holds no shards"),
        (["nosuch://a"], "no file system is known"),
        ([str(out), "--key", "000009x"], "has no key '000009x'"),
        ([str(out), "--key", "900000"], "00000 to 00002, such as '000000'"),
        ([str(out), "--key", "000013"], "00001.tar"),
        ([str(out), "--key", "000021"], "00002.parquet"),
    ):
        line = said(capsys, *words, status=1)
        assert part in line
        assert line.count("\n") == 1
    make_dataset(tmp_path / "whole", "webdataset")
    words = [str(tmp_path / "whole"), "--sheet", str(tmp_path / "no" / "folder" / "s.jpg")]
    assert "cannot be written" in said(capsys, *words, status=1)


def test_help_and_the_list_of_commands_name_it() -> None:
    done = inspected("--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("usage: img2dataset inspect OUTPUT")
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_a_folder_that_has_lost_a_part_is_not_called_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    make_dataset(out, "webdataset")
    whole = Manifest([RunRecord(0, {"output_format": "webdataset"}, [], ended=1.0)])
    (out / MANIFEST_NAME).write_text(whole.to_text())
    assert "every one of the list is done" in " ".join(said(capsys, str(out)).split())
    (out / "00001_stats.json").unlink()
    text = " ".join(said(capsys, str(out)).split())
    assert "2 done, 1 not done, the last run made every one of the list, and not all are whole now" in text
