"""The commands of the example pages are ones this program takes."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from img2dataset.options import from_texts, read_words, resolve

PAGES = sorted((Path(__file__).resolve().parents[2] / "dataset_examples").glob("*.md"))


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page.name != "README.md"], ids=lambda page: page.stem
)
def test_every_option_of_an_example_is_right(page: Path) -> None:
    blocks = re.findall(r"```bash\n(.*?)```", page.read_text(), re.S)
    assert blocks
    for block in blocks:
        program, *words = shlex.split(block.replace("\\\n", " "))
        assert program == "img2dataset"
        options = resolve(from_texts(read_words(words).texts))
        assert options.caption_col is not None


def test_the_index_names_every_page() -> None:
    index = (PAGES[0].parent / "README.md").read_text()
    for page in PAGES:
        assert page.name == "README.md" or f"({page.name})" in index
