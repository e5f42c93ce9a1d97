"""From runs to medians, ratios, a page and a chart."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from benchmarks.contenders import DAFT, PEER, PROJECT, Measurement
from benchmarks.plot import draw
from benchmarks.results import (
    LIMIT,
    Group,
    Start,
    medians,
    page,
    ratio_text,
    ratios,
    start_lines,
    starts,
    without_start,
)


def run(name: str, seconds: float, cpu_seconds: float = 10.0, failure: str | None = None) -> Measurement:
    return Measurement(name, 1000, 1000, seconds, cpu_seconds, True, 400_000_000, 5, 3, 0.2, failure)


@pytest.fixture
def group() -> Group:
    made = Group("https", "https, new connections", "equal", 1000, ", 2 × 64")
    for project, peer in ((2.0, 16.0), (4.0, 30.0), (2.5, 15.0)):
        made.rounds.append({PROJECT: run(PROJECT, project, 4.0), PEER: run(PEER, peer, 30.0)})
    return made


def test_images_a_second_count_images_made_not_rows() -> None:
    half = Measurement(PROJECT, 1000, 500, 2.0, 1.0, True, 0, 0, 0)
    assert half.images_per_s == 250
    assert half.cpu_ms_per_image == 2.0


def test_the_median_of_the_rounds_is_reported(group: Group) -> None:
    found = medians(group.good(PROJECT))
    assert found is not None
    assert found.images_per_s == 400
    assert found.cpu_ms == 4.0
    assert found.server_cpu_ms == 0.2


def test_ratios_are_taken_within_a_round(group: Group) -> None:
    assert ratios(group, PROJECT, PEER, "images_per_s") == pytest.approx([8.0, 7.5, 6.0])


def test_a_failed_run_is_in_no_median_and_no_ratio(group: Group) -> None:
    group.rounds[0][PEER] = run(PEER, 1.0, failure="900 of 1000 rows accounted for")
    assert ratios(group, PROJECT, PEER, "images_per_s") == pytest.approx([7.5, 6.0])
    assert len(group.good(PEER)) == 2
    assert group.failures() == [f"https, equal, round 1: {PEER}: 900 of 1000 rows accounted for"]


def test_no_rounds_give_no_median_and_no_ratio() -> None:
    assert medians([]) is None
    assert ratio_text([]) == "–"


def test_a_ratio_is_shown_with_its_range() -> None:
    assert ratio_text([7.5, 8.0, 6.0]) == "7.50 × (6.00 to 8.00)"
    assert ratio_text([7.5]) == "7.50 ×"


def test_the_page_has_the_figures_the_share_of_the_limit_and_what_failed(group: Group) -> None:
    for each in group.rounds:
        each[LIMIT] = run(LIMIT, 1.8, 3.5)
    group.rounds[2][PEER] = run(PEER, 1.0, failure="exit status 1")
    text = page([group], ["Machine: two cores."], {PEER: Start(2.0, 2.0)})
    assert "Machine: two cores." in text
    assert "| https, new connections | 7.75 × (7.50 to 8.00) | 7.00 × (7.00 to 7.00) " in text
    assert "| 7.50 × (7.50 to 7.50) | 7.00 × (7.00 to 7.00) | 72% |" in text
    assert f"| {PROJECT} | 400.0 | 4.00 | 400 (0) MB | 1000 | 0.20 |" in text
    assert f"round 3: {PEER}: exit status 1" in text
    assert "Default options" not in text


def test_the_chart_is_svg_with_a_bar_for_every_good_run(group: Group) -> None:
    group.rounds[0][DAFT] = run(DAFT, 1.0, failure="exit status 1")
    root = ElementTree.fromstring(draw([group]))
    bars = [each for each in root.iter() if each.tag.endswith("rect")]
    assert [bar.get("class") for bar in bars] == ["project", "peer"]
    widths = [float(bar.get("width", "0")) for bar in bars]
    assert widths[0] / widths[1] == pytest.approx(400 / 62.5, rel=0.01)
    assert "400 (6.4 ×)" in draw([group])


def test_what_starting_costs_is_said_in_one_line() -> None:
    rounds = [{PROJECT: run(PROJECT, 1.0, 1.5), PEER: run(PEER, 5.0, failure="exit status 1")}] * 2
    assert starts(rounds) == {PROJECT: Start(1.0, 1.5)}
    assert start_lines(starts(rounds)) == [
        f"Starting and ending, a list of a few rows: {PROJECT} 1.0 s (1.5 s of CPU)."
    ]
    assert start_lines({}) == []


def test_the_start_can_be_taken_off_both_sides(group: Group) -> None:
    steady = without_start(group, {PROJECT: Start(0.5, 1.0), PEER: Start(5.0, 4.0)})
    assert ratios(steady, PROJECT, PEER, "images_per_s") == pytest.approx([11 / 1.5, 25 / 3.5, 10 / 2.0])
    assert ratios(steady, PEER, PROJECT, "cpu_ms_per_image") == pytest.approx([26 / 3] * 3)


def test_a_list_too_short_for_that_gives_no_ratio_without_the_start(group: Group) -> None:
    assert ratios(without_start(group, {PEER: Start(40.0, 4.0)}), PROJECT, PEER, "images_per_s") == []
