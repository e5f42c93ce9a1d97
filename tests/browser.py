"""A real Chromium without a window, for the pages of this program; and axe-core: can all people use them?

``with browser.page(width, dark) as seen: seen.page.goto(...)``; what went wrong in the page is in
``seen.errors``, what it asked for in ``seen.requests``.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

# Where `make .venv/.pages` puts it.
AXE = Path(__file__).resolve().parents[1] / ".venv/pages/node_modules/axe-core/axe.min.js"
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")


@dataclass
class Seen:
    """A page in the browser, and what happened in it."""

    page: Any
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def wait_until(self, expression: str, seconds: float = 60) -> None:
        """Wait until an expression is true. Asked from here: the page's own policy forbids ``eval`` in it."""
        deadline = time.monotonic() + seconds
        while not self.page.evaluate(expression):
            assert time.monotonic() < deadline, f"not within {seconds} s: {expression}"
            time.sleep(0.1)

    def failings(self) -> list[str]:
        """What axe-core finds wrong with the page as it is now."""
        if not AXE.exists():
            pytest.skip("axe-core is not installed: make .venv/.pages, which needs npm")
        self.page.evaluate(AXE.read_text())
        results = self.page.evaluate("axe.run()")
        return [f"{each['id']}: {each['nodes'][0]['html'][:200]}" for each in results["violations"]]


class Browser:
    """Opens pages."""

    def __init__(self, chromium: Any) -> None:
        self._chromium = chromium

    @contextlib.contextmanager
    def page(self, width: int = 1280, dark: bool = False, height: int = 900) -> Iterator[Seen]:
        """A page of its own, without anything of another one."""
        context = self._chromium.new_context(
            viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light"
        )
        try:
            context.set_default_timeout(15_000)
            seen = Seen(context.new_page())
            seen.page.on("pageerror", lambda error: seen.errors.append(str(error)))
            seen.page.on(
                "console",
                lambda message: seen.errors.append(message.text) if message.type == "error" else None,
            )
            seen.page.on("request", lambda request: seen.requests.append(request.url))
            yield seen
        finally:
            context.close()


@contextlib.contextmanager
def started_browser() -> Iterator[Browser]:
    """A browser that is started, and ended; skips where there is none."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed: it is in the extra dev"
    )
    path = next((found for name in CHROMIUM if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip("Chromium is not installed; on Debian: apt-get install chromium")
    # Root cannot use its sandbox, which is no part of what is tested.
    flags = ["--no-sandbox"] if os.geteuid() == 0 else []
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=path, args=flags)
        try:
            yield Browser(chromium)
        finally:
            chromium.close()
