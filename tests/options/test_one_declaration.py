"""An option is declared once: no room has a field, a parameter or a list of choices of its own for it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

import img2dataset
from img2dataset.imaging.encode import _LONGEST_SIDE as ENCODED
from img2dataset.imaging.resize import INTERPOLATIONS
from img2dataset.options import ImageOptions, option_specs
from img2dataset.options.images import EncodeFormat, Interpolation

PACKAGE = Path(img2dataset.__file__).parent
SOURCES = [path for path in sorted(PACKAGE.rglob("*.py")) if path.parent.name != "options"]
assert len(SOURCES) > 100


# What files and tasks say, what an answer sets, what a folder was made with: not what a run is told.
OF_SOMETHING_ELSE = ("Access", "Answer", "Redirects", "RunRecord", "ShardExpectation", "TaskSaid")


def fields_with_defaults(path: Path) -> Iterator[tuple[str, str]]:
    """Class and field of every dataclass whose fields have defaults."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.ClassDef) or not any(
            "dataclass" in ast.dump(d) for d in node.decorator_list
        ):
            continue
        for field in node.body:
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and field.value:
                yield node.name, field.target.id


def texts_of_collections(path: Path) -> Iterator[set[str]]:
    """The texts of every tuple, list, set and ``Literal``."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, (ast.Tuple, ast.List, ast.Set)):
            texts = [one.value for one in node.elts if isinstance(one, ast.Constant)]
            if len(texts) == len(node.elts) > 1 and all(isinstance(text, str) for text in texts):
                yield {str(text) for text in texts}


def test_no_dataclass_gives_an_option_a_second_default() -> None:
    second = [
        f"{path.relative_to(PACKAGE)}: {name}.{field}"
        for path in SOURCES
        for name, field in fields_with_defaults(path)
        if field in option_specs() and name not in OF_SOMETHING_ELSE
    ]
    assert second == []


@pytest.mark.parametrize(
    "name", [name for name, spec in option_specs().items() if len(spec.choices) > 2 or name == "dns"]
)
def test_no_room_lists_the_choices_of_an_option_again(name: str) -> None:
    choices = set(option_specs()[name].choices)
    again = [
        str(path.relative_to(PACKAGE))
        for path in SOURCES
        if any(texts == choices for texts in texts_of_collections(path))
    ]
    assert again == []


def test_every_choice_of_an_image_is_one_that_imaging_has() -> None:
    assert set(INTERPOLATIONS) == set(get_args(Interpolation))
    assert set(ENCODED) == set(get_args(EncodeFormat))
    assert ImageOptions().exact_resize is False
