"""Which file imports which: no circle. ``make lint`` holds the order of the rooms."""

from __future__ import annotations

import grimp


def test_no_file_imports_itself_over_others() -> None:
    graph = grimp.build_graph("img2dataset", exclude_type_checking_imports=True)
    left = set(graph.modules)
    # What imports nothing that is left, or is imported by nothing that is left, is in no circle.
    while in_no_circle := {
        module
        for module in left
        if not graph.find_modules_directly_imported_by(module) & left
        or not graph.find_modules_that_directly_import(module) & left
    }:
        left -= in_no_circle
    assert sorted(left) == []
