"""Turn lists of image URLs into packed, resized, fully accounted datasets."""

from img2dataset.version import __version__

__all__ = ["__version__"]
