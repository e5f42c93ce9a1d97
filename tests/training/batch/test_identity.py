"""What makes samples is known again elsewhere, told apart from what does something else, or refused."""

from __future__ import annotations

import functools
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import torch

from img2dataset.errors import OptionError
from img2dataset.training.batch.identity import identity

PREFIX = "a photograph of "


def prefixed(caption: str, prefix: str = "") -> str:
    return prefix + caption


def reading_the_module(caption: str) -> str:
    return PREFIX + caption


def adding(prefix: str) -> Any:
    def add(caption: str) -> str:
        return prefix + caption

    return add


class Tokenizer:
    def __init__(self, length: int, words: dict[str, int] | None = None) -> None:
        self.length = length
        self.words = words or {}

    def __call__(self, caption: str) -> list[int]:
        return [self.words.get(word, 0) for word in caption.split()][: self.length]


class Slotted:
    __slots__ = ("value",)

    def __init__(self, value: int) -> None:
        self.value = value


DIFFERENT: list[tuple[Any, Any]] = [
    (lambda caption: "a " + caption, lambda caption: "b " + caption),
    (functools.partial(prefixed, prefix="a"), functools.partial(prefixed, prefix="b")),
    (adding("a"), adding("b")),
    (Tokenizer(77), Tokenizer(512)),
    (Tokenizer(77, {"cat": 1}), Tokenizer(77, {"cat": 2})),
    (Tokenizer(77).__call__, Tokenizer(78).__call__),
    (Slotted(1), Slotted(2)),
    ([str.lower, str.strip], [str.strip, str.lower]),
    (re.compile("a"), re.compile("a", re.I)),
    (torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)),
    (torch.zeros(3), torch.zeros(4)),
    ({"resize": [1, 2]}, {"resize": [2, 1]}),
    (1, True),
    (Path("/a"), "/a"),
]


@pytest.mark.parametrize("pair", DIFFERENT, ids=range(len(DIFFERENT)))
def test_what_does_something_else_is_told_apart(pair: tuple[Any, Any]) -> None:
    one, other = pair
    assert identity(one, "it") == identity(one, "it")
    assert identity(one, "it") != identity(other, "it")


def test_what_a_function_reads_from_its_module_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    before = identity(reading_the_module, "it")
    monkeypatch.setitem(globals(), "PREFIX", "a painting of ")
    assert identity(reading_the_module, "it") != before


def test_objects_that_hold_each_other_end() -> None:
    one, other = Tokenizer(1), Tokenizer(2)
    one.words = {"other": other}  # type: ignore[dict-item]
    other.words = {"one": one}  # type: ignore[dict-item]
    assert identity(one, "it") != identity(other, "it")


def unknown_values() -> list[Any]:
    holding = Tokenizer(1)
    holding.length = threading.Lock()  # type: ignore[assignment]
    return [threading.Lock(), open(__file__), sys._getframe(), (n for n in range(3)), holding]


@pytest.mark.parametrize("number", range(5))
def test_what_cannot_be_known_again_is_refused_with_the_way_out(number: int) -> None:
    unknown = unknown_values()[number]
    with pytest.raises(OptionError, match=r"caption_transform holds a .*version="):
        identity(functools.partial(prefixed, prefix=unknown), "caption_transform")


def test_another_process_knows_it_again() -> None:
    program = (
        "from tests.training.batch.test_identity import *;"
        "print(identity([functools.partial(prefixed, prefix='a'), adding('b'), Tokenizer(3, {'x': 1}),"
        " {3, 1, 2}, {'b', 'a', 'c'}, torch.arange(4), reading_the_module], 'it'))"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    }
    assert len(seen) == 1
