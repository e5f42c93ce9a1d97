"""Progressive JPEGs without some of their scans: still whole files, and the same picture once it is small."""

from __future__ import annotations

import io
import subprocess
import sys

import cv2
import numpy as np
import pytest
from PIL import Image

from img2dataset.imaging.formats.jpeg import read_jpeg
from img2dataset.imaging.reduction import Shortcuts
from img2dataset.imaging.scans import find_scans, leave_out_scans
from tests.pictures import photograph_pixels

ONE_TABLE = [list(range(2, 66))]
FILES = {
    "4:2:0": {"quality": 90, "subsampling": "4:2:0"},
    "4:4:4": {"quality": 90, "subsampling": "4:4:4"},
    "4:2:2, sides of odd lengths": {"quality": 80, "subsampling": "4:2:2", "size": (1203, 817)},
    "one table of quantisation for all": {"qtables": ONE_TABLE, "subsampling": "4:2:0"},
    "restart marks": {"quality": 85, "restart_marker_rows": 1},
    "grey": {"quality": 90, "grey": True},
    "small": {"quality": 75, "size": (403, 240)},
    "many blocks": {"quality": 75, "size": (2600, 1800)},
}
LAST_LUMA = Shortcuts(1, without_last_luma_refinement=True)
REFINEMENTS = Shortcuts(1, without_last_luma_refinement=True, without_refinements=True)
HIGH_LUMA = Shortcuts(4, without_last_luma_refinement=True, without_refinements=True, without_high_luma=True)
SHORTCUTS = {"last luma refinement": LAST_LUMA, "refinements": REFINEMENTS, "high luma": HIGH_LUMA}


def progressive(name: str) -> bytes:
    options = dict(FILES[name])
    image = Image.fromarray(photograph_pixels(*options.pop("size", (1200, 800))))
    if options.pop("grey", False):
        image = image.convert("L")
    file = io.BytesIO()
    image.save(file, "JPEG", progressive=True, **options)
    return file.getvalue()


def shortened(body: bytes, shortcuts: Shortcuts) -> bytes:
    return bytes(leave_out_scans(body, read_jpeg(body).entropy_start, shortcuts))


def reduced(body: bytes, reduction: int) -> np.ndarray:
    flag = {1: cv2.IMREAD_COLOR, 4: cv2.IMREAD_REDUCED_COLOR_4}[reduction]
    return cv2.imdecode(np.frombuffer(body, np.uint8), flag)


def psnr(pixels: np.ndarray, others: np.ndarray) -> float:
    error = np.mean((pixels.astype(np.float64) - others) ** 2)
    return float("inf") if error == 0 else 10 * np.log10(255**2 / error)


@pytest.mark.parametrize("shortcuts", SHORTCUTS.values(), ids=SHORTCUTS)
@pytest.mark.parametrize("name", FILES)
def test_the_small_picture_is_the_same_without_the_scans(name, shortcuts):
    body = progressive(name)
    short = shortened(body, shortcuts)
    assert len(short) < len(body)
    pixels, others = (reduced(each, shortcuts.reduction) for each in (body, short))
    size = (
        max(1, pixels.shape[1] // (4 // shortcuts.reduction)),
        max(1, pixels.shape[0] // (4 // shortcuts.reduction)),
    )
    small, other = (cv2.resize(each, size, interpolation=cv2.INTER_AREA) for each in (pixels, others))
    assert psnr(small, other) > 38


@pytest.mark.parametrize("name", FILES)
def test_the_low_bits_and_nothing_else_are_missing(name):
    """The scans kept are those of a file of coarser steps, and no decoder smooths what is imprecise."""
    body = progressive(name)
    difference = reduced(shortened(body, REFINEMENTS), 1).astype(int) - reduced(body, 1)
    # Four times the steps of quantisation at most, so without a drift of the means.
    assert abs(difference.mean()) < 0.5
    assert psnr(reduced(shortened(body, REFINEMENTS), 1), reduced(body, 1)) > 30
    assert psnr(reduced(shortened(body, LAST_LUMA), 1), reduced(body, 1)) > 33


def test_decoders_find_nothing_to_complain_of(tmp_path):
    """libjpeg writes its complaints to standard error: surplus bytes, an early end, scans out of order."""
    for number, name in enumerate(FILES):
        for kind, shortcuts in enumerate(SHORTCUTS.values()):
            (tmp_path / f"{number}-{kind}.jpg").write_bytes(shortened(progressive(name), shortcuts))
    program = "import cv2, sys; print(sum(cv2.imread(path) is not None for path in sys.argv[1:]))"
    finished = subprocess.run(
        [sys.executable, "-c", program, *map(str, tmp_path.iterdir())], capture_output=True, text=True
    )
    assert finished.stdout.strip() == str(len(FILES) * len(SHORTCUTS))
    assert finished.stderr == ""


def test_the_tables_may_change_between_the_scans():
    body = progressive("4:2:0")
    scans, _ = find_scans(body, read_jpeg(body).entropy_start)
    start = body.index(b"\xff\xdb")
    table = body[start : start + 2 + int.from_bytes(body[start + 2 : start + 4], "big")]
    changing = body[: scans[5].start] + table + body[scans[5].start :]
    assert np.array_equal(reduced(changing, 1), reduced(body, 1))
    short = shortened(changing, REFINEMENTS)
    assert len(short) < len(body)
    assert psnr(reduced(short, 4), reduced(body, 4)) > 38


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(lambda body, scan: body[:-2], id="no end mark"),
        pytest.param(lambda body, scan: body[: scan + 4], id="cut in a scan's header"),
        pytest.param(lambda body, scan: body[: scan + 1] + b"\xff" + body[scan + 1 :], id="filled marker"),
        pytest.param(
            lambda body, scan: body[: scan + 4] + b"\x09" + body[scan + 5 :], id="impossible components"
        ),
    ],
)
def test_what_is_not_understood_is_left_as_it_is(broken):
    body = progressive("4:2:0")
    scans, _ = find_scans(body, read_jpeg(body).entropy_start)
    damaged = broken(body, scans[4].marker)
    assert leave_out_scans(damaged, read_jpeg(body).entropy_start, HIGH_LUMA) is damaged
