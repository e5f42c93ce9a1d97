"""The live page in a real browser follows a run from its start to its end, and all people can use it."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import threading
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.chromium import Browser
from tests.pictures import photograph
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


STATE = "document.getElementById('state').textContent"
SHOWN = "document.querySelector('#samples figure img') !== null"


def texts(browser: Browser, selector: str) -> list[str]:
    found: list[str] = browser.evaluate(
        f"[...document.querySelectorAll('{selector}')].map((element) => element.textContent)"
    )
    return found


def numbers(browser: Browser) -> dict[str, int]:
    """The rows that the page shows, by what became of them."""
    shown = (text.partition(" ") for text in texts(browser, "#parts-text li"))
    return {what: int(number.replace(",", "")) for number, _, what in shown}


def test_the_page_follows_a_run_from_start_to_end(tmp_path: Path, image_server: ImageServer) -> None:
    # The last row is answered once the page has been seen in the middle of the run.
    gate, rows = f"/later/{uuid4().hex}", ROWS + 1
    held = options(tmp_path, image_server, dashboard=True, timeout=250, deadline=250)
    with open(held["url_list"], "a") as file:
        file.write(f"{image_server.url(gate)},the last\n")
    process = start(**held)
    try:
        address = first_address(process)
        with Browser() as browser:
            browser.open(address)
            browser.wait(f"{STATE} === 'running'")
            browser.wait("/^[1-9]/.test(document.getElementById('parts-text').textContent)")
            during = numbers(browser)
            image_server.put(gate, photograph(80, 60))
            browser.wait(f"{STATE} === 'ended'")
            after = numbers(browser)
            assert process.wait(120) == 0
            # It outlives its server: the images are in it.
            browser.wait("[...document.images].length > 0")
            browser.wait("[...document.images].every((image) => image.naturalWidth > 0)")
            text = browser.evaluate("document.querySelector('main').textContent")
            assert (browser.errors, browser.evaluate("document.title")[:4]) == ([], "100.")
            hosts = {request.split("/")[2] for request in browser.requests if request.startswith("http")}
            assert hosts == {address.split("/")[2]}
    finally:
        process.kill()
    expected = statistics(tmp_path / "out")
    assert 0 < sum(during.values()) < rows
    assert after == {
        "succeeded": expected["successes"],
        "failed to resize": expected["failed_to_resize"],
        "failed to download": expected["failed_to_download"],
    }
    assert f"{rows} of {rows} rows" in text
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
    assert process.wait(120) == 0


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_people_can_use_the_page(watched: str, width: int, scheme: str, tmp_path: Path) -> None:
    with Browser() as browser:
        browser.open(watched, width=width, scheme=scheme)
        browser.wait(SHOWN)
        assert browser.accessibility_problems(("minor", "moderate", "serious", "critical")) == []
        assert browser.evaluate("document.documentElement.scrollWidth") <= width
        browser.screenshot(tmp_path / "page.png")
        assert browser.errors == []


def test_what_strangers_wrote_is_text_and_the_page_is_used_with_the_keyboard(watched: str) -> None:
    with Browser() as browser:
        browser.open(watched)
        browser.wait(SHOWN)
        captions = texts(browser, "#samples figcaption")
        assert all("<script>" in caption and "onerror" in caption for caption in captions)
        assert "owned" not in browser.evaluate("document.title")
        assert browser.evaluate("document.querySelectorAll('#samples img').length") == len(captions) == 24
        browser.wait("[...document.images].every((image) => image.naturalWidth > 0)")
        browser.press("Tab")
        assert browser.evaluate("document.activeElement.id") == "pause"
        browser.press("Enter")
        assert browser.evaluate("document.activeElement.getAttribute('aria-pressed')") == "true"
