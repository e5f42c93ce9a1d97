"""The calls with which 1.47.0 is used: each option in the ways of saying it, and whole calls of scripts.

Goes out: ``CALLS``, by name. Each is a list of Python expressions or the words of a command line. Read by
``calls.py`` and by the tests, which hold this program against what 1.47.0 was seen to do.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

# By option, in 1.47.0's order of positions: a value that is not the default, in Python.
VALUES: dict[str, Any] = {
    "url_list": "l.csv",
    "image_size": 64,
    "output_folder": "out",
    "processes_count": 1,
    "resize_mode": "keep_ratio",
    "resize_only_if_bigger": True,
    "upscale_interpolation": "cubic",
    "downscale_interpolation": "linear",
    "encode_quality": 8,
    "encode_format": "png",
    "skip_reencode": True,
    "output_format": "webdataset",
    "input_format": "csv",
    "url_col": "url",
    "caption_col": "caption",
    "bbox_col": None,
    "thread_count": 4,
    "number_sample_per_shard": 3,
    "extract_exif": False,
    "save_additional_columns": ["number"],
    "timeout": 9,
    "enable_wandb": False,
    "wandb_project": "project",
    "oom_shard_count": 4,
    "compute_hash": "md5",
    "verify_hash": ["md5", "md5"],
    "distributor": "multiprocessing",
    "subjob_size": 5,
    "retries": 1,
    "disable_all_reencoding": False,
    "min_image_size": 100,
    "max_image_area": 200000,
    "max_aspect_ratio": 2,
    "incremental_mode": "extend",
    "max_shard_retry": 2,
    "user_agent_token": "token",
    "disallowed_header_directives": ["noai"],
}
PLACES = tuple(VALUES)
# What an option's value needs beside it.
WITH: dict[str, dict[str, Any]] = {
    "verify_hash": {"compute_hash": "md5"},
    "encode_quality": {"encode_format": "png"},
    "encode_format": {"encode_quality": 8},
}
BASE = {"url_list": "l.csv", "input_format": "csv", "output_folder": "out", "thread_count": 4}


def python_call(*values: Any, **named: Any) -> str:
    """The expression of one call of ``download``."""
    parts = [*(repr(value) for value in values), *(f"{name}={value!r}" for name, value in named.items())]
    return f"download({', '.join(parts)})"


def _calls() -> Iterator[tuple[str, dict[str, Any]]]:
    yield from _each_option()
    yield from _positions()
    yield from _values()
    yield from _whole_calls()


def _each_option() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every option by name in Python, and on the command line in one of Fire's ways, which take turns."""
    ways = itertools.cycle(("--name value", "--name=value", "-name value", "--na-me value", "-name=value"))
    for name, value in VALUES.items():
        given = {**BASE, **WITH.get(name, {}), name: value}
        yield f"{name} in Python", {"python": [python_call(**given)]}
        way = next(ways)
        others = [f"--{other}={given[other]}" for other in given if other != name]
        yield f"{name} as {way}", {"words": [*others, *_said(name, value, way)]}


def _said(name: str, value: Any, way: str) -> list[str]:
    dashes = "--" if way.startswith("--") else "-"
    written = name.replace("_", "-") if way.startswith("--na-me") else name
    text = str(value)
    return [f"{dashes}{written}={text}"] if "=" in way else [f"{dashes}{written}", text]


def _positions() -> Iterator[tuple[str, dict[str, Any]]]:
    for count in (1, 2, 3, 4, 6, 12, 13, 19, len(PLACES)):
        values = [VALUES[name] for name in PLACES[:count]]
        rest = {name: value for name, value in BASE.items() if name not in PLACES[:count]}
        yield f"{count} by position in Python", {"python": [python_call(*values, **rest)]}
        named = [f"--{name}={value}" for name, value in rest.items()]
        yield f"{count} by position as words", {"words": [*(str(value) for value in values), *named]}
    yield "positions around names", {"words": ["--image_size", "64", "l.txt", "out", "-p", "1"]}
    yield "names around positions", {"words": ["l.txt", "--output_folder=out", "300"]}


def _values() -> Iterator[tuple[str, dict[str, Any]]]:
    """One meaning in several ways."""
    for said in ("True", "1", "np.True_", "np.int64(1)"):
        call = f"download('l.csv', input_format='csv', output_folder='out', resize_only_if_bigger={said})"
        yield f"a boolean as {said}", {"python": [call]}
    for words in (
        ["--resize_only_if_bigger"],
        ["--noextract_exif"],
        ["--extract_exif=0"],
        ["-n", "3"],
        ["-b=None"],
    ):
        base = [f"--{name}={value}" for name, value in BASE.items()]
        yield f"{' '.join(words)}", {"words": [*base, *words]}
    for size in ("'256'", "(1024, 1024)", "None", "-5"):
        call = f"download('l.txt', image_size={size}, resize_mode='no', output_folder='out')"
        yield f"image_size {size} that is not used", {"python": [call]}
    for columns in ("'[\"number\"]'", "[number]", "('number',)"):
        words = [
            *(f"--{name}={value}" for name, value in BASE.items()),
            f"--save_additional_columns={columns}",
        ]
        yield f"columns as {columns}", {"words": words}
    ignored = {
        "save_additional_columns": ["number"],
        "verify_hash": ["sha256", "sha256"],
        "url_col": "address",
        "subjob_size": 0,
        "wandb_project": None,
        "encode_quality": 200,
        "disallowed_header_directives": "[]",
        "oom_shard_count": 0,
    }
    for name, value in ignored.items():
        named = {"output_folder": "out", "thread_count": 4, name: value}
        yield f"{name} {value} without effect", {"python": [python_call("l.txt", **named)]}
    yield (
        "caption_col of a txt list",
        {"python": [python_call("l.txt", output_folder="out", caption_col="c")]},
    )
    for name, kind in (("empty.csv", "csv"), ("empty.parquet", "parquet")):
        yield f"{name}, without rows", {"python": [python_call(name, input_format=kind, output_folder="out")]}
    yield "help behind a list", {"words": ["l.txt", "--", "--help"]}
    yield "an unknown option", {"words": ["l.txt", "--image_sise=3"]}
    yield "an unknown choice", {"python": [python_call("l.txt", output_folder="out", resize_mode="stretch")]}


def _whole_calls() -> Iterator[tuple[str, dict[str, Any]]]:
    """What scripts and tests ask for together."""
    many = {"image_size": 256, "output_folder": "out", "thread_count": 32}
    for mode, bigger, kept in (
        ("border", False, False),
        ("border", True, False),
        ("keep_ratio", True, True),
        ("keep_ratio_largest", False, False),
        ("center_crop", False, True),
        ("no", False, True),
    ):
        options = {"resize_mode": mode, "resize_only_if_bigger": bigger, "skip_reencode": kept}
        yield f"resizing {mode} {bigger} {kept}", {"python": [python_call("l.txt", **many, **options)]}
    for kind in (
        "txt",
        "txt.gz",
        "csv",
        "csv.gz",
        "tsv",
        "tsv.gz",
        "json",
        "json.gz",
        "jsonl",
        "jsonl.gz",
        "parquet",
    ):
        captioned = {} if kind.startswith("txt") else {"url_col": "url", "caption_col": "caption"}
        output = "files" if kind != "parquet" else "webdataset"
        options = {"input_format": kind, "output_format": output, **captioned}
        yield f"input {kind}", {"python": [python_call(f"l.{kind}", **many, **options)]}
    for output in ("files", "webdataset", "parquet", "dummy"):
        options = {"input_format": "parquet", "caption_col": "caption", "output_format": output}
        columns = {"save_additional_columns": ["number"]}
        yield f"output {output}", {"python": [python_call("l.parquet", **many, **options, **columns)]}
        folder = {"input_format": "csv", "caption_col": "caption", "output_format": output}
        yield f"a folder to {output}", {"python": [python_call("many", **many, **folder)]}
    for name, quality in (("jpg", 50), ("png", 9), ("webp", 95)):
        options = {"encode_format": name, "encode_quality": quality}
        yield f"encoding {name}", {"python": [python_call("l.txt", **many, **options)]}
    for name in ("md5", "sha256"):
        options = {"input_format": "parquet", "compute_hash": name, "verify_hash": [name, name]}
        yield f"verifying {name}", {"python": [python_call("l.parquet", **many, **options)]}
    yield "no hash", {"python": [python_call("l.txt", **many, compute_hash=None)]}
    yield "nothing encoded", {"python": [python_call("l.txt", **many, disable_all_reencoding=True)]}
    filters = {"min_image_size": 100, "max_image_area": 200000, "max_aspect_ratio": 1.39}
    yield "filters", {"python": [python_call("l.txt", **many, **filters)]}
    blurred = {"input_format": "parquet", "bbox_col": "boxes"}
    yield "blurring", {"python": [python_call("l.parquet", **many, **blurred)]}
    for mode in ("incremental", "extend"):
        first = python_call("l.txt", **many, output_format="webdataset")
        again = python_call("l.txt", **many, output_format="webdataset", incremental_mode=mode)
        yield f"twice, {mode}", {"python": [first, again]}
    yield "the usual folder", {"python": [python_call("l.txt")], "out": "images"}
    yield "an absolute process count", {"python": [python_call("l.txt", 256, "out", 2, thread_count=8)]}


CALLS: dict[str, dict[str, Any]] = dict(_calls())

# What is different on purpose, and why.
ON_PURPOSE = {
    "blurring": "bbox_col is no column of the metadata",
}
