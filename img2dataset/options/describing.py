"""The options in words: the page of ``--help``, the docstring of ``download``, the table of the README."""

from __future__ import annotations

import functools
import inspect
import textwrap
from collections.abc import Callable
from typing import Any

from img2dataset.options.declaring import OptionSpec
from img2dataset.options.positions import POSITIONS, by_name
from img2dataset.options.specs import option_specs

# What most runs need; the rest is on the page of --help_all, so that this one fits a screen.
COMMON = (
    "url_list",
    "input_format",
    "url_col",
    "caption_col",
    "save_additional_columns",
    "image_size",
    "resize_mode",
    "resize_only_if_bigger",
    "encode_format",
    "encode_quality",
    "output_folder",
    "output_format",
    "number_sample_per_shard",
    "incremental_mode",
    "processes_count",
    "thread_count",
    "timeout",
    "retries",
)


def help_page(everything: bool = False, width: int = 80) -> str:
    """The text of ``img2dataset --help`` (``--help_all`` with ``everything``)."""
    lines = [
        "usage: img2dataset LIST [IMAGE_SIZE [OUTPUT_FOLDER]] [--OPTION VALUE ...]",
        "       img2dataset --url_list LIST [--output_folder FOLDER] [--OPTION VALUE ...]",
        "       img2dataset estimate LIST [--OPTION VALUE ...]",
        "       img2dataset status|watch|report|inspect|verify|consent OUTPUT",
        "       img2dataset emit slurm|kubernetes|ray|spark [--OPTION VALUE ...]",
        "       img2dataset caption FOLDER --captioner MODULE:FUNCTION",
        "       img2dataset cache stats|clear FOLDER",
        "",
        "Downloads the images of a list of URLs, resizes them and packs them, with",
        "metadata, into shards.",
    ]
    group = ""
    for spec in option_specs().values():
        if not everything and spec.name not in COMMON:
            continue
        if spec.group != group:
            group = spec.group
            lines += ["", f"{group}:"]
        lines += _help_lines(spec, width, with_added=everything)
    if not everything:
        lines += [
            "",
            "All options: img2dataset --help_all",
            "Options from a file: --config run.yaml; --print_config writes one",
            "Options completed by the shell: source <(img2dataset -- --completion bash)",
        ]
    return "\n".join(lines)


def _help_lines(spec: OptionSpec, width: int, with_added: bool) -> list[str]:
    default = "" if spec.required else f" [{spec.default_text}{' ' + spec.unit if spec.unit else ''}]"
    text = spec.help + default
    added = spec.added_choices() if with_added else ()
    if spec.choices and not all(choice in spec.help for choice in (*spec.choices, *added)):
        text = f"{spec.help}: {spec.allowed(with_added)}{default}"
    head, indent = f"  --{spec.name} ", " " * 26
    wrapped = textwrap.wrap(text, width - len(indent)) or [""]
    if len(head) > len(indent):
        return [head.rstrip(), *(indent + line for line in wrapped)]
    return [head.ljust(len(indent)) + wrapped[0], *(indent + line for line in wrapped[1:])]


def describe_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a function of ``**options`` the signature and the ``Args`` section that the options make.

    Options that 1.47.0 had may be given by position, in its order.
    """

    @functools.wraps(function)
    def described(*values: Any, **options: Any) -> Any:
        return function(**by_name(values, options))

    # ``inspect`` and notebooks read it; types know no such attribute of a function.
    described.__signature__ = inspect.Signature(_parameters())  # type: ignore[attr-defined]
    described.__doc__ = inspect.cleandoc(function.__doc__ or "").replace("{options}", _docstring_lines())
    return described


def _parameters() -> list[inspect.Parameter]:
    specs = option_specs()
    by_position, by_name_only = inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY
    return [
        inspect.Parameter(
            name,
            by_position if name in POSITIONS else by_name_only,
            default=inspect.Parameter.empty if specs[name].required else specs[name].default,
        )
        for name in (*POSITIONS, *(name for name in specs if name not in POSITIONS))
    ]


def _docstring_lines() -> str:
    lines = []
    for spec in option_specs().values():
        unit = f", in {spec.unit}" if spec.unit else ""
        default = "required" if spec.required else f"default {spec.default_text}"
        lines.append(f"{spec.name}: {spec.help}; {spec.allowed(with_added=False)}{unit}; {default}.")
    return "\n    ".join(lines)


def option_table() -> str:
    """The option table of the README, as Markdown, one section a group."""
    lines: list[str] = []
    group = ""
    for spec in option_specs().values():
        if spec.group != group:
            group = spec.group
            lines += ["", f"**{group}**", "", "| option | default | what it does |", "| --- | --- | --- |"]
        takes = f" ({spec.choices_text(spec.choices)})" if spec.choices and spec.name != "resize_mode" else ""
        unit = f" {spec.unit}" if spec.unit else ""
        default = spec.default_text if spec.required else f"`{spec.default_text}`{unit}"
        lines.append(f"| `{spec.name}` | {default} | {spec.help}{takes} |".replace("\n", " "))
    return "\n".join(lines[1:])
