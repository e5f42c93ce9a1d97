"""Captions for lists of conversations about images, as LLaVA is trained with. Called by ``ImageTextDataset``.

A row has ``conversations``, ``[{"from": "human", "value": …}, {"from": "gpt", "value": …}]``, or ``messages``
with ``role`` and ``content``. The caption is the first answer; the whole stays in the row.
"""

from __future__ import annotations

from typing import Any

from img2dataset.training.data.columns import first_usual
from img2dataset.training.data.row_lists import RowList

_COLUMNS = ("conversations", "messages")
# Who answers, in the layouts of LLaVA and of OpenAI.
_ANSWERING = frozenset(("gpt", "assistant", "model"))
_ROWS_LOOKED_AT = 32


def with_captions(rows: RowList) -> RowList:
    """The rows, with ``caption`` where they have conversations and no captions."""
    column = next((name for name in _COLUMNS if name in rows.columns), None)
    if column is None or first_usual("caption", rows.columns) is not None:
        return rows
    looked_at = (rows.row(index).get(column) for index in range(min(len(rows), _ROWS_LOOKED_AT)))
    if all(first_answer(value) is None for value in looked_at):
        return rows
    return ConversationRows(rows, column)


class ConversationRows:
    """Rows with the first answer of a conversation as ``caption``; see ``RowList``."""

    def __init__(self, rows: RowList, column: str):
        self._rows = rows
        self._column = column
        self.columns: tuple[str, ...] = (*rows.columns, "caption")

    def __len__(self) -> int:
        return len(self._rows)

    def row(self, index: int) -> dict[str, Any]:
        row = self._rows.row(index)
        return row | {"caption": first_answer(row.get(self._column))}


def first_answer(conversation: Any) -> str | None:
    """What is first answered in a conversation; None: nothing, or it is no conversation."""
    for turn in conversation if isinstance(conversation, (list, tuple)) else ():
        if isinstance(turn, dict) and str(turn.get("from", turn.get("role"))).lower() in _ANSWERING:
            return _text_of(turn.get("value", turn.get("content")))
    return None


def _text_of(content: Any) -> str | None:
    """The text of a turn: a string, or the first of its parts that is text."""
    if isinstance(content, (list, tuple)):
        parts = (part.get("text") for part in content if isinstance(part, dict))
        content = next((part for part in parts if isinstance(part, str)), None)
    return content.strip() if isinstance(content, str) else None
