"""How near the fast pixel route comes to full ``INTER_AREA``, and what it saves: ``make bench-fidelity``.

Comes in: the photographs of ``corpus.py``, a zone plate and fine text. Goes out: PSNR of the default route
against the exact one and of both against Lanczos, and the CPU of each, as a table.
"""

from __future__ import annotations

import io
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from benchmarks.corpus import PHOTOGRAPHS_3000, WEB, make_corpus
from img2dataset.imaging import ImageProcessor
from img2dataset.options import ImageOptions

WORK = Path(__file__).parent / "work" / "corpus"
PATTERN_SIDES = (300, 400, 512, 600, 720, 900, 1100, 1500, 2100, 3000)
SIDE = 256
COMPARED = ("fast against INTER_AREA: min, 5 %, median", "fast against Lanczos", "INTER_AREA against Lanczos")
Pixels = np.ndarray[Any, Any]


def main() -> None:
    """Print the tables."""
    limit = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    print(f"| corpus | images | {' | '.join(COMPARED)} | CPU, exact and fast |")
    print("| --- | ---: | --- | --- | --- | --- |")
    for recipe, count in ((WEB, limit), (PHOTOGRAPHS_3000, limit // 8)):
        folder = WORK / recipe.name
        make_corpus(recipe, folder, WORK.parent / "photographs")
        bodies = [path.read_bytes() for path in sorted(folder.glob("*.*")) if path.suffix != ".json"][:count]
        print(row_of_corpus(recipe.name, bodies))
    print()
    print(f"| pattern | {COMPARED[0].partition(':')[0]} | {COMPARED[1]} | {COMPARED[2]} |")
    print("| --- | ---: | ---: | ---: |")
    for name, draw in (("zone plate", zone_plate), ("fine text", fine_text)):
        for side in PATTERN_SIDES:
            print(row_of_pattern(f"{name}, {side} px", draw(side)))


def row_of_corpus(name: str, bodies: list[bytes]) -> str:
    """Fidelity (PSNR: minimum, 5th percentile, median) and CPU milliseconds an image of one corpus."""
    fast, exact = processor(exact=False), processor(exact=True)
    ratios = np.array([ratios_of_photograph(fast, exact, body) for body in bodies])
    fidelity = " | ".join(
        f"{column.min():.1f}, {np.percentile(column, 5):.1f}, {np.median(column):.1f} dB"
        for column in ratios.T
    )
    milliseconds = [
        cpu(ImageProcessor(ImageOptions(exact_resize=is_exact)), bodies) for is_exact in (True, False)
    ]
    return f"| {name} | {len(bodies)} | {fidelity} | {milliseconds[0]:.2f}, {milliseconds[1]:.2f} ms |"


def ratios_of_photograph(fast: ImageProcessor, exact: ImageProcessor, body: bytes) -> tuple[float, ...]:
    """PSNR in the order of ``COMPARED``."""
    made, area = pixels(fast, body), pixels(exact, body)
    with Image.open(io.BytesIO(body)) as opened:
        photograph = opened.convert("L" if made.ndim == 2 else "RGB")
    lanczos = photograph.resize((made.shape[1], made.shape[0]), Image.Resampling.LANCZOS)
    truth = np.asarray(lanczos, np.float64)
    return psnr(made, area), psnr(made, truth), psnr(area, truth)


def row_of_pattern(name: str, pattern: Pixels) -> str:
    """Fidelity on one drawn pattern, as a JPEG."""
    body = cv2.imencode(".jpg", pattern, [cv2.IMWRITE_JPEG_QUALITY, 98])[1].tobytes()
    fast, exact = (pixels(processor(exact=is_exact), body) for is_exact in (False, True))
    lanczos = np.asarray(Image.fromarray(pattern).resize((SIDE, SIDE), Image.Resampling.LANCZOS), np.float64)
    return f"| {name} | {psnr(fast, exact):.1f} | {psnr(fast, lanczos):.1f} | {psnr(exact, lanczos):.1f} dB |"


def processor(exact: bool) -> ImageProcessor:
    """Resizes to a longest side of ``SIDE``, and stores without a loss."""
    return ImageProcessor(
        ImageOptions(
            image_size=SIDE,
            exact_resize=exact,
            resize_mode="keep_ratio_largest",
            encode_format="png",
            encode_quality=1,
            extract_exif=False,
        )
    )


def pixels(process: ImageProcessor, body: bytes) -> Pixels:
    stored = Image.open(io.BytesIO(bytes(process(body).image)))
    array = np.asarray(stored, np.float64)
    return array[..., 0] if array.ndim == 3 and (array == array[..., :1]).all() else array


def psnr(first: Pixels, second: Pixels) -> float:
    """Peak signal to noise in dB; 99 for equal pixels."""
    error = float(((first - second) ** 2).mean())
    return 99.0 if error == 0 else float(min(99.0, 10 * np.log10(255**2 / error)))


def cpu(process: ImageProcessor, bodies: list[bytes]) -> float:
    """CPU milliseconds an image, the best of three passes."""
    best = float("inf")
    for _ in range(3):
        start = time.process_time()
        for body in bodies:
            process(body)
        best = min(best, time.process_time() - start)
    return best / len(bodies) * 1000


def zone_plate(side: int) -> Pixels:
    """Rings whose frequency rises to half a cycle a pixel at the edges."""
    y, x = np.mgrid[0:side, 0:side] - side / 2
    return ((np.cos(np.pi * (x * x + y * y) / side) * 0.5 + 0.5) * 255).astype(np.uint8)


def fine_text(side: int) -> Pixels:
    """Lines of small print."""
    page = np.full((side, side), 255, np.uint8)
    line = "The quick brown fox jumps over the lazy dog 0123456789 " * 8
    for y in range(10, side, 14):
        cv2.putText(page, line, (2, y), cv2.FONT_HERSHEY_PLAIN, 0.8, 0, 1, cv2.LINE_AA)
    return page


if __name__ == "__main__":
    main()
