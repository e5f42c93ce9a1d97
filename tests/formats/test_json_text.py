from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from img2dataset.formats.json_text import json_text

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=[]))
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=12
)


@given(st.dictionaries(st.text(), values, min_size=1))
def test_the_text_is_that_of_json_dumps_with_indent_4(metadata: dict[str, Any]) -> None:
    assert json_text(metadata) == json.dumps(metadata, indent=4)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_float_that_json_does_not_know_becomes_null(value: float) -> None:
    assert json_text(value) == "null"
    assert json.loads(json_text({"a": [1.5, value]})) == {"a": [1.5, None]}


@pytest.mark.parametrize("value", [b"bytes", {1, 2}, object()])
def test_a_value_of_another_type_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match=type(value).__name__):
        json_text(value)
