"""The commands beside the run itself refuse wrong words alike: one line, safe to print, with the way out."""

from __future__ import annotations

import subprocess

import pytest

from tests.program.runs import COMMAND

OF_OUTPUTS = ("status", "watch", "inspect", "report", "verify")
COMMANDS = (*OF_OUTPUTS, "caption")


def said(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([COMMAND, *words], capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("command", COMMANDS)
def test_words_that_are_none_are_one_line_with_the_way_out(command: str) -> None:
    for words in ([], ["out", "--no_such_word"]):
        done = said(command, *words)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
        assert f"img2dataset {command} --help says how" in done.stderr


@pytest.mark.parametrize("command", OF_OUTPUTS)
def test_a_folder_that_is_not_there_is_one_line_without_escapes_of_a_terminal(command: str) -> None:
    done = said(command, "no\x1b[31m folder")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "\x1b" not in done.stderr
    assert "folder" in done.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_a_page_of_eighty_columns(command: str) -> None:
    done = said(command, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"usage: img2dataset {command} ")
    assert max(map(len, done.stdout.splitlines())) <= 80
