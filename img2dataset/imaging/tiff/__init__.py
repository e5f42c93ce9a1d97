"""TIFF files decoded: layout from the directory, data decompressed piece by piece, samples to colours.

OpenCV and Pillow read the common forms of TIFF right, and give others, or damaged ones, as a wrong picture
without a word. Here each field that matters is read; what is not in the table of ``layout`` is unsupported.
"""

from img2dataset.imaging.tiff.pixels import decode_tiff

__all__ = ["decode_tiff"]
