"""``img2dataset caption``: what is missing is filled in, what is there stays, and a stopped run goes on."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from img2dataset.errors import Img2datasetError, InputError
from img2dataset.training import ImageTextDataset, caption_folder
from tests.work_lines import without_work_lines

COMMAND = str(Path(sys.executable).parent / "img2dataset")
EXAMPLES = Path(__file__).resolve().parents[3] / "examples"


class Counting:
    """Says what it sees, and how often it was asked; can fail at a picture."""

    def __init__(self, fail_at: int | None = None) -> None:
        self.seen: list[tuple[int, int]] = []
        self.batches: list[int] = []
        self.fail_at = fail_at

    def __call__(self, pictures: list[Any]) -> list[str]:
        if self.fail_at is not None and len(self.seen) + len(pictures) > self.fail_at:
            raise RuntimeError("out of\nmemory")
        self.batches.append(len(pictures))
        self.seen += [picture.size for picture in pictures]
        return [f"  {picture.mode}, {picture.size[0]} pixels\n" for picture in pictures]


def pictures(folder: Path, count: int = 7) -> Path:
    (folder / "sub").mkdir(parents=True)
    for n in range(count):
        Image.new("L", (10 + n, 8), n).save(folder / ("sub" if n % 2 else "") / f"{n}.png")
    (folder / "0.txt").write_text("a caption of its own")
    (folder / "2.txt").write_text(" \n")
    return folder


def captions_of(folder: Path) -> dict[str, Any]:
    dataset = ImageTextDataset(folder)
    return {dataset.sources(n)[0]: dataset[n]["caption"] for n in range(len(dataset))}


def test_what_is_missing_is_filled_in_and_read_back(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "images")
    model = Counting()
    done = caption_folder(folder, model, batch_size=4)
    assert (done.images, done.had, done.made, done.failed) == (7, 1, 6, {})
    assert model.batches == [4, 2]
    assert captions_of(folder) == {
        "0.png": "a caption of its own",
        "2.png": "RGB, 12 pixels",
        "4.png": "RGB, 14 pixels",
        "6.png": "RGB, 16 pixels",
        "sub/1.png": "RGB, 11 pixels",
        "sub/3.png": "RGB, 13 pixels",
        "sub/5.png": "RGB, 15 pixels",
    }
    before = (folder / "metadata.jsonl").read_bytes()
    again = caption_folder(folder, model)
    assert (again.had, again.made) == (7, 0)
    assert len(model.seen) == 6
    assert (folder / "metadata.jsonl").read_bytes() == before
    assert not (folder / ".captioning").exists()


@pytest.mark.parametrize("column", ["caption", "text", "prompt"])
def test_metadata_keeps_its_columns_and_gains_what_is_new_in_the_folder(tmp_path: Path, column: str) -> None:
    folder = pictures(tmp_path / "images", 4)
    rows = [
        {"file_name": "sub/1.png", column: "", "score": 0.5, "tags": ["a", "b"]},
        {"file_name": "0.png", column: "from the metadata", "score": None},
        {"file_name": "2.png", "score": 1},
    ]
    (folder / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    caption_folder(folder, Counting())
    found = [json.loads(line) for line in (folder / "metadata.jsonl").read_text().splitlines()]
    assert [row[column] for row in found] == [
        "RGB, 11 pixels",
        "from the metadata",
        "RGB, 12 pixels",
        "RGB, 13 pixels",
    ]
    assert [row["file_name"] for row in found] == ["sub/1.png", "0.png", "2.png", "sub/3.png"]
    assert (found[0]["score"], found[0]["tags"]) == (0.5, ["a", "b"])


def test_the_lists_of_splits_keep_their_captions(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "images")
    for split, line in (("train", {"file_name": "3.png", "text": "three"}), ("test", {"image": "5.png"})):
        (folder / split).mkdir()
        (folder / "sub" / str(line.get("file_name") or line["image"])).rename(
            folder / split / str(line.get("file_name") or line["image"])
        )
        (folder / split / "metadata.jsonl").write_text(json.dumps(line))
    (folder / "._0.png").write_bytes(b"left by a file manager")
    done = caption_folder(folder, Counting())
    assert (done.images, done.had, done.made, done.failed) == (7, 2, 5, {})
    found = captions_of(folder)
    assert (len(found), found["train/3.png"], found["test/5.png"]) == (7, "three", "RGB, 15 pixels")


def test_after_a_failure_it_goes_on_where_it_was(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "images")
    with pytest.raises(Img2datasetError) as raised:
        caption_folder(folder, Counting(fail_at=4), name="model", batch_size=2)
    message = str(raised.value)
    assert "\n" not in message
    for part in (
        "the captioner model failed on 2 images",
        "RuntimeError: out of memory",
        "test_captioning.py",
    ):
        assert part in message
    assert not (folder / "metadata.jsonl").exists()
    notes = folder / ".captioning" / "captions.jsonl"
    with open(notes, "a") as file:
        file.write('{"captioner": "model", "image": "6.')  # killed while it wrote
    model = Counting()
    done = caption_folder(folder, model, name="model")
    assert (done.resumed, done.made) == (4, 2)
    assert len(model.seen) == 2
    assert len(captions_of(folder)) == 7
    assert not notes.parent.exists()


def test_what_another_captioner_has_made_is_not_taken(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "images")
    with pytest.raises(Img2datasetError):
        caption_folder(folder, Counting(fail_at=4), name="one", batch_size=2)
    done = caption_folder(folder, lambda several: ["other"] * len(several), name="two")
    assert (done.resumed, done.made) == (0, 6)
    assert set(captions_of(folder).values()) == {"a caption of its own", "other"}


def test_images_that_cannot_be_captioned_are_told_and_tried_again(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "images", 3)
    (folder / "4.png").write_bytes(b"no image")
    done = caption_folder(folder, lambda several: ["" if each.size[0] == 11 else "x" for each in several])
    assert done.made == 1
    assert "decode" in done.failed["4.png"]
    assert "empty text" in done.failed["sub/1.png"]
    assert caption_folder(folder, Counting()).made == 1


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (lambda several: "one text", "a str for 6 images"),
        (lambda several: ["x"] * 5, r"\['x', 'x', 'x', 'x', 'x'\] for 6"),
        (lambda several: [None] * 6, r"\[None, None"),
        (lambda several: None, "a NoneType"),
    ],
)
def test_what_a_captioner_may_not_return_is_named(tmp_path: Path, answer: Any, told: str) -> None:
    with pytest.raises(Img2datasetError, match=f"returned {told}.*a list of as many texts"):
        caption_folder(pictures(tmp_path / "images"), answer)


def caption(*words: Any, cwd: Path = EXAMPLES) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, "caption", *map(str, words)], capture_output=True, text=True, cwd=cwd, timeout=100
    )


def test_the_example_captions_a_folder_from_the_command_line(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    Image.new("RGB", (30, 20), (250, 30, 30)).save(folder / "a.png")
    Image.new("RGB", (20, 30), (10, 20, 90)).save(folder / "b.png")
    done = caption(folder, "--captioner", "captioner:Captioner", "--batch_size", 1)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "2 images: 0 had a caption, 2 captioned",
        f"captions: {folder / 'metadata.jsonl'}",
    ]
    assert captions_of(folder) == {
        "a.png": "a plain, wide picture, mostly red",
        "b.png": "a dark, tall picture, mostly blue",
    }
    assert caption(folder, "--captioner", "captioner:Captioner").stdout == (
        "2 images: 2 had a caption, 0 captioned\n"
    )


WAITING = """
import os, time
made = 0
def describe(pictures):
    global made
    made += 1
    while made > 3 and not os.path.exists("go on"):
        time.sleep(0.05)
    return [f"{picture.size[0]}" for picture in pictures]
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_run_that_is_stopped_goes_on_with_the_same_command(tmp_path: Path, number: signal.Signals) -> None:
    folder = pictures(tmp_path / "images", 12)
    (tmp_path / "waiting.py").write_text(WAITING)
    words = ["caption", str(folder), "--captioner", "waiting:describe", "--batch_size", "1"]
    notes = folder / ".captioning" / "captions.jsonl"
    with subprocess.Popen([COMMAND, *words], cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 60
        while (not notes.exists() or notes.read_text().count("\n") < 3) and time.monotonic() < deadline:
            time.sleep(0.05)
        other = caption(*words[1:], cwd=tmp_path)
        process.send_signal(number)
        assert process.stderr is not None
        said = process.stderr.read()
    assert other.returncode == 1
    assert "another run is captioning" in other.stderr
    if number == signal.SIGINT:
        assert said == "img2dataset: stopped; the same command goes on where it stopped\n"
    assert not (folder / "metadata.jsonl").exists()
    (tmp_path / "go on").touch()
    done = caption(*words[1:], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "of them before a stop" in done.stdout
    assert captions_of(folder)["sub/11.png"] == "21"


def test_a_failed_image_is_told_and_the_status_says_so(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "images", 3)
    (folder / "4.png").write_bytes(b"no image")
    done = caption(folder, "--captioner", "captioner:Captioner")
    assert done.returncode == 1
    assert "4 images: 1 had a caption, 2 captioned, 1 without" in done.stdout
    assert "  4.png: decode" in done.stdout


@pytest.mark.parametrize(
    ("words", "told", "status"),
    [
        ([], "needs a folder of images and --captioner", 2),
        (["{folder}"], "needs a folder of images and --captioner", 2),
        (["{folder}", "--captioner", "captioner"], "takes module:function", 2),
        (["{folder}", "--captioner", "nothing_here:f"], "No module named 'nothing_here'", 2),
        (["{folder}", "--captioner", "captioner:nothing"], "no attribute 'nothing'", 2),
        (["{folder}", "--captioner", "captioner:COLOURS"], "a dict, which cannot be called", 2),
        (["{folder}", "--captioner", "broken:f"], "ValueError: no weights", 2),
        (["{folder}", "--captioner", "captioner:Captioner", "--batch_size", "0"], "batch_size is 0", 2),
        (["{folder}", "--captioner", "captioner:Captioner", "--batch", "x"], "unrecognized arguments", 2),
        (["{folder}/none", "--captioner", "captioner:Captioner"], "is not a folder on this machine", 1),
        (["{folder}/empty", "--captioner", "captioner:Captioner"], "holds no images", 1),
    ],
)
def test_bad_input_gets_one_line(tmp_path: Path, words: list[str], told: str, status: int) -> None:
    folder = pictures(tmp_path / "images", 1)
    (folder / "empty").mkdir()
    (tmp_path / "broken.py").write_text("raise ValueError('no\\nweights')")
    (tmp_path / "captioner.py").write_text((EXAMPLES / "captioner.py").read_text())
    done = caption(*(word.format(folder=folder) for word in words), cwd=tmp_path)
    assert done.returncode == status, done.stderr
    assert told in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_help_and_a_folder_that_is_none(tmp_path: Path) -> None:
    assert caption("--help").stdout.startswith(
        "usage: img2dataset caption FOLDER --captioner MODULE:FUNCTION"
    )
    with pytest.raises(InputError, match="is not a folder"):
        caption_folder(tmp_path / "none", Counting())


def test_splits_are_captioned_each_for_itself(tmp_path: Path) -> None:
    for split in ("train", "test"):
        pictures(tmp_path / "images" / split, 2)
    with pytest.raises(InputError, match=r"divided into splits.*images/train"):
        caption_folder(tmp_path / "images", Counting())
    assert caption_folder(tmp_path / "images" / "test", Counting()).made == 1
    assert len(ImageTextDataset(tmp_path / "images", split="test")) == 2


def test_lists_in_folders_are_gathered_in_the_one_above(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "images", 4)
    (folder / "sub" / "metadata.csv").write_text("image,prompt\n1.png,of the list\n3.png,\n")
    done = caption_folder(folder, Counting())
    assert (done.images, done.had, done.made) == (4, 2, 2)
    assert captions_of(folder) == {
        "0.png": "a caption of its own",
        "2.png": "RGB, 12 pixels",
        "sub/1.png": "of the list",
        "sub/3.png": "RGB, 13 pixels",
    }


def test_rows_of_several_images_are_told_and_kept(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "images", 3)
    pair = {"file_name": ["0.png", "2.png"], "n": 1}
    (folder / "metadata.jsonl").write_text(json.dumps(pair) + "\n")
    done = caption_folder(folder, Counting())
    assert (done.images, done.made) == (2, 1)
    assert done.failed == {"row 0": "it has several images, or none"}
    found = [json.loads(line) for line in (folder / "metadata.jsonl").read_text().splitlines()]
    assert found == [pair, {"file_name": "sub/1.png", "caption": "RGB, 11 pixels"}]


def test_leftovers_of_systems_are_no_images(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "images", 2)
    (folder / "._0.png").write_bytes(b"resource fork")
    assert caption_folder(folder, Counting()).images == 2


def test_a_run_says_nothing_of_the_captions_that_it_is_to_make(tmp_path: Path) -> None:
    folder = tmp_path / "10_dog"
    folder.mkdir()
    Image.new("RGB", (30, 20), (250, 30, 30)).save(folder / "a.png")
    assert without_work_lines(caption(tmp_path, "--captioner", "captioner:Captioner").stderr) == ""


def test_a_folder_in_which_nothing_can_be_noted_is_named(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "images", 2)
    (folder / ".captioning").write_text("a file where the folder should be")
    with pytest.raises(Img2datasetError, match="captions cannot be kept in"):
        caption_folder(folder, Counting())


class Yielding:
    """Yields the text for the first picture and fails at the second."""

    def __call__(self, pictures: list[Any]) -> Any:
        yield "a text"
        raise RuntimeError("out of memory")


def leave(pictures: list[Any]) -> list[str]:
    raise SystemExit(0)


@pytest.mark.parametrize("captioner", [Yielding(), leave])
def test_whatever_a_captioner_raises_is_its_failure(tmp_path: Path, captioner: Any) -> None:
    with pytest.raises(Img2datasetError, match=r"failed on 6 images from '2\.png' on"):
        caption_folder(pictures(tmp_path / "images"), captioner, name="model")


@pytest.mark.parametrize("made", [set, dict.fromkeys])
def test_texts_without_an_order_are_refused(tmp_path: Path, made: Any) -> None:
    with pytest.raises(Img2datasetError, match="a list of as many texts"):
        caption_folder(pictures(tmp_path / "images"), lambda several: made(map(str, range(len(several)))))


def test_half_of_a_surrogate_pair_becomes_a_sign_that_can_be_kept(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "images")
    (folder / "metadata.jsonl").write_text('{"file_name": "0.png", "text": "", "by": "\\ud800"}')
    assert caption_folder(folder, lambda several: ["a \ud800"] * len(several)).made == 7
    assert captions_of(folder)["2.png"] == "a \ufffd"


def test_an_image_whose_name_is_not_utf8_is_told_and_no_other_is_lost(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "images")
    odd = os.fsdecode(b"caf\xe9.png")
    shutil.copy(folder / "0.png", folder / odd)
    dataset = ImageTextDataset(folder)
    assert (len(dataset), odd in {dataset.sources(n)[0] for n in range(8)}) == (8, True)
    assert all(dataset[n]["img"] for n in range(8))
    done = caption_folder(folder, Counting())
    assert (done.images, done.had, done.made, list(done.failed)) == (8, 1, 6, [odd])
    assert len(captions_of(folder)) == 7


def test_notes_that_are_damaged_cost_no_more_than_their_images(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "images")
    (folder / ".captioning").mkdir()
    note = {"captioner": "model", "image": "2.png", "caption": "noted"}
    lines = [json.dumps(note).encode(), b"\0\0\0", b"3", b"[]", b'{"captioner": "model"}', b"[" * 100_000]
    (folder / ".captioning" / "captions.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    done = caption_folder(folder, Counting(), name="model")
    assert (done.resumed, done.made) == (1, 5)
    assert captions_of(folder)["2.png"] == "noted"


@pytest.mark.parametrize("line", [b'{"file_name": "4.png", "text": "caf\xe9"}', b'{"file_name": ', b"3"])
def test_metadata_that_cannot_be_read_whole_is_not_written_over(tmp_path: Path, line: bytes) -> None:
    folder = pictures(tmp_path / "images")
    before = b'{"file_name": "0.png", "text": "a"}\n' + line + b"\n"
    (folder / "metadata.jsonl").write_bytes(before)
    with pytest.raises(InputError, match=r"line 2 of .*metadata\.jsonl' would be lost"):
        caption_folder(folder, Counting())
    assert (folder / "metadata.jsonl").read_bytes() == before


def test_a_module_that_ends_the_program_is_no_success(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text("raise SystemExit(0)")
    ended = caption(pictures(tmp_path / "images"), "--captioner", "script:main", cwd=tmp_path)
    assert ended.returncode == 2
    assert "cannot be loaded: SystemExit: 0" in ended.stderr
