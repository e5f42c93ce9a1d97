"""Options by position, in 1.47.0's order, and the ways in which its users say values."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from img2dataset import download
from img2dataset.errors import OptionError
from img2dataset.options import POSITIONS, by_name, option_specs, resolve
from tests.servers import ImageServer

# What inspect.signature(img2dataset.download) of 1.47.0 says.
ORDER = [
    "url_list",
    "image_size",
    "output_folder",
    "processes_count",
    "resize_mode",
    "resize_only_if_bigger",
    "upscale_interpolation",
    "downscale_interpolation",
    "encode_quality",
    "encode_format",
    "skip_reencode",
    "output_format",
    "input_format",
    "url_col",
    "caption_col",
    "bbox_col",
    "thread_count",
    "number_sample_per_shard",
    "extract_exif",
    "save_additional_columns",
    "timeout",
    "enable_wandb",
    "wandb_project",
    "oom_shard_count",
    "compute_hash",
    "verify_hash",
    "distributor",
    "subjob_size",
    "retries",
    "disable_all_reencoding",
    "min_image_size",
    "max_image_area",
    "max_aspect_ratio",
    "incremental_mode",
    "max_shard_retry",
    "user_agent_token",
    "disallowed_header_directives",
]


def test_the_order_is_that_of_1_47_0_and_other_options_go_by_name_only() -> None:
    parameters = inspect.signature(download).parameters
    placed = [name for name, one in parameters.items() if one.kind is one.POSITIONAL_OR_KEYWORD]
    assert placed == ORDER == list(POSITIONS)
    assert {name for name, one in parameters.items() if one.kind is one.KEYWORD_ONLY} == set(
        option_specs()
    ) - set(ORDER)


def test_download_takes_options_by_position(contract_list: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    summary = download(contract_list, 64, str(out), 1, "keep_ratio", thread_count=4)
    assert summary.successes == 1
    assert (out / "00000" / "000000000.jpg").exists()


@pytest.fixture
def contract_list(image_server: ImageServer, tmp_path: Path) -> str:
    from tests.pictures import photograph

    (tmp_path / "l.txt").write_text(image_server.put("/positions/a.jpg", photograph(120, 90)) + "\n")
    return str(tmp_path / "l.txt")


def test_a_call_that_names_an_option_twice_or_has_too_many_is_refused() -> None:
    with pytest.raises(OptionError, match="image_size is given twice"):
        by_name(("a", 1), {"image_size": 2})
    with pytest.raises(OptionError, match="name the others"):
        by_name(("a",) * (len(POSITIONS) + 1), {})


BOOLEANS = [name for name, spec in option_specs().items() if spec.kind == "boolean"]
TRUE = (True, 1, np.True_, np.int64(1), "true", "True", "TRUE", "yes", "Yes", "1", " true ")
FALSE = (False, 0, np.False_, np.int32(0), "false", "False", "FALSE", "no", "NO", "0")


@pytest.mark.parametrize("name", BOOLEANS)
def test_a_boolean_may_be_said_in_many_ways(name: str) -> None:
    for said, meant in [*((said, True) for said in TRUE), *((said, False) for said in FALSE)]:
        options = {"url_list": "l", "output_format": "parquet", name: said}
        assert getattr(resolve(options), name) is meant, said


@pytest.mark.parametrize(
    ("name", "said", "meant"),
    [
        ("image_size", "256", 256),
        ("image_size", np.int64(300), 300),
        ("image_size", 300.0, 300),
        ("number_sample_per_shard", "1e4", 10000),
        ("timeout", "2.5", 2.5),
        ("timeout", np.float32(2.5), 2.5),
        ("max_image_area", "inf", float("inf")),
        ("retries", " 3 ", 3),
    ],
)
def test_a_number_may_be_said_in_many_ways(name: str, said: Any, meant: float) -> None:
    value = getattr(resolve({"url_list": "l", name: said}), name)
    assert value == meant
    assert type(value) is type(meant)


def test_whole_numbers_that_floats_cannot_hold_are_kept() -> None:
    assert resolve({"url_list": "l", "max_download_bytes": str(2**60 + 1)}).max_download_bytes == 2**60 + 1


@pytest.mark.parametrize(
    ("given", "name", "value"),
    [
        ({"image_size": (1024, 1024), "resize_mode": "no"}, "image_size", 256),
        ({"image_size": None, "resize_mode": "no"}, "image_size", 256),
        ({"image_size": -5, "resize_mode": "no"}, "image_size", 256),
        ({"save_additional_columns": ["n"]}, "save_additional_columns", None),
        ({"save_additional_columns": ["n"], "input_format": "txt.gz"}, "save_additional_columns", None),
        ({"verify_hash": ["h", "sha256"]}, "verify_hash", None),
        ({"encode_quality": 200}, "encode_quality", 100),
        ({"encode_quality": -1}, "encode_quality", 0),
        ({"encode_quality": -1, "encode_format": "webp"}, "encode_quality", 0),
        ({"subjob_size": 0}, "subjob_size", 1000),
        ({"wandb_project": None}, "wandb_project", "img2dataset"),
    ],
)
def test_what_1_47_0_took_and_did_not_use_is_a_warning(
    given: dict[str, Any], name: str, value: Any, caplog: pytest.LogCaptureFixture
) -> None:
    assert getattr(resolve({"url_list": "l.txt", **given}), name) == value
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert name in record.getMessage()


def test_what_is_used_is_not_set_aside(caplog: pytest.LogCaptureFixture) -> None:
    given = {"input_format": "csv", "save_additional_columns": ["n"], "verify_hash": ["h", "sha256"]}
    options = resolve({"url_list": "l.csv", "encode_format": "webp", "encode_quality": 101, **given})
    assert (options.save_additional_columns, options.verify_hash) == (("n",), ("h", "sha256"))
    assert options.encode_quality == 101
    assert resolve({"url_list": "l", "resize_mode": "no", "image_size": "300"}).image_size == 300
    assert not caplog.records


def test_a_size_that_is_used_is_checked() -> None:
    for size in ((1024, 1024), None, -5, "big"):
        with pytest.raises(OptionError, match="image_size"):
            resolve({"url_list": "l", "image_size": size})


def test_directives_may_be_a_text() -> None:
    for said, meant in (("[]", ()), ("noai", ("noai",)), ("[noai,noindex]", ("noai", "noindex"))):
        options = resolve({"url_list": "l", "disallowed_header_directives": said})
        assert options.disallowed_header_directives == meant
