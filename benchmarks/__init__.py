"""The measuring stick: this project beside img2dataset 1.47.0, Daft and the limit of the cores.

README.md names the commands, of which ``python -m benchmarks.run`` is the main one, and says how to read what
they print. Nothing here is part of the installed package.
"""

from pathlib import Path

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent
WORK = HERE / "work"  # corpora, environments, datasets: made on the fly, never in git
