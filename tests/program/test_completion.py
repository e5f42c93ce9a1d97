"""``img2dataset -- --completion``: the shell completes every option, as Fire had it for 1.47.0."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from img2dataset.options import option_specs
from tests.program.runs import COMMAND


def completed(script: str, *words: str) -> set[str]:
    """What bash offers for the last of ``words``."""
    given = " ".join(f"'{word}'" for word in words)
    lines = [script, f"COMP_WORDS=({given}); COMP_CWORD={len(words) - 1}", "_complete-img2dataset"]
    shell = [*lines, 'printf "%s\\n" "${COMPREPLY[@]}"']
    done = subprocess.run(["bash", "-c", "\n".join(shell)], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
@pytest.mark.parametrize("words", [[], ["bash"]])
def test_bash_completes_every_option(words: list[str]) -> None:
    done = subprocess.run([COMMAND, "--", "--completion", *words], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert completed(done.stdout, "img2dataset", "--image-s") == {"--image-size"}
    every = {"--" + name.replace("_", "-") for name in option_specs()}
    assert completed(done.stdout, "img2dataset", "--") >= every


def test_fish_has_a_script_of_its_own_and_other_shells_are_refused_in_one_line() -> None:
    fish = subprocess.run([COMMAND, "--", "--completion", "fish"], capture_output=True, text=True)
    assert "function __fish_using_command" in fish.stdout
    other = subprocess.run([COMMAND, "--", "--completion", "zsh"], capture_output=True, text=True)
    assert other.returncode == 2
    assert other.stderr == "img2dataset: --completion is 'zsh'; it takes bash or fish\n"
