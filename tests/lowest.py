"""The oldest version of each package that ``pyproject.toml`` allows, as constraints for pip.

``python -m tests.lowest > constraints.txt``; called by ``make test-lowest``.
"""

from __future__ import annotations

import re
from pathlib import Path

PYPROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"


def lowest_versions(text: str) -> list[str]:
    """``name==version`` of each dependency of the base and of the extra tfrecord.

    Raises:
        ValueError: one has no lower bound.
    """
    base = re.search(r"^dependencies = \[(.*?)^\]", text, re.S | re.M)
    extra = re.search(r"^tfrecord = \[(.*?)\]", text, re.S | re.M)
    assert base is not None
    assert extra is not None
    lines = []
    for requirement in re.findall(r'"([^"]+)"', base[1] + extra[1]):
        bound = re.fullmatch(r"([\w.-]+)>=([\w.]+)", requirement)
        if bound is None:
            raise ValueError(f"{requirement} has no lower bound; write name>=version")
        lines.append(f"{bound[1]}=={bound[2]}")
    return lines


if __name__ == "__main__":
    print("\n".join(lowest_versions(PYPROJECT.read_text())))
