"""Caption in, varied caption out: what fine-tuning does to text so that a model does not learn it by heart.

Each transform is called with a caption and a ``random.Random``; the datasets give one that depends on seed,
epoch and sample alone. Called without one, a transform draws from a generator of its own, seeded by ``seed``.
Transforms are joined with ``>>``; ``CaptionTransforms`` builds the usual chain from keyword arguments.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from img2dataset.errors import OptionError


class CaptionTransform:
    """Base of all: subclasses implement ``apply(caption, generator)``."""

    def __init__(self, seed: int = 0):
        self._own_generator = random.Random(seed)

    def __call__(self, caption: str, generator: random.Random | None = None) -> str:
        """The varied caption; ``generator`` decides what chance decides."""
        return self.apply(caption, generator or self._own_generator)

    def apply(self, caption: str, generator: random.Random) -> str:
        raise NotImplementedError(f"{type(self).__name__} must say what it does with a caption")

    def __rshift__(self, following: Callable[..., str]) -> CaptionTransform:
        return _Chain([*_steps_of(self), *_steps_of(following)])

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={value!r}" for name, value in vars(self).items() if name[0] != "_")
        return f"{type(self).__name__}({values})"


class DropCaption(CaptionTransform):
    """Replaces the whole caption by the empty one, for classifier-free guidance (Ho and Salimans 2022).

    Args:
        probability: 0 to 1.
    """

    def __init__(self, probability: float, seed: int = 0):
        super().__init__(seed)
        self.probability = checked_probability("probability", probability)

    def apply(self, caption: str, generator: random.Random) -> str:
        return "" if generator.random() < self.probability else caption


class ShuffleParts(CaptionTransform):
    """Shuffles the parts between separators: "a cat, oil, sunset" → "a cat, sunset, oil".

    Args:
        probability: of shuffling a caption at all, 0 to 1.
        keep_first: that many parts stay at the front.
        separator: between parts; blanks around parts are trimmed.
    """

    def __init__(self, probability: float = 1.0, keep_first: int = 0, separator: str = ",", seed: int = 0):
        super().__init__(seed)
        self.probability = checked_probability("probability", probability)
        self.keep_first = _checked_count("keep_first", keep_first)
        self.separator = _checked_separator(separator)

    def apply(self, caption: str, generator: random.Random) -> str:
        if generator.random() >= self.probability:
            return caption
        parts = _parts(caption, self.separator)
        rest = parts[self.keep_first :]
        generator.shuffle(rest)
        return _joined(parts[: self.keep_first] + rest, self.separator)


class DropParts(CaptionTransform):
    """Leaves out each part between separators with a probability.

    Args:
        probability: for each part, 0 to 1.
        keep_first: that many parts are never left out.
        separator: between parts.
    """

    def __init__(self, probability: float, keep_first: int = 0, separator: str = ",", seed: int = 0):
        super().__init__(seed)
        self.probability = checked_probability("probability", probability)
        self.keep_first = _checked_count("keep_first", keep_first)
        self.separator = _checked_separator(separator)

    def apply(self, caption: str, generator: random.Random) -> str:
        if self.probability == 0:
            return caption
        parts = _parts(caption, self.separator)
        kept = [part for part in parts[self.keep_first :] if generator.random() >= self.probability]
        return _joined(parts[: self.keep_first] + kept, self.separator)


class AddText(CaptionTransform):
    """Puts text before or after every caption: a trigger phrase such as ", in the style of …".

    Args:
        prefix, suffix: put there as they are, blanks included.
        probability: 0 to 1.
    """

    def __init__(self, prefix: str = "", suffix: str = "", probability: float = 1.0, seed: int = 0):
        super().__init__(seed)
        self.prefix = prefix
        self.suffix = suffix
        self.probability = checked_probability("probability", probability)

    def apply(self, caption: str, generator: random.Random) -> str:
        if self.probability < 1 and generator.random() >= self.probability:
            return caption
        return f"{self.prefix}{caption}{self.suffix}"


class CaptionTransforms(CaptionTransform):
    """The usual chain, by keyword arguments: parts left out, parts shuffled, text added, caption dropped.

    Args:
        drop: probability of an empty caption; added text is dropped with it.
        shuffle_parts: probability of shuffling the parts of a caption.
        drop_parts: probability of leaving out each part.
        keep_first: that many parts stay in place.
        prefix, suffix: added to every caption that is not dropped.
        separator: between parts.
        seed: for calls without a generator.

    Raises:
        OptionError: a value is out of its range.
    """

    def __init__(
        self,
        *,
        drop: float = 0.0,
        shuffle_parts: float = 0.0,
        drop_parts: float = 0.0,
        keep_first: int = 0,
        prefix: str = "",
        suffix: str = "",
        separator: str = ",",
        seed: int = 0,
    ):
        super().__init__(seed)
        self.drop = checked_probability("drop", drop)
        self.shuffle_parts = checked_probability("shuffle_parts", shuffle_parts)
        self.drop_parts = checked_probability("drop_parts", drop_parts)
        self._steps: list[CaptionTransform] = []
        if drop_parts:
            self._steps.append(DropParts(drop_parts, keep_first, separator))
        if shuffle_parts:
            self._steps.append(ShuffleParts(shuffle_parts, keep_first, separator))
        if prefix or suffix:
            self._steps.append(AddText(prefix, suffix))
        if drop:
            self._steps.append(DropCaption(drop))
        self.keep_first, self.prefix, self.suffix, self.separator = keep_first, prefix, suffix, separator

    def apply(self, caption: str, generator: random.Random) -> str:
        for step in self._steps:
            caption = step.apply(caption, generator)
        return caption


class _Chain(CaptionTransform):
    def __init__(self, steps: Sequence[Callable[..., str]]):
        super().__init__()
        self.steps = list(steps)

    def apply(self, caption: str, generator: random.Random) -> str:
        for step in self.steps:
            caption = step.apply(caption, generator) if isinstance(step, CaptionTransform) else step(caption)
        return caption


def caption_transform_of(value: Any) -> CaptionTransform | None:
    """A transform from what a user gives: None, a callable of one caption, or keyword arguments.

    Raises:
        OptionError: none of these.
    """
    if value is None or isinstance(value, CaptionTransform):
        return value
    if isinstance(value, Mapping):
        transform: CaptionTransforms = built_from("caption_transform", CaptionTransforms, value)
        return transform
    if callable(value):
        return _Chain([value])
    raise OptionError(f"caption_transform is {value!r}; it takes keyword arguments, a callable or None")


def chosen_captions(value: Any, choice: str, generator: random.Random) -> str | list[str]:
    """Of a row's caption or captions those that are wanted; "" where it has none.

    Args:
        value: a text, a list of texts, or None. What is missing (``is_missing``) is no text, bytes are UTF-8.
        choice: "all": a list; "first"; "random".
        generator: makes the choice.
    """
    several = list(value) if isinstance(value, (list, tuple)) else [value]
    texts = [_text_of(one) for one in several if not is_missing(one)] or [""]
    if choice == "all":
        return texts
    return texts[0] if choice == "first" or len(texts) == 1 else generator.choice(texts)


def is_missing(value: Any) -> bool:
    """Whether a value says that there is none: None, NaN, and pandas' NaT and NA."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, float) and value != value


def _text_of(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def built_from(option: str, kind: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
    """Call ``kind`` with keyword arguments from a configuration file; a wrong name is a clear error."""
    try:
        return kind(**arguments)
    except TypeError as error:
        raise OptionError(f"{option} is {dict(arguments)!r}: {error}") from error


def checked_probability(name: str, value: float) -> float:
    """``value`` if it is a probability.

    Raises:
        OptionError: it is not.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise OptionError(f"{name} is {value!r}; it takes a probability from 0 to 1")
    return float(value)


def _checked_count(name: str, value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise OptionError(f"{name} is {value!r}; it takes a whole number from 0")
    return value


def _checked_separator(separator: str) -> str:
    if not isinstance(separator, str) or not separator:
        raise OptionError(f"separator is {separator!r}; it takes text that stands between parts, such as ','")
    return separator


def _steps_of(transform: Callable[..., str]) -> list[Callable[..., str]]:
    return transform.steps if isinstance(transform, _Chain) else [transform]


def _parts(caption: str, separator: str) -> list[str]:
    parts = (part.strip() for part in caption.split(separator))
    return [part for part in parts if part]


def _joined(parts: Sequence[str], separator: str) -> str:
    return (separator if separator.endswith(" ") else separator + " ").join(parts)
