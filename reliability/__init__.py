"""The program under every fault we can make, from outside: whole runs of the real command line, on loopback.

``python -m reliability.soak``, ``python -m reliability.faults`` and ``python -m reliability.hostile`` are the
commands; ``docs/reliability.md`` has what they found. Nothing here is part of the installed package.
"""

from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
WORK = REPOSITORY / "reliability" / "work"  # lists, datasets, logs: made on the fly, never in git
