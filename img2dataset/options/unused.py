"""What 1.47.0 took and did not use, so that scripts give it: set aside with a warning, not refused.

Called by ``resolve``. What would lose something, such as a region that is not blurred, is still refused.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Mapping
from typing import Any

from img2dataset.options.specs import option_specs
from img2dataset.options.table import Options

logger = logging.getLogger("img2dataset")

# Options that name columns, which a txt list does not have. Not bbox_col: who gives it wants faces blurred.
_COLUMN_OPTIONS = ("save_additional_columns", "verify_hash")

# Engines that --distributor_config has nothing to say to.
WITHOUT_SETTINGS = ("multiprocessing", "ranks")


def without_unused_values(given: Mapping[str, Any], is_right: Callable[[str, Any], bool]) -> dict[str, Any]:
    """The options without values that their options do not take, where these are not looked at.

    Args:
        given: options by name, unchecked.
        is_right: whether a value is one that its option takes.
    """
    values = dict(given)
    if values.get("resize_mode") == "no" and not is_right("image_size", values.get("image_size", 1)):
        _warn("image_size", values.pop("image_size"), "--resize_mode no leaves images as they are")
    reports_to_wandb = values.get("enable_wandb") or "wandb" in (values.get("sinks") or ())
    for name, user, used in (
        ("subjob_size", "--distributor pyspark", values.get("distributor") == "pyspark"),
        ("wandb_project", "--enable_wandb", reports_to_wandb),
    ):
        if name in values and not used and not is_right(name, values[name]):
            _warn(name, values.pop(name), f"it is for {user}")
    if values.get("distributor_config") and values.get("distributor", "multiprocessing") in WITHOUT_SETTINGS:
        given_settings = values.pop("distributor_config")
        _warn("distributor_config", given_settings, "it is for --distributor pyspark and ray")
    if values.get("consent") == "off" and values.get("host_policies") is not None:
        _warn("host_policies", values.pop("host_policies"), "--consent off sets policies of hosts aside")
    quality, encode_format = values.get("encode_quality"), values.get("encode_format", "jpg")
    if isinstance(quality, int) and encode_format in ("jpg", "webp"):
        # 1.47.0 took any quality, and OpenCV the nearest that there is. Above 100, webp is lossless.
        nearest = max(0, min(quality, 100) if encode_format == "jpg" else quality)
        if nearest != quality:
            _warn("encode_quality", quality, f"{encode_format} has 0 to 100, and gets {nearest}")
            values["encode_quality"] = nearest
    return values


def without_unused_columns(options: Options) -> Options:
    """Checked options without those that name columns of a list that has none."""
    if not options.input_format.startswith("txt") or not isinstance(options.url_list, str):
        return options
    unused: dict[str, Any] = {}
    for name in _COLUMN_OPTIONS:
        if (value := getattr(options, name)) is not None:
            _warn(name, list(value), "a txt list has no columns; --input_format names formats that have")
            unused[name] = None
    return dataclasses.replace(options, **unused)


def _warn(name: str, value: object, reason: str) -> None:
    shown = "" if option_specs()[name].secret else f" {value!r}"[:80]
    logger.warning("--%s%s has no effect: %s", name, shown, reason)
