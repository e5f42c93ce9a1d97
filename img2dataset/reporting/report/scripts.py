"""Which script captions are written in: strings come in, the number of captions of each script goes out.

A caption counts for the script that most of its letters are of; one with kana is Japanese, however many of
its characters are Chinese ones. Ranges of code points as in Unicode's Blocks.txt.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

NO_LETTERS = "no letters"
_KANA, _HAN = "Japanese (kana)", "Chinese characters (Han)"
_RANGES: tuple[tuple[int, int, str], ...] = (
    (0x41, 0x5A, "Latin"),
    (0x61, 0x7A, "Latin"),
    (0xC0, 0x24F, "Latin"),
    (0x370, 0x3FF, "Greek"),
    (0x400, 0x52F, "Cyrillic"),
    (0x530, 0x58F, "Armenian"),
    (0x590, 0x5FF, "Hebrew"),
    (0x600, 0x77F, "Arabic"),
    (0x8A0, 0x8FF, "Arabic"),
    (0x900, 0x97F, "Devanagari"),
    (0x980, 0x9FF, "Bengali"),
    (0xA00, 0xA7F, "Gurmukhi"),
    (0xA80, 0xAFF, "Gujarati"),
    (0xB00, 0xB7F, "Odia"),
    (0xB80, 0xBFF, "Tamil"),
    (0xC00, 0xC7F, "Telugu"),
    (0xC80, 0xCFF, "Kannada"),
    (0xD00, 0xD7F, "Malayalam"),
    (0xD80, 0xDFF, "Sinhala"),
    (0xE00, 0xE7F, "Thai"),
    (0xE80, 0xEFF, "Lao"),
    (0xF00, 0xFFF, "Tibetan"),
    (0x1000, 0x109F, "Burmese"),
    (0x10A0, 0x10FF, "Georgian"),
    (0x1100, 0x11FF, "Korean (Hangul)"),
    (0x1200, 0x139F, "Ethiopic"),
    (0x1780, 0x17FF, "Khmer"),
    (0x1800, 0x18AF, "Mongolian"),
    (0x1E00, 0x1EFF, "Latin"),
    (0x1F00, 0x1FFF, "Greek"),
    (0x3040, 0x30FF, _KANA),
    (0x3130, 0x318F, "Korean (Hangul)"),
    (0x31F0, 0x31FF, _KANA),
    (0x3400, 0x4DBF, _HAN),
    (0x4E00, 0x9FFF, _HAN),
    (0xAC00, 0xD7AF, "Korean (Hangul)"),
    (0xF900, 0xFAFF, _HAN),
    (0xFB50, 0xFDFF, "Arabic"),
    (0xFE70, 0xFEFE, "Arabic"),
    (0xFF21, 0xFF5A, "Latin"),
    (0xFF66, 0xFF9F, _KANA),
    (0x20000, 0x3FFFF, _HAN),
)
_NAMES = tuple(dict.fromkeys(name for _, _, name in _RANGES))
# Captions whose characters are held at once, four bytes each.
_AT_ONCE = 4096


def scripts_of(captions: pa.Array) -> Counter[str]:
    """Captions by script.

    Args:
        captions: of type string, without nulls.
    """
    import pyarrow.compute as pc

    ascii_only = pc.string_is_ascii(captions)
    plain = captions.filter(ascii_only)
    latin = pc.sum(pc.match_substring_regex(plain, "[A-Za-z]")).as_py() or 0
    found = Counter({"Latin": latin, NO_LETTERS: len(plain) - latin})
    others = captions.filter(pc.invert(ascii_only))
    for start in range(0, len(others), _AT_ONCE):
        found.update(_by_characters(others.slice(start, _AT_ONCE)))
    return +found


def _by_characters(captions: pa.Array) -> Counter[str]:
    import numpy as np
    import pyarrow.compute as pc

    lengths = pc.utf8_length(captions).to_numpy(zero_copy_only=False)
    text = "".join(captions.to_pylist())
    points = np.frombuffer(text.encode("utf-32-le"), "<u4")
    starts = np.array([start for start, _, _ in _RANGES], "u4")
    ends = np.array([end for _, end, _ in _RANGES], "u4")
    numbers = np.array([_NAMES.index(name) for _, _, name in _RANGES])
    at = np.searchsorted(starts, points, "right") - 1
    is_letter = (at >= 0) & (points <= ends[np.maximum(at, 0)])
    caption = np.repeat(np.arange(len(lengths)), lengths)[is_letter]
    letters = np.bincount(
        caption * len(_NAMES) + numbers[at[is_letter]], minlength=len(lengths) * len(_NAMES)
    ).reshape(len(lengths), len(_NAMES))
    most = letters.argmax(axis=1)
    most[letters[:, _NAMES.index(_KANA)] > 0] = _NAMES.index(_KANA)
    has_letters = letters.sum(axis=1) > 0
    found = Counter(
        {
            name: int(count)
            for name, count in zip(_NAMES, np.bincount(most[has_letters], minlength=len(_NAMES)), strict=True)
        }
    )
    found[NO_LETTERS] = int((~has_letters).sum())
    return +found
