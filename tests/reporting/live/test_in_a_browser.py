"""The live page in a real browser follows a run from its start to its end, and all people can use it."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.browser import Browser
from tests.program.runs import COMMAND, run, serve_photographs, start
from tests.servers import ImageServer

ROWS, SHARD_ROWS = 300, 50
# What a stranger may write into a list: a script in every place that is shown.
HOSTILE = "<img src=x onerror=document.title='owned'><script>document.title='owned'</script>\x1b[31m red"


def write_list(path: Path, server: ImageServer, rows: int = ROWS) -> Path:
    addresses = serve_photographs(server, 12)
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["url", "caption"])
        for row in range(rows):
            address = f"{addresses[row % 12]}?{row}" if row % 6 else server.url(f"/missing/{row}.jpg")
            writer.writerow([address, f"picture {row} {HOSTILE}"])
    return path


def options(folder: Path, server: ImageServer, **others: Any) -> dict[str, Any]:
    usual: dict[str, Any] = {
        "url_list": write_list(folder / "list.csv", server),
        "input_format": "csv",
        "caption_col": "caption",
        "output_folder": folder / "out",
        "output_format": "webdataset",
        "number_sample_per_shard": SHARD_ROWS,
        "processes_count": 1,
    }
    return usual | others


def statistics(folder: Path) -> dict[str, int]:
    documents = [json.loads(path.read_text()) for path in folder.glob("*_stats.json")]
    names = ("count", "successes", "failed_to_download", "failed_to_resize")
    return {name: sum(document[name] for document in documents) for name in names}


def first_address(process: subprocess.Popen[str]) -> str:
    """The address that a run prints; what else it says is read on, so that it never waits for its reader."""
    assert process.stderr is not None
    for line in process.stderr:
        if match := re.search(r"http://127\.0\.0\.1:\d+/\?token=\S+", line):
            threading.Thread(target=list, args=(process.stderr,), daemon=True).start()
            return match[0]
    raise AssertionError("no address of a page was printed")


def numbers(page: Any) -> dict[str, int]:
    """The rows that the page shows, by what became of them."""
    texts = page.locator("#parts-text li").all_inner_texts()
    return {text.partition(" ")[2]: int(text.partition(" ")[0].replace(",", "")) for text in texts}


def test_the_page_follows_a_run_from_start_to_end(
    tmp_path: Path, image_server: ImageServer, browser: Browser
) -> None:
    slow = options(tmp_path, image_server, dashboard=True, max_requests_per_second_per_host=40)
    process = start(**slow)
    try:
        address = first_address(process)
        with browser.page() as seen:
            seen.page.goto(address)
            seen.wait_until("document.getElementById('state').textContent === 'running'", 30)
            seen.wait_until("/^[1-9]/.test(document.getElementById('parts-text').textContent)", 60)
            during = numbers(seen.page)
            seen.wait_until("document.getElementById('state').textContent === 'ended'", 120)
            after = numbers(seen.page)
            text = seen.page.inner_text("main")
            assert (seen.errors, seen.page.title()[:4]) == ([], "100.")
            hosts = {request.split("/")[2] for request in seen.requests if request.startswith("http")}
            assert hosts == {address.split("/")[2]}
    finally:
        assert process.wait(60) == 0
    expected = statistics(tmp_path / "out")
    assert 0 < sum(during.values()) < ROWS
    assert after == {
        "succeeded": expected["successes"],
        "failed to resize": expected["failed_to_resize"],
        "failed to download": expected["failed_to_download"],
    }
    assert f"{ROWS} of {ROWS} rows" in text
    assert "HTTP 404" in text


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory, image_server: ImageServer) -> Any:
    """The address of a page of a run that has ended."""
    folder = tmp_path_factory.mktemp("watched")
    assert run(**options(folder, image_server)).returncode == 0
    process = subprocess.Popen([COMMAND, "watch", str(folder / "out")], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    yield process.stdout.readline().strip()
    process.terminate()
    assert process.wait(30) == 0


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("dark", [False, True])
def test_all_people_can_use_the_page(
    watched: str, browser: Browser, width: int, dark: bool, tmp_path: Path
) -> None:
    with browser.page(width, dark) as seen:
        seen.page.goto(watched)
        seen.page.wait_for_selector("#samples figure img")
        assert seen.failings() == []
        assert seen.page.evaluate("document.documentElement.scrollWidth") <= width
        seen.page.screenshot(path=str(tmp_path / "page.png"), full_page=True)
        assert seen.errors == []


def test_what_strangers_wrote_is_text(watched: str, browser: Browser) -> None:
    with browser.page() as seen:
        seen.page.goto(watched)
        seen.page.wait_for_selector("#samples figure img")
        captions = seen.page.locator("#samples figcaption").all_inner_texts()
        assert all("<script>" in caption and "onerror" in caption for caption in captions)
        assert "owned" not in seen.page.title()
        assert seen.page.locator("#samples img").count() == len(captions) == 24
        # They are shown: the browser has decoded them.
        seen.page.evaluate(
            "document.querySelectorAll('img').forEach((image) => { image.loading = 'eager'; })"
        )
        seen.wait_until("[...document.images].every((image) => image.naturalWidth > 0)")


def test_the_page_can_be_used_with_the_keyboard_and_paused(watched: str, browser: Browser) -> None:
    with browser.page() as seen:
        seen.page.goto(watched)
        seen.page.wait_for_selector("#samples figure img")
        seen.page.keyboard.press("Tab")
        assert seen.page.evaluate("document.activeElement.id") == "pause"
        seen.page.keyboard.press("Enter")
        assert seen.page.get_attribute("#pause", "aria-pressed") == "true"
