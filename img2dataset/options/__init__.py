"""Every option, declared once: a mapping of names to values comes in, checked ``Options`` go out."""

from img2dataset.options.checking import by_name, from_texts, resolve
from img2dataset.options.config import read_config, shown_config
from img2dataset.options.declaring import OptionSpec, option_specs
from img2dataset.options.describing import describe_options, help_page, option_table
from img2dataset.options.table import POSITIONAL, Options

__all__ = [
    "POSITIONAL",
    "OptionSpec",
    "Options",
    "by_name",
    "describe_options",
    "from_texts",
    "help_page",
    "option_specs",
    "option_table",
    "read_config",
    "resolve",
    "shown_config",
]
