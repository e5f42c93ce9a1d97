"""What is asked of every signal: one list names it, and it can be switched off."""

from __future__ import annotations

from pathlib import Path

import pytest

from img2dataset.failures import of_text
from img2dataset.fetching import FetchSettings, consent
from img2dataset.fetching.consent import (
    HeaderSignal,
    SiteFile,
    known_headers,
    site_files,
    wanted_files,
    wanted_headers,
)
from img2dataset.fetching.consent.robots_txt import RobotsTxt
from img2dataset.fetching.consent.site_files import Consent, SiteFiles
from img2dataset.fetching.http.response_head import AnswerPolicy, read_answer

ALL = FetchSettings(consent="strict", respect_robots_txt=True, respect_tdm=True)
NONE = FetchSettings(consent="off", disallowed_header_directives=())
NO_TRAINING = HeaderSignal(
    "No-Training",
    lambda value: "no" if value == "yes" else "unknown",
    is_honoured=True,
    failure=of_text("opt-out: TDM reservation"),
)
# These refuse nothing by themselves.
RECORDED = {"rsl_license", "crawler_price"}


class NoTrainingFile:
    """A site's file of another kind, which forbids what is named in it."""

    path = "/no-training.txt"

    def parse(self, body: bytes) -> NoTrainingFile:
        self.names = body.decode().split()
        return self

    delay_s = 0.0
    more_files = ()

    def refusal(self, uri: str) -> object:
        return of_text("opt-out: robots.txt") if uri.rpartition("/")[2] in self.names else None

    def said(self, uri: str) -> list[object]:
        return []

    def refusal_without(self, failure: object) -> None:
        return None


def test_each_file_of_the_folder_is_named_in_one_list_and_can_be_switched_off() -> None:
    folder = Path(consent.__file__).parent
    makers = ("def header_signal(", "def site_file(")
    files = {path.stem for path in folder.glob("*.py") if any(each in path.read_text() for each in makers)}
    assert len(files) >= 3
    assert set(consent._IN_HEADERS) | set(consent._IN_FILES) == files
    assert (len(wanted_headers(ALL)), len(wanted_files(ALL))) == (
        len(consent._IN_HEADERS) - len(RECORDED),
        len(consent._IN_FILES),
    )
    assert (wanted_headers(NONE), wanted_files(NONE)) == ((), ())
    assert len(known_headers(NONE)) == len(consent._IN_HEADERS)


@pytest.mark.parametrize(
    "line", ["No-Training: yes", "no-training:yes", "NO-TRAINING: no\r\nNo-training: yes"]
)
def test_a_header_of_another_signal_refuses_by_its_values(line: str) -> None:
    policy = AnswerPolicy(1000, (*wanted_headers(ALL), NO_TRAINING))
    answer = read_answer(f"HTTP/1.1 200 OK\r\n{line}\r\n\r\n".encode(), policy)
    assert answer is not None
    assert answer.failure == "opt-out: TDM reservation"
    accepted = read_answer(b"HTTP/1.1 200 OK\r\nNo-Training: no\r\n\r\n", policy)
    assert accepted is not None
    assert accepted.failure is None


def test_the_files_of_several_signals_are_asked_for_one_after_the_other_and_each_may_refuse() -> None:
    other: SiteFile = NoTrainingFile()  # type: ignore[assignment]
    files: SiteFiles[str] = SiteFiles((RobotsTxt(None), other))
    uri, robots, own = (f"http://a.example/{name}" for name in ("a.jpg", "robots.txt", "no-training.txt"))
    assert files.judge(uri, 0.0) == Consent(None, robots)
    for each in "ab":
        files.wait(robots, each, 0.0)
    assert (files.to_ask(), files.to_ask()) == ([robots], [])
    files.learned(robots, b"User-agent: *\nDisallow: /b\n", None, 0.0)
    assert files.arrived(0.0) == [(robots, ["a", "b"], 0.0)]
    assert files.judge(uri, 0.0) == Consent(None, own, {robots: ()})
    files.learned(own, b"a.jpg", None, 0.0)
    assert files.judge(uri, 0.0) == Consent(of_text("opt-out: robots.txt"))
    assert files.judge("http://a.example/b.jpg", 0.0) == Consent(of_text("opt-out: robots.txt"))
    assert files.judge("http://a.example/c.jpg", 0.0) == Consent()


def test_files_that_have_allowed_a_uri_may_be_forgotten_while_it_waits_for_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Otherwise sites with large files would take each other's room, and none of their rows would begin."""
    monkeypatch.setattr(site_files, "REMEMBERED_FILES", 1)
    other: SiteFile = NoTrainingFile()  # type: ignore[assignment]
    files: SiteFiles[str] = SiteFiles((RobotsTxt(None, honours_content_rules=True), other))
    uri, robots, own, licence = (
        f"http://a.example/{name}" for name in ("a.jpg", "robots.txt", "no-training.txt", "licence.xml")
    )
    bodies = {robots: f"License: {licence}".encode(), own: b"", licence: b"<rsl/>"}
    consent, asked = files.judge(uri, 0.0), []
    while consent.ask_first and len(asked) < 10:
        asked.append(consent.ask_first)
        files.learned(consent.ask_first, bodies[consent.ask_first], None, 0.0)
        consent = files.judge(uri, 0.0, consent.judged)
    assert asked == [robots, own, licence]
    assert consent == Consent()
    assert files.judge(uri, 0.0).ask_first == robots
