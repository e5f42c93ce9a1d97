"""Embedded colour profiles: an opened image comes in, the same image in sRGB goes out. Called by decode."""

from __future__ import annotations

import functools
import io
from typing import Any

from PIL import Image, ImageCms

# The bands a profile speaks of, for the modes that carry more.
_COLOUR_MODES = {"RGBA": "RGB", "LA": "L"}


def in_srgb(image: Image.Image) -> Image.Image:
    """The loaded image converted to sRGB, perceptual intent; itself where that is none or it is sRGB.

    Alpha is kept. Palettes are converted as the colours they stand for. A profile that is damaged, or of
    another kind of colour than the image, is passed over, as browsers do.
    """
    profile = image.info.get("icc_profile")
    if not profile:
        return image
    if image.mode in ("P", "PA"):
        image = image.convert("RGBA" if "transparency" in image.info or image.mode == "PA" else "RGB")
    mode = _COLOUR_MODES.get(image.mode, image.mode)
    transform = _to_srgb(profile, mode)
    if transform is None:
        return image
    converted = ImageCms.applyTransform(image if image.mode == mode else image.convert(mode), transform)
    if converted is None or image.mode == mode:
        return converted or image
    converted.putalpha(image.getchannel("A"))
    return converted


@functools.lru_cache(maxsize=32)
def _to_srgb(profile: bytes, mode: str) -> Any:
    """A transform takes milliseconds to build and the web knows few profiles, so they are kept."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if ImageCms.getProfileDescription(source).startswith("sRGB"):
            return None
        return ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None
