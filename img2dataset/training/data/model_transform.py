"""The last word on a sample, by a user's callable of the sample or of ``(img, text)``: it comes in, and a
callable of the sample goes out.

Which of the two it takes is told from its parameters, not tried: a mistake inside it must not look like the
other kind.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from img2dataset.errors import OptionError

# A second parameter of one of these names is the text, even where it need not be given.
TEXT_NAMES = ("text", "texts", "caption", "captions", "prompt", "prompts")


def sample_transform_of(transform: Callable[..., Any]) -> Callable[[dict[str, Any]], Any]:
    """A callable of the sample, from one of the sample or of ``(img, text)``.

    One whose second parameter must be given, or has the name of a text, is called with image and text: of
    what it returns, a pair takes their places in the sample, anything else is the sample. All others are
    called with the sample (torchtune's, ``(sample, inference=False)``, too).

    Raises:
        OptionError: it is not callable, or takes neither.
    """
    if not callable(transform):
        raise OptionError(
            f"model_transform is {transform!r}; it takes a callable of the sample or of (img, text)"
        )
    return _OfImageAndText(transform) if _takes_image_and_text(transform) else transform


class _OfImageAndText:
    """A class and no function inside one, so that it can be sent to a worker."""

    def __init__(self, transform: Callable[[Any, Any], Any]):
        self._transform = transform

    def __call__(self, sample: dict[str, Any]) -> Any:
        made = self._transform(sample["img"], sample["caption"])
        if isinstance(made, (tuple, list)) and len(made) == 2:
            return sample | {"img": made[0], "caption": made[1]}
        return made


def _takes_image_and_text(transform: Callable[..., Any]) -> bool:
    # PyTorch's modules are called by a method that takes anything, and passes it on.
    called = transform.forward if hasattr(transform, "forward") else transform
    try:
        parameters = inspect.signature(called).parameters.values()
    except (TypeError, ValueError):  # of a function in C
        return False
    places = [each for each in parameters if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
    takes_any = any(each.kind is each.VAR_POSITIONAL for each in parameters)
    needed = sum(each.default is each.empty for each in places)
    named = [
        each.name for each in parameters if each.kind is each.KEYWORD_ONLY and each.default is each.empty
    ]
    if needed > 2 or named or (not places and not takes_any):
        raise OptionError(
            f"model_transform is {transform!r} with the parameters {inspect.signature(called)}; it takes a"
            " callable of the sample or of (img, text): give lambda sample: …, or lambda img, text: …"
        )
    return needed == 2 or (len(places) > 1 and places[1].name in TEXT_NAMES)
