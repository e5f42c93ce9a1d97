"""Caption in, token numbers out, with whatever tokenizers a model needs.

Called by the datasets, as their ``tokenizer``. Takes what people have, as it is: Hugging Face tokenizers
(CLIP, T5), those with ``encode(text)`` (torchtune, tokenizers, sentencepiece), and plain functions of a text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from img2dataset.errors import OptionError
from img2dataset.training.representation import shown
from img2dataset.training.requirements import require


class TokenNumbers(list[int]):
    """Token numbers, which know what the collation fills up shorter ones of a batch with."""

    pad_id: int | None = None


class CaptionTokenizer:
    """One or several tokenizers with a maximum length. One alone needs it for a length only.

    Args:
        tokenizer: a tokenizer, or the name or folder of one of Hugging Face (needs ``transformers``).
        max_length: longest list of tokens, for all, or by name. None: as long as they come.
        pad_id: what short lists are filled with, by ``pad`` or by the collation; None: the tokenizer's own,
            or 0.
        pad: fill up to ``max_length``; else the collation pads to the longest of a batch.
        tokenizers: further ones by name: ``CaptionTokenizer(clip=…, t5=…, max_length={"clip": 77, "t5":
            256})``.

    Returns, when called with a caption: a list of token numbers, or a dictionary of them by name.

    Raises:
        OptionError: no tokenizer, or one that cannot be called.
    """

    def __init__(
        self,
        tokenizer: Any = None,
        *,
        max_length: int | Mapping[str, int] | None = None,
        pad: bool = False,
        pad_id: int | None = None,
        **tokenizers: Any,
    ):
        if (tokenizer is None) == (not tokenizers):
            raise OptionError(
                "CaptionTokenizer takes either one tokenizer, or several by name (clip=…, t5=…)"
            )
        self._single = tokenizer is not None
        named = {"tokenizer": tokenizer} if self._single else tokenizers
        self._tokenizers = {name: _opened(name, given) for name, given in named.items()}
        self._max_lengths = {
            name: max_length.get(name) if isinstance(max_length, Mapping) else max_length for name in named
        }
        for name, length in self._max_lengths.items():
            if length is not None and (not isinstance(length, int) or length < 1):
                raise OptionError(
                    f"max_length of {name} is {length!r}; it takes a whole number from 1, or None"
                )
            if pad and length is None:
                raise OptionError(f"pad needs a max_length for {name}")
        self._pad = pad
        self._pad_id = pad_id

    def __call__(self, caption: str) -> Any:
        tokens = {name: self._tokens(name, caption) for name in self._tokenizers}
        return tokens["tokenizer"] if self._single else tokens

    def __repr__(self) -> str:
        kinds = {name: type(tokenizer).__name__ for name, tokenizer in self._tokenizers.items()}
        single = ", ".join(
            kinds.values() if self._single else (f"{name}={kind}" for name, kind in kinds.items())
        )
        lengths = {name: length for name, length in self._max_lengths.items() if length is not None}
        max_length = lengths.get("tokenizer") if self._single else lengths
        return shown(self, single, max_length=max_length, pad=self._pad, pad_id=self._pad_id)

    def _tokens(self, name: str, caption: str) -> list[int]:
        tokenizer, length = self._tokenizers[name], self._max_lengths[name]
        numbers = _numbers(_encode(tokenizer, caption, length))
        if length is not None and len(numbers) > length:
            # The last token says that the text ends (CLIP reads its features there): it stays.
            end = _number_of(tokenizer, "eos_token_id", "eos_id")
            numbers = [*numbers[: length - 1], numbers[-1]] if numbers[-1] == end else numbers[:length]
        pad_id = self._pad_id if self._pad_id is not None else pad_id_of(tokenizer)
        if self._pad and length is not None:
            numbers = numbers + [pad_id or 0] * (length - len(numbers))
        return _knowing(numbers, pad_id)


def tokenizer_of(value: Any) -> Callable[[str], Any] | None:
    """A tokenizer from what a user gives: None, an object with ``encode``, its name, or a callable of a text.

    Those with ``encode`` are asked by it, whatever else they can be called with: torchtune's are called with
    a whole sample.

    Raises:
        OptionError: none of these.
    """
    if value is None or isinstance(value, CaptionTokenizer):
        return value
    if isinstance(value, str) or hasattr(value, "encode") or not callable(value):
        return CaptionTokenizer(value)
    given: Callable[[str], Any] = value
    return given


def tokens_of(tokenizer: Callable[[str], Any], caption: str) -> Any:
    """What a tokenizer makes of a caption; of a batch of one, as Hugging Face's give it, the one."""
    tokens = tokenizer(caption)
    if isinstance(tokens, Mapping) and "input_ids" in tokens:
        return {name: _of_one(value) for name, value in tokens.items()}
    if type(tokens) is list and all(isinstance(token, int) for token in tokens):
        # A method of a tokenizer's, or one with some arguments given.
        owner = getattr(getattr(tokenizer, "func", tokenizer), "__self__", getattr(tokenizer, "func", None))
        return _knowing(tokens, pad_id_of(owner))
    return tokens


def pad_id_of(tokenizer: Any) -> int | None:
    """What a tokenizer says that short lists are filled with; None if it says nothing."""
    padding = getattr(tokenizer, "padding", None)  # the ``tokenizers`` package
    if isinstance(padding, Mapping) and isinstance(padding.get("pad_id"), int):
        return int(padding["pad_id"])
    return _number_of(tokenizer, "pad_token_id", "pad_id")


def _number_of(tokenizer: Any, *names: str) -> int | None:
    for name in names:
        number = getattr(tokenizer, name, None)
        number = number() if callable(number) else number  # sentencepiece's are methods
        if isinstance(number, int) and not isinstance(number, bool) and number >= 0:
            return number
    return None


def _knowing(numbers: list[int], pad_id: int | None) -> list[int]:
    if pad_id is None:
        return numbers
    tokens = TokenNumbers(numbers)
    tokens.pad_id = pad_id
    return tokens


def _of_one(value: Any) -> Any:
    is_batch = len(value) == 1 and (getattr(value, "ndim", 0) > 1 or isinstance(value[0], (list, tuple)))
    return value[0] if is_batch else value


def _opened(name: str, tokenizer: Any) -> Any:
    if isinstance(tokenizer, str):
        transformers = require("transformers", f"the tokenizer {tokenizer!r}", extra=None)
        return transformers.AutoTokenizer.from_pretrained(tokenizer)
    if not callable(tokenizer) and not hasattr(tokenizer, "encode"):
        raise OptionError(
            f"the tokenizer {name} is {tokenizer!r}; it takes a callable, an object with encode, or a name"
        )
    return tokenizer


def _encode(tokenizer: Any, caption: str, length: int | None) -> Any:
    # Hugging Face tokenizers cut by themselves, keeping their special tokens.
    if hasattr(tokenizer, "model_max_length") and callable(tokenizer):
        cut = {"truncation": True, "max_length": length} if length is not None else {}
        return tokenizer(caption, **cut)["input_ids"]
    encode: Callable[[str], Any] = tokenizer.encode if hasattr(tokenizer, "encode") else tokenizer
    return encode(caption)


def _numbers(tokens: Any) -> list[int]:
    if isinstance(tokens, Mapping):
        tokens = tokens["input_ids"]
    if hasattr(tokens, "ids"):  # the ``tokenizers`` package
        tokens = tokens.ids
    if hasattr(tokens, "tolist"):
        tokens = tokens.tolist()
    if len(tokens) == 1 and isinstance(tokens[0], (list, tuple)):  # a batch of one
        tokens = tokens[0]
    return [int(token) for token in tokens]
