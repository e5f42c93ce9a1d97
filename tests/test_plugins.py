"""Entry points of other packages: found by name, and clear words for what is missing, broken or double."""

from __future__ import annotations

import pytest

from img2dataset.errors import MissingDependency, OptionError
from img2dataset.formats import output_format
from img2dataset.plugins import ENGINES, FORMATS, load_plugin, plugin_names
from tests.installed_packages import Install


def test_what_a_package_adds_is_found_by_its_name_and_in_its_group_only(install: Install) -> None:
    install("cloud_engine", "class Cloud: pass\n", f"[{ENGINES}]\ncloud = cloud_engine:Cloud\n")
    assert plugin_names(ENGINES) == ["cloud"]
    assert plugin_names(FORMATS) == []
    assert load_plugin(ENGINES, "cloud").__name__ == "Cloud"


def test_a_name_that_nobody_adds_is_told_with_those_there_are(install: Install) -> None:
    with pytest.raises(OptionError, match=r"--distributor is 'moon', which no installed .*\(added: none\)"):
        load_plugin(ENGINES, "moon")
    install("cloud_engine", "class Cloud: pass\n", f"[{ENGINES}]\ncloud = cloud_engine:Cloud\n")
    with pytest.raises(OptionError, match=r"'moon', which .*\(added: cloud\)"):
        load_plugin(ENGINES, "moon")


def test_a_package_that_cannot_be_imported_is_named_with_its_reason(install: Install) -> None:
    install("broken", "import no_such_module\n", f"[{ENGINES}]\nbroken = broken:Engine\n")
    with pytest.raises(MissingDependency, match=r"of the package broken, .*No module named 'no_such_module'"):
        load_plugin(ENGINES, "broken")
    install("bare", "", f"[{FORMATS}]\nbare = bare:Format\n")
    with pytest.raises(MissingDependency, match=r"--output_format 'bare' is of the package bare, .*Format"):
        load_plugin(FORMATS, "bare")


def test_two_packages_with_one_name_are_both_named(install: Install) -> None:
    install("one", "class Engine: pass\n", f"[{ENGINES}]\nsame = one:Engine\n")
    install("two", "class Engine: pass\n", f"[{ENGINES}]\nsame = two:Engine\n")
    with pytest.raises(OptionError, match="'same' is added by one and two; remove one of them"):
        load_plugin(ENGINES, "same")


INCOMPLETE = """
from img2dataset.formats.format import OutputFormat

class Bare(OutputFormat):
    name = "bare"
    ending = ".bare"

class Whole(OutputFormat):
    def writer(self, settings, folder, shard, metadata): pass
    def samples(self, source, name, *, columns, with_images, findings): pass
    def images(self, path): pass

class Misnamed(Whole):
    name = "other"
    ending = ".other"
"""


@pytest.mark.parametrize(
    ("made", "message"),
    [
        ("Bare", r"whose class is no whole OutputFormat .*abstract method"),
        ("Whole", r"whose Whole must have name = 'mine' and an ending"),
        ("Misnamed", r"whose Misnamed must have name = 'mine' and an ending"),
    ],
)
def test_a_class_that_is_not_complete_is_told_in_a_line(install: Install, made: str, message: str) -> None:
    install("formats", INCOMPLETE, f"[{FORMATS}]\nmine = formats:{made}\n")
    with pytest.raises(OptionError, match=f"--output_format 'mine' is of .*{message}"):
        output_format("mine")
