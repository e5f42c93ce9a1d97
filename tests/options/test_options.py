"""Options are declared once; what is derived from the declaration agrees with it."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest

from img2dataset import download
from img2dataset.errors import OptionError
from img2dataset.failures import KINDS
from img2dataset.options import Options, from_texts, help_page, option_specs, option_table, resolve
from img2dataset.plugins import ENGINES, FORMATS, LISTS
from tests.installed_packages import Install
from tests.program.contract import DEFAULTS

REPOSITORY = Path(__file__).resolve().parents[2]


def test_the_table_of_the_readme_is_the_declaration() -> None:
    readme = (REPOSITORY / "README.md").read_text()
    found = re.search(r"<!-- options: begin -->\n(.*?)<!-- options: end -->", readme, re.S)
    assert found is not None
    assert found.group(1).strip() == option_table().strip(), "run: make readme"


def test_the_signature_and_docstring_of_download_name_every_option() -> None:
    signature = inspect.signature(download)
    assert set(signature.parameters) == set(option_specs())
    assert signature.parameters["encode_quality"].default == 95
    assert signature.parameters["url_list"].default is inspect.Parameter.empty
    for name in option_specs():
        assert f"{name}:" in (download.__doc__ or "")


def test_help_all_names_every_option() -> None:
    page = help_page(everything=True)
    for name in option_specs():
        assert re.search(rf"^  --{name}\s", page, re.M)


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("256", "image_size", 256),
        ("1e4", "number_sample_per_shard", 10000),
        ("inf", "max_image_area", float("inf")),
        ("1e6", "max_image_area", 1e6),
        ("True", "skip_reencode", True),
        ("False", "extract_exif", False),
        ("None", "caption_col", None),
        ("None", "compute_hash", None),
        ("0001", "output_folder", "0001"),
        ("[]", "disallowed_header_directives", ()),
        ('["a", "b c"]', "save_additional_columns", ("a", "b c")),
        ("('a',)", "save_additional_columns", ("a",)),
        ("[a,b]", "save_additional_columns", ("a", "b")),
        ("a,b", "save_additional_columns", ("a", "b")),
        ("a", "save_additional_columns", ("a",)),
        ("\\t", "input_delimiter", "\t"),
        ("None", "input_quote", None),
    ],
)
def test_words_of_the_command_line_become_values(text: str, name: str, value: Any) -> None:
    options = resolve({"url_list": "list.csv", "input_format": "csv", **from_texts({name: text})})
    assert getattr(options, name) == value


@pytest.mark.parametrize(
    "wrong",
    [
        {"image_size": True},
        {"image_size": "256px"},
        {"image_size": 1.5},
        {"image_size": None},
        {"timeout": float("nan")},
        {"timeout": float("inf")},
        {"timeout": 0},
        {"timeout": 0.0005},
        {"deadline": -1.0},
        {"thread_count": 0},
        {"max_download_bytes": 0},
        {"minimum_speed": -1},
        {"retries": -1},
        {"network_patience": -1},
        {"network_patience": float("inf")},
        {"max_connections_per_host": -1},
        {"max_requests_per_second_per_host": 0.0},
        {"max_requests_per_second_per_host": float("inf")},
        {"max_retry_after": -1.0},
        {"user_agent": "a\r\nX-Injected: 1"},
        {"user_agent_token": "bot\n"},
        {"contact": "me@example.org\r\nX: 1"},
        {"dns": "magic"},
        {"private_addresses": "maybe"},
        {"skip_reencode": 2},
        {"skip_reencode": "maybe"},
        {"skip_reencode": 0.5},
        {"save_additional_columns": "similarity"},
        {"save_additional_columns": [1]},
        {"save_additional_columns": ["key"]},
        {"save_additional_columns": ["a", "a"]},
        {"verify_hash": ["md5", "crc"]},
        {"verify_hash": ["md5", "md5"], "compute_hash": None},
        {"user_agent_token": "two\nlines"},
        {"input_columns": ["url"]},
        {"input_delimiter": "||", "input_format": "csv"},
        {"url_list": ""},
        {"url_list": None},
        {"output_folder": " "},
        {"encode_format": "png", "encode_quality": 10},
        {"hugging_face_images": True},
        {"incremental_mode": "new_only", "output_format": "dummy"},
        {"save_additional_columns": ["jpg"], "output_format": "parquet"},
        {"save_additional_columns": ["txt"], "output_format": "tfrecord"},
        {"bbox_col": "boxes", "disable_all_reencoding": True},
        {"dns_max_ttl": -1.0},
    ],
)
def test_wrong_values_are_refused_in_one_line_that_names_the_option(wrong: dict[str, Any]) -> None:
    with pytest.raises(OptionError) as refusal:
        resolve({"url_list": "list.txt", **wrong})
    message = str(refusal.value)
    assert "\n" not in message
    assert any(f"--{name}" in message for name in wrong)


@pytest.mark.parametrize(
    ("wrong", "bound"),
    [
        ({"body_memory": 5}, "at least 1000000"),
        ({"thread_count": 0}, "from 1 to 20000"),
        ({"max_image_area": 0}, "above 0"),
    ],
)
def test_a_bound_is_shown_as_it_is_typed(wrong: dict[str, Any], bound: str) -> None:
    with pytest.raises(OptionError, match=f"{bound}( or None)?$"):
        resolve({"url_list": "list.txt", **wrong})


def test_a_very_long_value_does_not_make_a_very_long_message() -> None:
    with pytest.raises(OptionError) as refusal:
        resolve({"url_list": "list.txt", "resize_mode": "x" * 10000})
    assert len(str(refusal.value)) < 300


def test_png_has_a_compression_of_its_own_when_none_is_given() -> None:
    assert resolve({"url_list": "list.txt", "encode_format": "png"}).encode_quality == 6
    assert (
        resolve({"url_list": "list.txt", "encode_format": "webp", "encode_quality": 101}).encode_quality
        == 101
    )


def test_defaults_are_those_users_know() -> None:
    options = resolve({"url_list": "list.txt"})
    known = {name: value for name, value in DEFAULTS.items() if name not in ("url_list", "processes_count")}
    for name, value in known.items():
        assert getattr(options, name) == value, name
    assert isinstance(options, Options)


@pytest.mark.parametrize("wrong", ["timeouts", "http 404", "dns", "", "5xx"])
def test_a_class_of_failures_that_there_is_not_is_refused(wrong: str) -> None:
    with pytest.raises(OptionError, match="retry_classes has"):
        resolve({"url_list": "l", "retry_classes": ["timeout", wrong]})


def test_classes_of_failures_are_shown_as_they_are_typed() -> None:
    spec = option_specs()["retry_classes"]
    typed = from_texts({"retry_classes": spec.default_text})["retry_classes"]
    assert resolve({"url_list": "l", "retry_classes": typed}).retry_classes == tuple(typed)
    assert set(typed) <= set(spec.default)


def test_every_failure_there_is_may_be_taken_again() -> None:
    texts = {kind.text.strip(": ") for kind in KINDS}
    for text in texts:
        assert resolve({"url_list": "l", "retry_classes": [text, text.partition(":")[0]]})


@pytest.mark.parametrize(
    ("name", "group", "built_in"),
    [
        ("output_format", FORMATS, "webdataset"),
        ("input_format", LISTS, "parquet"),
        ("distributor", ENGINES, "multiprocessing"),
    ],
)
def test_a_name_that_an_installed_package_adds_is_a_choice(
    install: Install, name: str, group: str, built_in: str
) -> None:
    with pytest.raises(OptionError, match=f"--{name} is 'mine'; it takes .*{built_in}"):
        resolve({"url_list": "l", name: "mine"})
    install("mine", "class Mine: pass\n", f"[{group}]\nmine = mine:Mine\n")
    assert getattr(resolve({"url_list": "l", name: "mine"}), name) == "mine"
    with pytest.raises(OptionError, match=f"--{name} is 'min'; it takes .*{built_in}.*, mine"):
        resolve({"url_list": "l", name: "min"})
    assert "mine" not in option_table()
