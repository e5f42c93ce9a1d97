"""What the text of a failure means, for a person who meets it in a dataset.

In: an ``error_message``, of this program or of 1.47.0. Out: one sentence, from the table of failures.
"""

from __future__ import annotations

from http import HTTPStatus

from img2dataset.failures import PASSING, is_retried, of_text

PASSES_NOT = "it does not pass by itself"
_OF_STAGE = {
    "failed_to_download": "nothing was downloaded",
    "failed_to_resize": "what was downloaded gave no image to store",
}


def meaning_of(message: str, status: str | None = None) -> str:
    """What a failure means, whether it can pass, and what can be done about it.

    Args:
        message: the ``error_message`` of a row.
        status: the ``status`` of the row.
    """
    parts = [_OF_STAGE.get(status or "", "")]
    advice = ""
    try:
        failure = of_text(message)
        advice = failure.kind.advice
        if failure.kind.text == "HTTP " and failure.detail:
            parts.append(_answer(int(failure.detail)))
    except KeyError:
        pass  # of 1.47.0, whose messages are those of the libraries that it uses
    if is_retried(message, PASSING):
        parts.append("it can pass: --incremental_mode retry_failed tries it again")
    else:
        parts.append(PASSES_NOT)
    parts.append(advice)
    return "; ".join(part for part in parts if part)


def _answer(status: int) -> str:
    try:
        return f"the server answered: {HTTPStatus(status).phrase}"
    except ValueError:
        return f"the server answered {status}, which no standard knows"
