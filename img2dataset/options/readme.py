"""Brings the option table of a README up to date: ``python -m img2dataset.options.readme README.md``."""

import sys
from pathlib import Path

from img2dataset.options.describing import option_table

BEGIN, END = "<!-- options: begin -->\n", "<!-- options: end -->"


def update_readme(path: Path) -> None:
    """Put the option table between its two marks."""
    before, rest = path.read_text().split(BEGIN)
    _, after = rest.split(END)
    path.write_text(f"{before}{BEGIN}{option_table()}\n{END}{after}")


if __name__ == "__main__":
    update_readme(Path(sys.argv[1]))
