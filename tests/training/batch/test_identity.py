"""What makes samples is known again elsewhere, told apart from what does something else, or refused."""

from __future__ import annotations

import functools
import importlib
import re
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from img2dataset.errors import OptionError
from img2dataset.training.batch.identity import identity

PREFIX = "a photograph of "


def prefixed(caption: str, prefix: str = "") -> str:
    return prefix + caption


def reading_the_module(caption: str) -> str:
    return PREFIX + caption


LOCK = threading.Lock()


def with_lock(caption: str) -> str:
    with LOCK:
        return caption


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
    with pytest.raises(OptionError, match=r"caption_transform holds or reads a .*version="):
        identity(functools.partial(prefixed, prefix=unknown), "caption_transform")


def test_another_process_knows_it_again() -> None:
    program = (
        "from tests.training.batch.test_identity import *;"
        "print(identity([functools.partial(prefixed, prefix='a'), adding('b'), Tokenizer(3, {'x': 1}),"
        " {3, 1, 2}, {'b', 'a', 'c'}, {prefixed, adding, str}, with_lock,"
        " torch.arange(4), reading_the_module], 'it'))"
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


# What a transform reaches beyond its own lines, in two versions: "@" is 1 in one of them and 2 in the other.
REACHED = {
    "a function read in a comprehension": """
        def clean(part): return part * @
        def transform(caption): return [clean(part) for part in caption.split(",")]""",
    "a value read in an inner function": """
        TIMES = @
        def transform(caption):
            def repeated(): return caption * TIMES
            return repeated()""",
    "an array": "import numpy as np\nMEAN = np.full(3, @)\ndef transform(image): return image - MEAN",
    "a tensor": "import torch\nMEAN = torch.full((3,), @)\ndef transform(image): return image - MEAN",
    "a model": """
        import torch
        model = torch.nn.Linear(1, 1)
        torch.nn.init.constant_(model.weight, @), torch.nn.init.zeros_(model.bias)
        def transform(sample): return model(sample)""",
    "an object": """
        class Words:
            def __init__(self, known): self.known = known
        words = Words(@)
        def transform(caption): return words.known""",
    "a table": """
        import collections
        table = collections.defaultdict(lambda: @)
        def transform(caption): return table[caption]""",
    "a cached function": """
        import functools
        @functools.lru_cache
        def transform(caption): return caption * @""",
    "what a method reads": """
        def helper(caption): return caption * @
        class Transform:
            def __call__(self, caption): return helper(caption)
        transform = Transform()""",
    "what a property reads": """
        TIMES = @
        class Transform:
            @property
            def times(self): return TIMES
            def __call__(self, caption): return caption * self.times
        transform = Transform()""",
    "a class that is inherited from": """
        class Base:
            def __call__(self, caption): return caption * @
        class Transform(Base): pass
        transform = Transform()""",
    "a value of a class": """
        class Transform:
            times = 0
            def __call__(self, caption): return caption * self.times
        Transform.times = @
        transform = Transform()""",
    "a method of a class": """
        class Words:
            @staticmethod
            def repeated(caption): return caption * @
        def transform(caption): return Words.repeated(caption)""",
    "an enumeration": """
        import enum
        class Times(enum.Enum):
            SOME = @
        def transform(caption): return caption * Times.SOME.value""",
    "a data class": """
        import dataclasses
        @dataclasses.dataclass
        class Transform:
            times: int = @
            def __call__(self, caption): return caption * self.times
        transform = Transform()""",
    "what has no source": 'exec("def transform(caption): return [part * @ for part in caption]")',
    "a class without source": 'exec("class T:\\n def __call__(self, it): return it * @")\ntransform = T()',
    "another module": "from beside import times\ndef transform(caption): return times(caption)",
    "by another module": "import beside\ndef transform(caption): return beside.times(caption)",
}


@pytest.mark.parametrize("what", REACHED)
def test_what_a_transform_reaches_counts(what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def described(number: int) -> str:
        source = textwrap.dedent(REACHED[what])
        (tmp_path / "reached.py").write_text(re.sub(r"@(?!\w)", str(number), source))
        (tmp_path / "beside.py").write_text(f"def times(caption): return caption * {number}")
        for name in ("reached", "beside"):
            sys.modules.pop(name, None)
        importlib.invalidate_caches()
        return identity(importlib.import_module("reached").transform, "it")

    assert described(1) == described(1)
    assert described(1) != described(2)


def test_objects_of_an_array_count_and_not_their_addresses() -> None:
    words = [np.array(["a" * count, None], dtype=object) for count in (3, 3, 4)]
    assert identity(words[0], "it") == identity(words[1], "it") != identity(words[2], "it")


def test_a_lock_that_is_read_decides_nothing() -> None:
    assert identity(with_lock, "it")
