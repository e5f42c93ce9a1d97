"""Every fuzzer for a while, one after the other: seconds come in, a table of what was tried goes out.

``python -m tests.fuzzing.run --seconds 120 [NAME ...]``. Exit status 1 if anything was found; the bytes that
did it stay in ``tests/fuzzing/work/NAME-crash-…`` (or ``-timeout-``, ``-oom-``), and are tried again by
``python -m tests.fuzzing.harness NAME tests/fuzzing/work/NAME FILE``. What reached new code stays in
``tests/fuzzing/work/NAME/`` and is what the next run begins with.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

WORK = Path("tests/fuzzing/work")
# Of inputs of a few KB. A row that took longer would hold a core that others wait for.
SLOWEST_INPUT_S = 5
MOST_MEMORY_MB = 2048
# What libFuzzer says where nothing that it begins with takes a branch that it can see.
_BLIND = "Is the code instrumented for coverage?"
NAMES = (
    "headers_of_images",
    "decoding",
    "consent",
    "exif",
    "robots_tags",
    "robots_files",
    "retry_after",
    "urls",
    "answers",
    "txt_lists",
    "csv_lists",
    "jsonl_lists",
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests.fuzzing.run", description="Run the fuzzers.")
    parser.add_argument("--seconds", type=int, default=120, help="for each fuzzer")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}; all without any")
    asked = parser.parse_args()
    if unknown := sorted(set(asked.names) - set(NAMES)):
        parser.error(f"no fuzzer is called {unknown[0]!r}; there are {', '.join(NAMES)}")
    WORK.mkdir(parents=True, exist_ok=True)
    found = 0
    for name in asked.names or NAMES:
        found += not fuzz(name, [sys.executable, "-m", "tests.fuzzing.harness", name], asked.seconds)
    return 1 if found else 0


def fuzz(name: str, command: list[str], seconds: int) -> bool:
    """Run one fuzzer by the start of its command, and print a line; whether it found nothing."""
    log = WORK / f"{name}.log"
    flags = (
        f"-max_total_time={seconds}",
        f"-timeout={SLOWEST_INPUT_S}",
        f"-rss_limit_mb={MOST_MEMORY_MB}",
        f"-artifact_prefix={WORK / name}-",
    )
    with open(log, "w", encoding="utf-8") as file:
        status = subprocess.run(
            [*command, str(WORK / name), *flags], stdout=file, stderr=subprocess.STDOUT, check=False
        ).returncode
    text = log.read_text(encoding="utf-8", errors="replace")
    tried = max((int(number) for number in re.findall(r"^#(\d+)", text, re.MULTILINE)), default=0)
    if _BLIND in text:
        print(f"{name:18} {tried:>12,} inputs  BLIND: no branch of what is tried is seen; {log}", flush=True)
        return False
    if status == 0:
        print(f"{name:18} {tried:>12,} inputs  nothing found", flush=True)
        return True
    kept = re.findall(r"Test unit written to (\S+)", text)
    print(f"{name:18} {tried:>12,} inputs  FOUND {kept[-1] if kept else 'nothing'}: see {log}", flush=True)
    return False


if __name__ == "__main__":
    sys.exit(main())
