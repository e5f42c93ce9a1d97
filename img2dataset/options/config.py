"""Options kept in a YAML file: ``--config run.yaml`` reads them, ``--print_config`` writes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from img2dataset.errors import OptionError
from img2dataset.options.specs import option_specs
from img2dataset.options.table import Options


def read_config(path: str, read: Callable[[str], str]) -> dict[str, Any]:
    """The options of a YAML file; the command line wins over them.

    Args:
        path: of the file, on any fsspec file system.
        read: gives the text at a path.

    Raises:
        OptionError: it cannot be read, or is no mapping of options to values.
    """
    import yaml

    try:
        values = yaml.safe_load(read(path))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark is not None else ""
        raise OptionError(f"--config {path} is no YAML{where}; write one 'option: value' a line") from None
    except Exception as error:  # every file system has its own errors
        reason = getattr(error, "strerror", None) or error
        raise OptionError(f"--config {path} cannot be read: {reason}") from None
    if values is None:
        return {}
    if not isinstance(values, dict) or not all(isinstance(name, str) for name in values):
        raise OptionError(f"--config {path} holds no options; write one 'option: value' a line")
    unknown = [name for name in values if name not in option_specs()]
    if unknown:
        raise OptionError(f"--config {path} has {unknown[0]!r}, which is not an option; see --help_all")
    # YAML 1.1 reads 1e6 as a text; a number it is.
    return {name: _number_from(name, value) for name, value in values.items()}


def _number_from(name: str, value: Any) -> Any:
    if option_specs()[name].kind not in ("number", "integer") or not isinstance(value, str):
        return value
    try:
        return float(value)
    except ValueError:
        return value


def shown_config(options: Options) -> str:
    """All options as a YAML file that ``read_config`` reads back; secrets and lists in memory left out."""
    import yaml

    lines = []
    group = ""
    for spec in option_specs().values():
        value = getattr(options, spec.name)
        if isinstance(value, tuple):
            value = list(value)
        if spec.secret or not isinstance(value, (str, int, float, list, type(None))):
            continue
        if spec.group != group:
            group = spec.group
            lines.append(f"# {group}")
        lines.append(yaml.safe_dump({spec.name: value}, allow_unicode=True).strip())
    return "\n".join(lines)
