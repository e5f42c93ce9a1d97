"""The oldest version of each package that ``pyproject.toml`` allows, as constraints for pip.

``python -m tests.lowest EXTRA… > constraints.txt``; called by ``make test-lowest`` and its like.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

PYPROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"


def lowest_versions(text: str, extras: list[str]) -> list[str]:
    """``name==version`` of each dependency of the base and of some extras.

    Args:
        text: of ``pyproject.toml``.
        extras: their names.

    Raises:
        ValueError: one has no lower bound.
    """
    base = re.search(r"^dependencies = \[(.*?)^\]", text, re.S | re.M)
    assert base is not None
    wanted = base[1]
    for name in extras:
        extra = re.search(rf"^{name} = \[(.*?)\]", text, re.S | re.M)
        assert extra is not None
        wanted += extra[1]
    lines = []
    for requirement in re.findall(r'"([^"]+)"', wanted):
        bound = re.fullmatch(r"([\w.-]+)>=([\w.]+)(,<[\w.]+)?", requirement)
        if bound is None:
            raise ValueError(f"{requirement} has no lower bound; write name>=version")
        lines.append(f"{bound[1]}=={bound[2]}")
    return lines


if __name__ == "__main__":
    print("\n".join(lowest_versions(PYPROJECT.read_text(), sys.argv[1:])))
