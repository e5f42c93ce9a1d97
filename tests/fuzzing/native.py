"""Fuzzes the shrinking decoder (imaging/native): seconds come in, a line of what was tried goes out.

``python -m tests.fuzzing.native --seconds 120``, or ``make fuzz-native``. Needs gcc. The decoder is built
with AddressSanitizer and UndefinedBehaviorSanitizer into ``tests/fuzzing/work/native_driver``, and fed with
JPEGs whose bytes were changed; those that reach new code are changed further, stay in
``tests/fuzzing/work/native/`` and are what the next run begins with. Exit status 1 if anything was found: the
file stays in ``tests/fuzzing/work/native-crash-….jpg`` with what the sanitizers said beside it, and is tried
again by ``tests/fuzzing/work/native_driver FILE``.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import platform
import random
import struct
import subprocess
import sys
import time
from pathlib import Path

from tests.fuzzing.native_seeds import seeds

WORK = Path("tests/fuzzing/work")
REACHED = WORK / "native"
DRIVER = WORK / "native_driver"
NATIVE = Path("img2dataset/imaging/native")
_SANITIZED = ("-g", "-O1", "-std=gnu11", "-Wno-psabi", "-fno-sanitize-recover=all", f"-I{NATIVE}")
_CHECKS = "-fsanitize=address,undefined,float-cast-overflow"
_AVX2 = ("-mavx2", "-mfma", "-mbmi", "-mbmi2", "-mlzcnt")
# What was freed is kept for a while, so that it is not used unseen; 256 MB of it, as usual, only costs time.
_ASAN_OPTIONS = "quarantine_size_mb=8:detect_leaks=1"
# So many inputs are on their way at once; their answers fit a pipe.
_BATCH = 64
_LONGEST = 8192
# Bytes that mean something where they are read: limits of sizes, tables, factors and restart intervals.
_TELLING = bytes.fromhex("00 01 02 03 04 07 08 0f 10 11 12 14 21 22 24 41 44 3f 40 7f 80 ff")
_MARKERS = bytes.fromhex("c0 c1 c2 c4 c9 d0 d1 d7 d8 d9 da db dc dd e0 ee fe ff")


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests.fuzzing.native", description="Fuzz the shrinking decoder.")
    parser.add_argument("--seconds", type=int, default=120)
    parser.add_argument("--seed", type=int, default=None, help="of what is tried; the time of day without")
    asked = parser.parse_args()
    WORK.mkdir(parents=True, exist_ok=True)
    build()
    seed = asked.seed if asked.seed is not None else time.time_ns()
    tried, kept, found = fuzz(asked.seconds, random.Random(seed))
    outcome = f"FOUND {found}: see {found}.log" if found else "nothing found"
    print(f"{'native':18} {tried:>12,} inputs  {outcome} ({kept} reached new code, seed {seed})", flush=True)
    return 1 if found else 0


def build() -> None:
    """Build the driver: the decoder with checks and counted branches, and what calls it with checks only."""
    objects = []
    sources = [(path, path.stem, []) for path in sorted(NATIVE.glob("*.c"))]
    if platform.machine() in ("x86_64", "amd64"):
        sources.append((NATIVE / "decoder.c", "decoder_avx2", ["-DSHRINK=shrink_avx2", *_AVX2]))
    for source, name, flags in sources:
        objects.append(str(WORK / f"native_{name}.o"))
        command = ["gcc", *_SANITIZED, _CHECKS, "-fsanitize-coverage=trace-pc", *flags, "-c", str(source)]
        subprocess.run([*command, "-o", objects[-1]], check=True)
    command = [
        "gcc",
        *_SANITIZED,
        _CHECKS,
        "tests/fuzzing/native_driver.c",
        *objects,
        "-Wl,--wrap=posix_memalign",
    ]
    subprocess.run([*command, "-lm", "-o", str(DRIVER)], check=True)


def fuzz(seconds: float, chance: random.Random) -> tuple[int, int, Path | None]:
    """Try inputs for so long; how many were, how many reached new code, and the file that broke a promise."""
    REACHED.mkdir(exist_ok=True)
    known: list[bytes] = []
    waiting = [*seeds(), *(path.read_bytes() for path in sorted(REACHED.iterdir()))]
    tried = kept = 0
    end = time.monotonic() + seconds
    with open(WORK / "native.log", "w+b") as log:
        driver = subprocess.Popen(
            [str(DRIVER), "-"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            bufsize=0,
            env={**os.environ, "ASAN_OPTIONS": _ASAN_OPTIONS},
        )
        assert driver.stdin is not None
        assert driver.stdout is not None
        while time.monotonic() < end:
            batch, waiting = waiting[:_BATCH], waiting[_BATCH:]
            batch = batch or [changed(chance, known) for _ in range(_BATCH)]
            with contextlib.suppress(BrokenPipeError):
                driver.stdin.write(b"".join(struct.pack("I", len(body)) + body for body in batch))
            for body in batch:
                answer = driver.stdout.read(1)
                if not answer:
                    driver.stdin.close()
                    driver.wait()
                    return tried, kept, _keep(body, driver.returncode, log.name)
                tried += 1
                if answer == b"\1":
                    known.append(body)
                    (REACHED / hashlib.sha1(body).hexdigest()[:16]).write_bytes(body)
                    kept += 1
        driver.stdin.close()
        if driver.wait():
            return tried, kept, _keep(b"", driver.returncode, log.name)
    return tried, kept, None


def _keep(body: bytes, status: int, log: str) -> Path:
    """Keep what broke a promise, named by its bytes. A status below 0 is a signal: -14 the clock's."""
    path = WORK / f"native-crash-{hashlib.sha1(body).hexdigest()[:16]}.jpg"
    path.write_bytes(body)
    said = Path(log).read_bytes()
    Path(f"{path}.log").write_bytes(f"exit status {status}\n".encode() + said)
    return path


def changed(chance: random.Random, known: list[bytes]) -> bytes:
    """A known file after one to eight changes; newer ones, which reached more, are taken more often."""
    newest = chance.random() < 0.5
    body = bytearray(
        known[chance.randrange(max(0, len(known) - 200), len(known))] if newest else chance.choice(known)
    )
    for _ in range(chance.choice((1, 1, 2, 3, 5, 8))):
        chance.choice(_CHANGES)(chance, body, known)
        if len(body) < 4:
            break
    return bytes(body[:_LONGEST])


def _place(chance: random.Random, body: bytearray) -> int:
    """Any place, or one in a segment: few bytes of the file, and most of what can be understood wrongly."""
    if chance.random() < 0.5:
        return chance.randrange(len(body))
    marks = _marks(body)
    at = chance.choice(marks) if marks else 0
    return min(len(body) - 1, at + chance.randrange(1, 24))


def _marks(body: bytearray) -> list[int]:
    marks, at = [], body.find(b"\xff")
    while 0 <= at < len(body) - 1:
        if body[at + 1] not in (0, 0xFF):
            marks.append(at)
        at = body.find(b"\xff", at + 1)
    return marks


def _flip(chance: random.Random, body: bytearray, _: list[bytes]) -> None:
    body[_place(chance, body)] ^= 1 << chance.randrange(8)


def _set(chance: random.Random, body: bytearray, _: list[bytes]) -> None:
    body[_place(chance, body)] = chance.choice(_TELLING) if chance.random() < 0.7 else chance.randrange(256)


def _nudge(chance: random.Random, body: bytearray, _: list[bytes]) -> None:
    at = _place(chance, body)
    body[at] = (body[at] + chance.randint(-3, 3)) & 255


def _delete(chance: random.Random, body: bytearray, _: list[bytes]) -> None:
    at = _place(chance, body)
    del body[at : at + chance.choice((1, 2, 4, 16, 64, 256))]


def _insert(chance: random.Random, body: bytearray, _: list[bytes]) -> None:
    at = _place(chance, body)
    body[at:at] = (
        chance.randbytes(chance.choice((1, 2, 4, 16)))
        if chance.random() < 0.5
        else bytes((0xFF, chance.choice(_MARKERS)))
    )


def _repeat(chance: random.Random, body: bytearray, _: list[bytes]) -> None:
    at, times = _place(chance, body), chance.choice((1, 1, 2, 8))
    part = body[at : at + chance.choice((1, 4, 16, 64, 200))]
    body[at:at] = part * times


def _truncate(chance: random.Random, body: bytearray, _: list[bytes]) -> None:
    at = _place(chance, body)
    body[at:] = b"\xff\xd9"[: chance.randrange(3)]


def _splice(chance: random.Random, body: bytearray, known: list[bytes]) -> None:
    """The start of one file and the end of another, each up to a marker."""
    other = bytearray(chance.choice(known))
    mine, its = _marks(body), _marks(other)
    if mine and its:
        body[chance.choice(mine) :] = other[chance.choice(its) :]


def _move_segment(chance: random.Random, body: bytearray, known: list[bytes]) -> None:
    """A segment of another file, put before one of this."""
    other = bytearray(chance.choice(known))
    mine, its = _marks(body), _marks(other)
    if mine and len(its) > 1:
        first = chance.randrange(len(its) - 1)
        body[(at := chance.choice(mine)) : at] = other[its[first] : its[first + 1]]


def _drop_segment(chance: random.Random, body: bytearray, _: list[bytes]) -> None:
    marks = _marks(body)
    if len(marks) > 1:
        first = chance.randrange(len(marks) - 1)
        del body[marks[first] : marks[first + 1]]


_CHANGES = (
    _flip, _flip, _set, _set, _set, _nudge, _delete, _insert, _repeat, _truncate, _splice, _move_segment,
    _drop_segment,
)  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
