"""Fuzzes the C library (imaging/native): seconds come in, a table of what was tried goes out.

``python -m tests.fuzzing.native --seconds 120``, or ``make fuzz-native``. Needs clang with libFuzzer. The
JPEG decoder and the PNG filters are built with AddressSanitizer and UndefinedBehaviorSanitizer, and run at
the same time. Exit status 1 if anything was found: the bytes that did it stay in
``tests/fuzzing/work/NAME-crash-…`` (or ``-timeout-``, ``-oom-``), and are tried again by
``tests/fuzzing/work/NAME_fuzzer FILE``. What reached new code stays in ``tests/fuzzing/work/NAME/`` and is
what the next run begins with.
"""

from __future__ import annotations

import argparse
import hashlib
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.fuzzing.native_seeds import jpegs, png_rows
from tests.fuzzing.run import WORK, fuzz

HERE = Path("tests/fuzzing")
NATIVE = Path("img2dataset/imaging/native")
MISSING = (
    "fuzzing the C library needs clang with libFuzzer (on Debian: apt-get install clang libclang-rt-dev)"
)
_CHECKED = (
    "clang", "-g", "-O2", "-std=gnu11", "-ffp-contract=off", "-Wno-psabi", "-fno-sanitize-recover=all",
    "-fsanitize=address,undefined,float-cast-overflow",
)  # fmt: skip
_AVX2 = ("-DSHRINK=shrink_avx2", "-mavx2", "-mfma", "-mbmi", "-mbmi2", "-mlzcnt")
# Recorded comparisons help libFuzzer where bytes are compared with constants. In loops over tables and
# samples they take two thirds of the time.
_COMPARED = ("markers",)


@dataclass(frozen=True)
class Fuzzer:
    """What is linked with libFuzzer, what it begins with, and how long its inputs get, in bytes."""

    parts: tuple[str, ...]
    drivers: tuple[str, ...]
    seeds: Callable[[], Iterable[bytes]]
    longest: int
    link: tuple[str, ...] = ()


FUZZERS = {
    "native_jpeg": Fuzzer(
        ("bits", "blocks", "decoder", "huffman", "markers", "memory", "taps"),
        ("native_jpeg.c", "native_jpeg_changes.c"),
        jpegs,
        8192,
        ("-Wl,--wrap=posix_memalign,--wrap=free", "-lm"),
    ),
    "native_png": Fuzzer(("png",), ("native_png.c",), png_rows, 4096),
}


def main() -> int:
    """Build both fuzzers and run them."""
    parser = argparse.ArgumentParser(prog="tests.fuzzing.native", description="Fuzz the C library.")
    parser.add_argument("--seconds", type=int, default=120, help="for both at the same time")
    asked = parser.parse_args()
    if not has_libfuzzer():
        print(MISSING, file=sys.stderr)
        return 2
    WORK.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor() as both:
        nothing_found = list(both.map(partial(build_and_fuzz, seconds=asked.seconds), FUZZERS))
    return 0 if all(nothing_found) else 1


def has_libfuzzer() -> bool:
    """Whether there is a clang that links its fuzzer and both sanitizers."""
    if shutil.which("clang") is None:
        return False
    source = b"int LLVMFuzzerTestOneInput(void) { return 0; }"
    command = ["clang", "-fsanitize=fuzzer,address,undefined", "-x", "c", "-", "-o", "/dev/null"]
    return subprocess.run(command, input=source, capture_output=True, check=False).returncode == 0


def build_and_fuzz(name: str, seconds: int) -> bool:
    """Run one fuzzer, and print a line; whether it found nothing."""
    fuzzer = FUZZERS[name]
    program = build(name, NATIVE, WORK)
    corpus = WORK / name
    corpus.mkdir(exist_ok=True)
    for body in fuzzer.seeds():
        (corpus / hashlib.sha1(body).hexdigest()).write_bytes(body)
    return fuzz(name, [str(program), f"-max_len={fuzzer.longest}"], seconds)


def build(name: str, native: Path, folder: Path, *driver_flags: str) -> Path:
    """Build one fuzzer in ``folder`` from the C files in ``native``, which count their branches."""
    fuzzer = FUZZERS[name]
    sources = [(part, part, ()) for part in fuzzer.parts]
    if "decoder" in fuzzer.parts and platform.machine() in ("x86_64", "amd64"):
        sources.append(("decoder", "decoder_avx2", _AVX2))
    objects = []
    for part, made, flags in sources:
        counted = ["-fsanitize=fuzzer-no-link"]
        if part not in _COMPARED:
            counted.append("-fno-sanitize-coverage=trace-cmp")
        objects.append(folder / f"{made}.o")
        compiled = ["-c", native / f"{part}.c", "-o", objects[-1]]
        subprocess.run([*_CHECKED, *counted, *flags, *compiled], check=True)
    drivers = []
    for driver in fuzzer.drivers:
        drivers.append(folder / f"{driver}.o")
        flags = (f"-I{native}", *driver_flags)
        subprocess.run([*_CHECKED, *flags, "-c", HERE / driver, "-o", drivers[-1]], check=True)
    program = folder / f"{name}_fuzzer"
    linked = [*_CHECKED, "-fsanitize=fuzzer", *drivers, *objects, *fuzzer.link]
    subprocess.run([*linked, "-o", program], check=True)
    return program


if __name__ == "__main__":
    sys.exit(main())
