"""A real browser for pages: headless Chromium, told what to do over a pipe (Chrome DevTools Protocol).

Tests that need it are skipped where Chromium is missing (Debian's package is ``chromium``). It reaches
loopback addresses alone: whatever else a page asks for would be an error here and is listed in ``requests``.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest

PATIENCE_S = 120.0
_FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1", "--remote-debugging-pipe"),
)


class Browser:
    """One page in Chromium, from the beginning of the ``with`` block to its end.

    Attributes:
        requests: the URLs that were asked for, those of data left out.
        errors: what scripts threw, and what the page's policy forbade.
    """

    def __init__(self) -> None:
        command = shutil.which("chromium") or shutil.which("chromium-browser")
        if command is None:
            pytest.skip("Chromium is not installed (Debian's package: chromium)")
        self.requests: list[str] = []
        self.errors: list[str] = []
        self._profile = tempfile.mkdtemp(prefix="chromium-")
        told, self._tell = os.pipe()
        self._hear, said = os.pipe()
        # Chromium reads from descriptor 3 and writes to 4.
        script = f'exec "$0" "$@" 3<&{told} 4>&{said}'
        self._process = subprocess.Popen(
            ["bash", "-c", script, command, *_FLAGS, f"--user-data-dir={self._profile}", "about:blank"],
            pass_fds=(told, said),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(told)
        os.close(said)
        self._held = b""
        self._number = 0
        self._session: str | None = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def __enter__(self) -> Browser:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait(120)
        os.close(self._tell)
        os.close(self._hear)
        shutil.rmtree(self._profile, ignore_errors=True)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Do one thing of the protocol, and hear what comes of it."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._tell, json.dumps(message).encode() + b"\0")
        while True:
            heard = self._next()
            if heard.get("id") == self._number:
                assert "error" not in heard, f"{method}: {heard['error']}"
                result: dict[str, Any] = heard["result"]
                return result
            self._note(heard)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._held:
            block = os.read(self._hear, 1 << 20)
            assert block, "Chromium has ended"
            self._held += block
        message, _, self._held = self._held.partition(b"\0")
        found: dict[str, Any] = json.loads(message)
        return found

    def _note(self, event: dict[str, Any]) -> None:
        method, values = event.get("method"), event.get("params", {})
        if method == "Network.requestWillBeSent":
            url = values["request"]["url"]
            if not url.startswith("data:"):
                self.requests.append(url)
        elif method == "Runtime.exceptionThrown":
            self.errors.append(str(values["exceptionDetails"]))
        elif method == "Log.entryAdded" and values["entry"]["level"] == "error":
            self.errors.append(values["entry"]["text"])

    def open(self, url: str | Path, *, width: int = 1280, scheme: str = "light") -> None:
        """Show a page, as wide as this, for someone who prefers ``light`` or ``dark``."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", features=features)
        is_phone = width < 600
        self.call(
            "Emulation.setDeviceMetricsOverride",
            **{"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": is_phone},
        )
        self.call("Page.navigate", url=url.as_uri() if isinstance(url, Path) else url)
        self.wait("document.readyState == 'complete' && location.href != 'about:blank'")

    def evaluate(self, expression: str) -> Any:
        """The value of an expression of JavaScript in the page; promises are waited for."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def wait(self, expression: str) -> None:
        """Wait until this is true in the page."""
        until = time.monotonic() + PATIENCE_S
        while not self.evaluate(expression):
            assert time.monotonic() < until, f"not in {PATIENCE_S:.0f} s: {expression}"
            time.sleep(0.05)

    def press(self, key: str) -> None:
        """Press a key: ``Tab``, ``Enter``, ``ArrowRight``, ``Escape``."""
        codes = {"Tab": 9, "Enter": 13, "Escape": 27, "ArrowLeft": 37, "ArrowRight": 39}
        text = {"text": "\r"} if key == "Enter" else {}
        values = {"key": key, "code": key, "windowsVirtualKeyCode": codes[key]}
        self.call("Input.dispatchKeyEvent", type="keyDown", **values, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", **values)

    def screenshot(self, path: Path, *, whole: bool = True) -> Path:
        """A picture of the page as PNG."""
        found = self.call("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(found["data"]))
        return path

    def accessibility_problems(self, impacts: Sequence[str] = ("serious", "critical")) -> list[str]:
        """What axe-core finds serious or critical in the page, in both senses of the word: none is right."""
        # Past the page's own policy, as a browser's extension is.
        self.evaluate(_axe())
        found = self.evaluate(
            "axe.run({resultTypes: ['violations']}).then(r => JSON.stringify(r.violations))"
        )
        return [
            f"{each['id']}: {each['help']}: {each['nodes'][0]['html'][:200]}"
            for each in json.loads(found)
            if each["impact"] in impacts
        ]


def _axe() -> str:
    """axe-core, by npm; it is kept for the next time."""
    folder = Path(tempfile.gettempdir()) / "img2dataset-tests-axe"
    script = folder / "node_modules/axe-core/axe.min.js"
    if not script.exists():
        if shutil.which("npm") is None:
            pytest.skip("npm is not installed, which axe-core comes by")
        # Beside its place, and moved there whole: other tests may install it at the same time.
        new = Path(tempfile.mkdtemp(prefix=f"{folder.name}-"))
        command = ["npm", "install", "--silent", "--prefix", str(new), "axe-core@4"]
        try:
            installed = subprocess.run(command, capture_output=True, timeout=240).returncode == 0
        except subprocess.TimeoutExpired:
            installed = False
        if installed:
            with contextlib.suppress(OSError):  # others were faster
                new.rename(folder)
        shutil.rmtree(new, ignore_errors=True)
        if not script.exists():
            pytest.skip("axe-core cannot be installed by npm")
    return script.read_text()
