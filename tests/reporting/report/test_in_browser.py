"""Reports in a real browser: numbers, pictures, keyboard, no request, and strangers' scripts as text."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.chromium import Browser
from tests.reporting.report.datasets import HOSTILE, rows_of, write_shard
from tests.reporting.report.test_report import command


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with Browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def document(output: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((output / "report.json").read_text())
    return found


def shown_of(browser: Browser, selector: str) -> list[str]:
    found: list[str] = browser.evaluate(
        f"[...document.querySelectorAll({json.dumps(selector)})].map(each => each.textContent)"
    )
    return found


def test_it_asks_for_nothing_and_breaks_nowhere(browser: Browser, output: Path) -> None:
    browser.requests.clear()
    browser.open(output / "report.html")
    assert browser.requests == [(output / "report.html").as_uri()]
    assert browser.errors == []
    assert browser.evaluate("document.title") == f"{output} – img2dataset report"
    assert browser.evaluate("document.getElementById('intruder')") is None
    assert browser.evaluate("document.querySelectorAll('main section').length") >= 10


def test_totals_are_those_of_the_document(browser: Browser, output: Path, document: dict[str, Any]) -> None:
    browser.open(output / "report.html")
    tiles = dict(zip(shown_of(browser, ".tile dt"), shown_of(browser, ".tile dd:not(.more)"), strict=True))
    totals = document["totals"]
    assert tiles["rows"] == f"{totals['rows']:,}"
    assert tiles["images"] == f"{totals['successes']:,}"
    assert tiles["failed to download"] == f"{totals['failed_to_download']:,}"
    assert tiles["failed to resize"] == f"{totals['failed_to_resize']:,}"
    titles = shown_of(browser, ".findings h3")
    assert titles == [finding["title"] for finding in document["findings"]]


def test_images_open_at_a_click_and_by_the_keyboard(
    browser: Browser, output: Path, document: dict[str, Any]
) -> None:
    browser.open(output / "report.html")
    shown = "document.getElementById('sample').open"
    buttons = "[...document.querySelectorAll('.sheet button')]"
    facts = "document.querySelector('#sample .facts').innerText"
    sample = document["sample"]
    assert len(shown_of(browser, ".sheet button")) == 64
    decoded = "[...document.querySelectorAll('.sheet img')]"
    browser.evaluate(f"{decoded}.forEach(each => each.loading = 'eager')")
    browser.wait(f"{decoded}.every(each => each.complete && each.naturalWidth > 0)")
    assert not browser.evaluate(shown)
    browser.evaluate("document.querySelectorAll('.sheet button')[5].click()")
    assert browser.evaluate(shown)
    assert sample[5]["row"]["url"] in browser.evaluate(facts)
    browser.press("ArrowRight")
    assert sample[6]["row"]["url"] in browser.evaluate(facts)
    browser.press("ArrowLeft")
    browser.press("ArrowLeft")
    assert sample[4]["row"]["url"] in browser.evaluate(facts)
    browser.press("Escape")
    assert not browser.evaluate(shown)
    # A dialog tells that it was closed in a later turn of the page's loop.
    browser.wait(f"{buttons}.indexOf(document.activeElement) == 4")
    browser.press("Tab")
    browser.press("Enter")
    assert browser.evaluate(shown)
    assert sample[5]["row"]["url"] in browser.evaluate(facts)


def test_what_strangers_wrote_is_text_in_the_open_image_too(
    browser: Browser, output: Path, document: dict[str, Any]
) -> None:
    browser.open(output / "report.html")
    seen = set()
    for number, each in enumerate(document["sample"]):
        browser.evaluate(f"document.querySelectorAll('.sheet button')[{number}].click()")
        cells = shown_of(browser, "#sample .facts td")
        caption = each["row"].get("caption")
        if caption in HOSTILE:
            seen.add(caption)
            assert any(cell == caption for cell in cells) or "\\x1b" in " ".join(cells)
        assert each["row"]["author"] in cells
        browser.evaluate("document.getElementById('sample').close()")
    assert len(seen) >= 4
    assert browser.errors == []
    assert browser.evaluate("document.title").startswith(str(output))
    assert browser.evaluate("document.querySelectorAll('script').length") == 1
    assert browser.evaluate("document.getElementById('intruder')") is None


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_cut_off_and_everybody_can_read_it(
    browser: Browser, output: Path, width: int, scheme: str
) -> None:
    browser.open(output / "report.html", width=width, scheme=scheme)
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    assert browser.accessibility_problems() == []
    browser.evaluate("document.querySelector('.sheet button').click()")
    assert browser.accessibility_problems() == []


@pytest.mark.parametrize("width", [1280, 390])
def test_a_comparison_is_as_readable(browser: Browser, tmp_path: Path, width: int) -> None:
    urls = [f"http://a.example/{n}/{HOSTILE[n % 3]}" for n in range(9)]
    write_shard(tmp_path / "a", 0, rows_of(urls, {urls[0]: "HTTP 503"}))
    write_shard(tmp_path / "b", 0, rows_of(urls, dict.fromkeys(urls[3:6], HOSTILE[0])))
    assert command(tmp_path / "a", tmp_path / "b").returncode == 0
    browser.open(tmp_path / "b/comparison.html", width=width)
    tiles = dict(zip(shown_of(browser, ".tile dt"), shown_of(browser, ".tile dd:not(.more)"), strict=True))
    assert (tiles["rotted"], tiles["came back"], tiles["images in both"]) == ("3", "1", "5")
    assert urls[3] in shown_of(browser, ".urls li")
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    assert browser.accessibility_problems() == []
    assert browser.errors == []
