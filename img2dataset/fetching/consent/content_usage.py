"""Content-Usage, the header: ``train-ai=n`` says that this body is not to be trained on (IETF aipref).

A dictionary of structured fields (drafts ietf-aipref-vocab and ietf-aipref-attach of 2026). ``y``, other
categories, values that are no token and lines that are no dictionary say nothing: the preference is unknown,
which is no refusal. Each line is read for itself, and of several that speak of training the most restrictive
counts. Looked for unless ``consent`` is off: the header is in hand anyway. In robots.txt the same rule stands
with a path; ``robots_txt`` reads it there.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from img2dataset import failures
from img2dataset.fetching.consent import HeaderSignal
from img2dataset.fetching.consent.structured_fields import tokens_of

if TYPE_CHECKING:
    from img2dataset.fetching.settings import FetchSettings

TRAINING = "train-ai"


def header_signal(settings: FetchSettings) -> HeaderSignal | None:
    """The signal as ``settings`` want it; None if they do not."""
    if settings.consent == "off":
        return None
    return HeaderSignal("Content-Usage", failures.OPT_OUT_CONTENT_USAGE, refuses_training)


def refuses_training(values: Iterable[str]) -> bool:
    """Whether any of these dictionaries says that what it stands with is not to be trained on."""
    return any(allows_training(value) is False for value in values)


def allows_training(value: str) -> bool | None:
    """What one dictionary says of training; None: nothing, or nothing that is known."""
    said = {token for key, token in tokens_of(value) or () if key == TRAINING}
    if "n" in said:
        return False
    return True if "y" in said else None
