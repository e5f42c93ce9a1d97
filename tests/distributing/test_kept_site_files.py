"""What sites' files said is kept in the output folder: bounded, for a day; nothing of it ends a run."""

from __future__ import annotations

import gzip
import logging
import os
import random
from collections.abc import Iterable
from pathlib import Path

import pytest

from img2dataset.distributing import kept_site_files
from img2dataset.distributing.kept_site_files import ENDING, SITES_FOLDER, KeptSiteFiles
from img2dataset.distributing.site_file_lines import lines_of, mark_of, packed_lines
from img2dataset.errors import OutputError
from img2dataset.failures import of_status, of_text
from img2dataset.fetching import FetchSettings
from img2dataset.fetching.consent.answers import SiteAnswer, of_entry
from img2dataset.fetching.consent.shared_files import SharedFiles
from img2dataset.fetching.consent.site_files import KEPT_S
from img2dataset.storage.locations import locate

STRICT = FetchSettings(consent="strict", respect_robots_txt=True, respect_tdm=True)
NOW = 1_000_000.0
Said = dict[str, SiteAnswer]


def robots(host: str) -> str:
    return f"http://{host}.example/robots.txt"


def kept(
    folder: Path, member: str = "driver", now: float = NOW, settings: FetchSettings = STRICT
) -> KeptSiteFiles:
    location = locate(str(folder), "output_folder", OutputError)
    return KeptSiteFiles(location, member, settings, lambda: now)


def run(files: KeptSiteFiles, learned: Iterable[tuple[str, SiteAnswer]] = ()) -> Said:
    """What a worker of a run finds; then it learns something."""
    (descriptor,) = files.begin().values()
    shared = SharedFiles(descriptor)
    position = shared._offsets.values()
    known = [of_entry(os.pread(descriptor, 1 << 20, offset)) for offset in position]
    for uri, answer in learned:
        shared.put(uri, answer.to_entry(uri))
    files.close()
    return dict(each for each in known if each is not None)


@pytest.mark.parametrize(
    "answer",
    [
        SiteAnswer(b"User-agent: *\n\xff\xfe\x00 \xe2\x82\xac\r\n", None, NOW),
        SiteAnswer(b"", None, NOW),
        SiteAnswer(None, of_status(404), NOW),
        SiteAnswer(None, of_text("redirect: too many"), NOW),
    ],
)
def test_an_answer_comes_back_as_it_was(answer: SiteAnswer) -> None:
    lines = lines_of(packed_lines(mark_of("me"), [(robots("a"), answer)], 1 << 20), lambda uri, answer: True)
    assert [of_entry(entry) for entry in lines.entries] == [(robots("a"), answer)]
    assert (lines.user_agent, lines.newest) == (mark_of("me"), NOW)


def test_what_can_be_had_is_kept_and_what_cannot_is_not(tmp_path: Path) -> None:
    answers = {
        robots("text"): SiteAnswer(b"User-agent: *\n", None, NOW),
        robots("none"): SiteAnswer(None, of_status(404), NOW),
        robots("broken"): SiteAnswer(None, of_status(500), NOW),
        robots("gone"): SiteAnswer(None, of_text("connection: refused"), NOW),
        "http://a.example/.well-known/tdmrep.json": SiteAnswer(None, of_status(500), NOW),
        "http://a.example/license.xml": SiteAnswer(b"<rsl/>", None, NOW),
        "http://a.example/gone.xml": SiteAnswer(None, of_status(500), NOW),
    }
    assert run(kept(tmp_path), answers.items()) == {}
    for uri in (robots("broken"), robots("gone"), "http://a.example/gone.xml"):
        del answers[uri]
    assert run(kept(tmp_path)) == answers
    assert run(kept(tmp_path, now=NOW + KEPT_S - 1)) == answers
    assert run(kept(tmp_path, now=NOW + KEPT_S)) == {}
    robots_alone = FetchSettings(respect_robots_txt=True)
    assert len(run(kept(tmp_path, settings=robots_alone))) == 3


def test_a_second_pass_goes_on_from_the_first_though_the_folder_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / SITES_FOLDER).mkdir(parents=True)
    (tmp_path / SITES_FOLDER / f"driver{ENDING}" / "in the way").mkdir(parents=True)
    files, answer = kept(tmp_path), SiteAnswer(b"", None, NOW)
    assert run(files, [(robots("a"), answer)]) == {}
    assert run(files, [(robots("b"), answer)]) == {robots("a"): answer}
    assert run(files) == {robots("a"): answer, robots("b"): answer}


def test_members_read_what_others_have_left_and_remove_what_is_old(tmp_path: Path) -> None:
    answer = SiteAnswer(b"", None, NOW)
    for n in range(3):
        run(kept(tmp_path, f"rank-{n}"), [(robots(f"h{n}"), SiteAnswer(b"", None, NOW - n * KEPT_S / 2))])
    assert set(run(kept(tmp_path, "rank-3"), [(robots("h3"), answer)])) == {robots("h0"), robots("h1")}
    names = {f"rank-{n}{ENDING}" for n in (0, 1, 3)}
    assert {path.name for path in (tmp_path / SITES_FOLDER).iterdir()} == names


def test_it_is_bounded_and_the_newest_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_site_files, "MOST_BYTES", 400_000)
    monkeypatch.setattr(kept_site_files, "MOST_ENTRIES", 50)
    noise = random.Random(0)
    small = [(robots(f"s{n}"), SiteAnswer(b"#", None, NOW - 100 + n)) for n in range(60)]
    run(kept(tmp_path), small)
    assert list(run(kept(tmp_path))) == [uri for uri, _ in small[10:]]
    large = [(robots(f"l{n}"), SiteAnswer(noise.randbytes(30_000), None, NOW)) for n in range(30)]
    run(kept(tmp_path), large)
    (path,) = (tmp_path / SITES_FOLDER).iterdir()
    assert 200_000 < path.stat().st_size <= 400_000
    found = list(run(kept(tmp_path)))
    assert 3 < len(found) < 30
    assert found == [uri for uri, _ in large[-len(found) :]]


@pytest.mark.parametrize(
    "contents",
    [
        b"",
        b"\x1f\x8b",
        gzip.compress(b""),
        gzip.compress(b'{"version": 2}\n'),
        gzip.compress(b'{"version": 1, "user_agent": ""}\n{"file": "http://a.example/robots.txt"}\n'),
        gzip.compress(b'{"version": 1, "user_agent": ""}\n{"file": "x", "failure": "new", "fetched": 1}\n'),
        gzip.compress(b"[]\n"),
    ],
)
def test_what_is_broken_is_told_once_and_passed_over(
    tmp_path: Path, contents: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / SITES_FOLDER).mkdir(parents=True)
    (tmp_path / SITES_FOLDER / f"driver{ENDING}").write_bytes(contents)
    with caplog.at_level(logging.WARNING, "img2dataset"):
        assert run(kept(tmp_path), [(robots("a"), SiteAnswer(b"", None, NOW))]) == {}
    assert [record.getMessage().count("asked for again") for record in caplog.records] == [1]
    assert set(run(kept(tmp_path))) == {robots("a")}


def test_no_file_is_made_where_none_is_wanted(tmp_path: Path) -> None:
    files = kept(tmp_path, settings=FetchSettings())
    assert files.begin() == {}
    files.close()
    assert list(tmp_path.iterdir()) == []
