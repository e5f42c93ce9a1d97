"""Every option, declared once: a mapping of names to values comes in, checked ``Options`` go out.

``Options`` is made of parts, ``InputOptions`` to ``RunOptions``; each room takes its part as it is.
"""

from img2dataset.options.checking import from_texts, resolve
from img2dataset.options.config import read_config, shown_config
from img2dataset.options.dataset import InputOptions, NumberingOptions, OutputOptions
from img2dataset.options.declaring import OptionSpec
from img2dataset.options.describing import describe_options, help_page, option_table
from img2dataset.options.downloads import DownloadOptions, MannersOptions
from img2dataset.options.images import ImageOptions
from img2dataset.options.positions import POSITIONS, by_name
from img2dataset.options.specs import option_specs
from img2dataset.options.table import Options, RunOptions
from img2dataset.options.words import (
    CONFIG,
    PRINT_CONFIG,
    Words,
    asks_for_help,
    read_words,
    refuse_unknown_names,
)

__all__ = [
    "CONFIG",
    "POSITIONS",
    "PRINT_CONFIG",
    "DownloadOptions",
    "ImageOptions",
    "InputOptions",
    "MannersOptions",
    "NumberingOptions",
    "OptionSpec",
    "Options",
    "OutputOptions",
    "RunOptions",
    "Words",
    "asks_for_help",
    "by_name",
    "describe_options",
    "from_texts",
    "help_page",
    "option_specs",
    "option_table",
    "read_config",
    "read_words",
    "refuse_unknown_names",
    "resolve",
    "shown_config",
]
