"""Content-Usage, the header: ``train-ai=n`` says that this body is not to be trained on (IETF aipref).

A dictionary of structured fields (drafts ietf-aipref-vocab and ietf-aipref-attach of 2026). ``y``, other
categories, values that are no token and lines that are no dictionary say nothing: the preference is unknown,
which is no refusal. Each line is read for itself, and of several that speak of training the most restrictive
counts. Looked for unless ``consent`` is off: the header is in hand anyway. In robots.txt the same rule stands
with a path; ``robots_txt`` reads it there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from img2dataset import failures
from img2dataset.fetching.consent import HeaderSignal
from img2dataset.fetching.consent.structured_fields import tokens_of
from img2dataset.types import Says

if TYPE_CHECKING:
    from img2dataset.fetching.settings import FetchSettings

TRAINING = "train-ai"


def header_signal(settings: FetchSettings) -> HeaderSignal:
    """The signal as ``settings`` want it."""
    return HeaderSignal("Content-Usage", says, settings.consent != "off", failures.OPT_OUT_CONTENT_USAGE)


def says(value: str) -> Says:
    """What one dictionary says of training."""
    said = {token for key, token in tokens_of(value) or () if key == TRAINING}
    if "n" in said:
        return "no"
    return "yes" if "y" in said else "unknown"
