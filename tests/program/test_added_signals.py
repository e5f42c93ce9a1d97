"""Signals of training that other packages add, in whole runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from img2dataset.failures import of_signal, of_text
from tests.installed_packages import Install
from tests.pictures import photograph
from tests.program.consents import said
from tests.program.contract import Maker, column
from tests.program.runs import run
from tests.servers import ImageServer

ADDED = """
from img2dataset.failures import of_signal
from img2dataset.fetching.consent import HeaderSignal, Said


class Rules:
    delay_s = 0.0
    more_files = ()

    def __init__(self, body):
        self.refused = body.decode().split()

    def refusal(self, uri):
        return of_signal("ai.txt") if any(each in uri for each in self.refused) else None

    def said(self, uri):
        return [Said("ai.txt", each, "no") for each in self.refused if each in uri]


class AiTxt:
    path = "/ai.txt"

    def __init__(self, settings=None):
        pass

    def parse(self, body):
        return Rules(body)

    def refusal_without(self, failure):
        return None


class Both:
    site_file = AiTxt

    @staticmethod
    def header_signal(settings):
        return HeaderSignal("X-Mine", lambda value: "no", True, of_signal("mine"))
"""


def test_another_package_adds_signals_that_are_asked_for_by_name(install: Install, make: Maker) -> None:
    install("spawning", ADDED, "[img2dataset.signals]\nai.txt = spawning:Both\n")
    with ImageServer() as site:
        site.put("/ai.txt", b"/private", "text/plain")
        picture = photograph(30, 30)
        urls = [site.put("/private.jpg", picture), site.put("/free.jpg", picture)]
        urls.append(site.put("/marked.jpg", picture, headers=[("X-Mine", "1")]))
        folder = make(urls, consent_signals=["ai.txt"], save_consent=True)
        assert column(folder, "error_message") == ["opt-out: signal: ai.txt", None, "opt-out: signal: mine"]
        seen = [json.loads(text or "[]") for text in column(folder, "consent")]
        assert [[(each["signal"], each["says"]) for each in row] for row in seen] == [
            [("ai.txt", "no")],
            [],
            [("x-mine", "no")],
        ]
        said(folder, "--eu_summary", folder / "summary.md")
        assert "; ai.txt, of other packages; " in (folder / "summary.md").read_text()
        assert column(make(urls), "status") == ["success"] * 3
        assert site.count("/ai.txt") == 1


def test_a_signal_that_no_package_adds_is_told(tmp_path: Path) -> None:
    result = run(url_list=tmp_path / "a.txt", output_folder=tmp_path / "out", consent_signals=["moon"])
    assert result.returncode == 2
    assert "--consent_signals has 'moon', which no installed package adds (none)" in result.stderr


@pytest.mark.parametrize("name", ["", "a b", "x" * 41, "a\n"])
def test_a_failure_of_a_signal_has_a_plain_name(name: str) -> None:
    assert of_text(of_signal("ai.txt")) == "opt-out: signal: ai.txt"
    with pytest.raises(ValueError, match="a signal's name is of letters"):
        of_signal(name)
