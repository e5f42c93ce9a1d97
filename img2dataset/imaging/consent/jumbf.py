"""JUMBF superboxes (ISO/IEC 19566-5): a box comes in, each superbox with its labels and boxes goes out."""

from __future__ import annotations

from collections.abc import Iterator

from img2dataset.imaging.consent.boxes import boxes_in

_SUPERBOX = b"jumb"
_DESCRIPTION = b"jumd"
_HAS_LABEL = 0x02
_LABEL_AT = 17  # behind the type, a UUID, and the toggles
_LONGEST_LABEL = 256
_DEEPEST = 6
# A store of a hundred manifests has some thousands.
_MOST_BOXES = 20_000


def superboxes_in(
    data: bytes | memoryview,
) -> Iterator[tuple[tuple[str, ...], list[tuple[bytes, memoryview]]]]:
    """The labels that lead to each superbox, and the kinds and contents of the boxes in it.

    The last of a box comes first: the manifest that counts is the last of its store. One without a label is
    passed over, with all that it holds.
    """
    boxes_left = _MOST_BOXES

    def inside(content: memoryview) -> list[tuple[bytes, memoryview]]:
        nonlocal boxes_left
        boxes = list(boxes_in(content, boxes_left))
        boxes_left -= len(boxes)
        return boxes

    waiting: list[tuple[tuple[str, ...], memoryview]] = [
        ((), content) for kind, content in inside(memoryview(data)) if kind == _SUPERBOX
    ]
    while waiting:
        labels, content = waiting.pop()
        boxes = inside(content)
        label = _label_of(boxes)
        if label is None:
            continue
        labels = (*labels, label)
        yield labels, boxes
        if len(labels) < _DEEPEST:
            waiting += [(labels, content) for kind, content in boxes if kind == _SUPERBOX]


def _label_of(boxes: list[tuple[bytes, memoryview]]) -> str | None:
    if not boxes or boxes[0][0] != _DESCRIPTION:
        return None
    description = bytes(boxes[0][1][: _LABEL_AT + _LONGEST_LABEL])
    if len(description) <= _LABEL_AT or not description[_LABEL_AT - 1] & _HAS_LABEL:
        return None
    return description[_LABEL_AT:].partition(b"\0")[0].decode("utf-8", "replace")
