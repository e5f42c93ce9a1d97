"""Caption in, token numbers out, with whatever tokenizers a model needs.

Called by the datasets, as their ``tokenizer``. Takes what people have: Hugging Face tokenizers (CLIP, T5),
those with ``encode(text)`` (torchtune, sentencepiece), and plain functions of a text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from img2dataset.errors import OptionError
from img2dataset.training.requirements import require


class CaptionTokenizer:
    """One or several tokenizers with a maximum length.

    Args:
        tokenizer: a tokenizer, or the name or folder of one of Hugging Face (needs ``transformers``).
        max_length: longest list of tokens, for all, or by name. None: as long as they come.
        pad_id: with ``pad``, what short lists are filled with; None: the tokenizer's own, or 0.
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

    def _tokens(self, name: str, caption: str) -> list[int]:
        tokenizer, length = self._tokenizers[name], self._max_lengths[name]
        numbers = _numbers(_encode(tokenizer, caption, length))
        if length is not None and len(numbers) > length:
            # The last token says that the text ends (CLIP reads its features there): it stays.
            end = getattr(tokenizer, "eos_token_id", None)
            numbers = [*numbers[: length - 1], numbers[-1]] if numbers[-1] == end else numbers[:length]
        if self._pad and length is not None:
            own = getattr(tokenizer, "pad_token_id", None)
            filler = self._pad_id if self._pad_id is not None else own if own is not None else 0
            numbers = numbers + [filler] * (length - len(numbers))
        return numbers


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
