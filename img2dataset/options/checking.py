"""From a mapping of names to values to checked ``Options``, or one ``OptionError`` that says what is wrong.

``from_texts`` gives the values of the command line their types; ``resolve`` checks values from wherever.
"""

from __future__ import annotations

import ast
import contextlib
import difflib
import logging
import math
import numbers
import os
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from img2dataset.errors import OptionError
from img2dataset.failures import CLASSES
from img2dataset.options.dataset import list_formats
from img2dataset.options.declaring import KIND_NAMES, OptionSpec
from img2dataset.options.images import HashName
from img2dataset.options.specs import option_specs
from img2dataset.options.table import Options, SinkName
from img2dataset.options.unused import without_unused_columns, without_unused_values
from img2dataset.plugins import SIGNALS, SINKS, plugin_names

logger = logging.getLogger("img2dataset")

HASHES = get_args(HashName)
RESERVED_COLUMNS = (
    "key",
    "caption",
    "url",
    "width",
    "height",
    "original_width",
    "original_height",
    "status",
    "error_message",
    "exif",
    *HASHES,
)


BOOLEAN_WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def from_texts(texts: Mapping[str, str], alone: Sequence[str] = ()) -> dict[str, Any]:
    """The values of the command line, each read as its option's kind: Python literals, ``None``, bare words.

    Args:
        texts: by option.
        alone: the options whose texts stood without their names, and took their places.

    Raises:
        OptionError: a text that does not read as what its option takes, or a name that is no option.
    """
    values = {}
    for name, text in texts.items():
        spec = _spec_of(name)
        try:
            values[name] = _from_text(spec, text)
            if name in alone:
                _checked(spec, values[name])
        except OptionError:
            if name not in alone:
                raise
            raise OptionError(
                f"{text!r} stands alone, and is taken as --{name}, which takes {spec.allowed()}; give options"
                " as --name value, and quote patterns"
            ) from None
    return values


def _from_text(spec: OptionSpec, text: str) -> Any:
    if spec.optional and text.strip() == "None":
        return None
    if spec.kind == "boolean":
        return text
    if spec.kind in ("text", "any"):
        # A tab is hard to type on a command line.
        return "\t" if spec.name == "input_delimiter" and text == "\\t" else text
    if spec.kind == "texts":
        return _texts_from_text(spec, text)
    try:
        # inf and nan are no literals, yet max_image_area=inf is a natural thing to write.
        return float(text) if spec.kind == "number" else ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        raise _wrong(spec, text) from None


def _texts_from_text(spec: OptionSpec, text: str) -> Any:
    """``["a","b"]``, ``('a', 'b')`` or the bare words ``[a,b]`` and ``a,b``."""
    try:
        value = ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        inner = text.strip()
        if inner[:1] + inner[-1:] in ("[]", "()"):
            inner = inner[1:-1]
        return [word.strip().strip("'\"") for word in inner.split(",") if word.strip()]
    return value if isinstance(value, (list, tuple)) else [str(value)]


def resolve(given: Mapping[str, Any]) -> Options:
    """Check all options together.

    Args:
        given: the options that were given, by name; the others take their defaults.

    Raises:
        OptionError: for the first name, type, value or combination that is wrong; one line.
    """
    values = {
        name: _checked(_spec_of(name), value)
        for name, value in without_unused_values(given, _is_right).items()
    }
    for spec in option_specs().values():
        if spec.required and values.get(spec.name) is None:
            raise OptionError(f"--{spec.name} is required: {spec.help}")
    if values.get("encode_format") == "png" and "encode_quality" not in values:
        values["encode_quality"] = 6
    if "thread_count" in values and "adaptive_thread_count" not in values:
        values["adaptive_thread_count"] = False
    if values.get("disallowed_header_directives", ()) is None:
        del values["disallowed_header_directives"]
    _add_consent(values)
    options = Options(**values)
    _check_together(options)
    return without_unused_columns(options)


def _add_consent(values: dict[str, Any]) -> None:
    """Let ``consent`` stand for the options that were not given."""
    if values.get("consent") == "strict":
        values.setdefault("respect_robots_txt", True)
        values.setdefault("respect_tdm", True)


def _is_right(name: str, value: Any) -> bool:
    try:
        _checked(option_specs()[name], value)
    except OptionError:
        return False
    return True


def _spec_of(name: str) -> OptionSpec:
    specs = option_specs()
    if name in specs:
        return specs[name]
    near = difflib.get_close_matches(name, specs, n=1)
    hint = f" (did you mean --{near[0]}?)" if near else ""
    raise OptionError(f"--{name} is not an option{hint}; img2dataset --help lists them")


def _wrong(spec: OptionSpec, value: Any) -> OptionError:
    shown = "not shown" if spec.secret else repr(value)
    if len(shown) > 80:
        shown = shown[:77] + "..."
    return OptionError(f"--{spec.name} is {shown}; it takes {spec.allowed()}")


def _checked(spec: OptionSpec, value: Any) -> Any:
    """The value in its option's own type, if it is one the option takes."""
    if value is None:
        if spec.optional or spec.required:
            return None
        raise _wrong(spec, value)
    if spec.kind == "texts":
        if spec.name == "disallowed_header_directives" and isinstance(value, str):
            value = _texts_from_text(spec, value)  # 1.47.0 took '[]' and 'noai' in Python, too
        if not isinstance(value, Sequence) or isinstance(value, (str, bytes)):
            raise _wrong(spec, value)
        if not all(isinstance(text, str) for text in value):
            raise _wrong(spec, value)
        return tuple(value)
    if spec.kind == "text":
        return _checked_text(spec, value)
    if spec.kind == "boolean":
        return _checked_boolean(spec, value)
    if spec.kind in ("integer", "number"):
        return _checked_number(spec, value)
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def _checked_boolean(spec: OptionSpec, value: Any) -> bool:
    """Python's, NumPy's and YAML's, 1 and 0, and the words that scripts write; "false" was True in 1.47.0."""
    plain = value.item() if type(value).__module__ == "numpy" and getattr(value, "ndim", 1) == 0 else value
    if isinstance(plain, str):
        plain = BOOLEAN_WORDS.get(plain.strip().lower())
    if not isinstance(plain, (bool, int)) or plain not in (0, 1):
        raise _wrong(spec, value)
    return bool(plain)


def _checked_text(spec: OptionSpec, value: Any) -> str:
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if not isinstance(value, str) or (spec.choices and not spec.has_choice(value)):
        raise _wrong(spec, value)
    return value


def _checked_number(spec: OptionSpec, value: Any) -> int | float:
    given = value
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            value = int(value) if value.strip().isdecimal() else float(value)
    real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not real or math.isnan(value):
        raise _wrong(spec, given)
    if spec.kind == "integer":
        # 1e4 on the command line is a whole number too, as it was for 1.47.0's callers.
        if not float(value).is_integer():
            raise _wrong(spec, given)
        number: int | float = int(value)
    else:
        number = float(value)
    too_small = (spec.minimum is not None and number < spec.minimum) or (
        spec.above is not None and number <= spec.above
    )
    if (
        (math.isinf(number) and not spec.endless)
        or too_small
        or (spec.maximum is not None and number > spec.maximum)
    ):
        raise _wrong(spec, given)
    return number


def _check_together(options: Options) -> None:
    _check_encoding(options)
    _check_columns(options)
    _check_hashes(options)
    _check_encoding_of_list(options)
    _check_retry_classes(options.retry_classes)
    _check_ranks(options)
    if isinstance(options.url_list, str) and not options.url_list.strip():
        raise OptionError("--url_list is empty; give the file or folder with the URLs")
    if not options.output_folder.strip():
        raise OptionError("--output_folder is empty; give the folder the dataset goes to")
    for name in ("user_agent", "user_agent_token", "contact"):
        text = getattr(options, name)
        if text is not None and not (text.isprintable() and text.isascii()):
            # A line break would let it write headers of its own.
            raise OptionError(f"--{name} is {text!r}; it takes printable ASCII, since it goes into a header")
    for setting in options.distributor_config:
        name, equals, _ = setting.partition("=")  # what stands behind it may be a password
        if not (name.strip() and equals):
            raise OptionError(f"--distributor_config has {name!r}; it takes texts like key=value")
    for name in options.sinks:
        if name not in get_args(SinkName) and name not in plugin_names(SINKS):
            known = ", ".join((*get_args(SinkName), *plugin_names(SINKS)))
            raise OptionError(f"--sinks has {name!r}, which is none; there are {known}")
    for name in options.consent_signals:
        if name not in plugin_names(SIGNALS):
            known = ", ".join(plugin_names(SIGNALS)) or "none"
            raise OptionError(f"--consent_signals has {name!r}, which no installed package adds ({known})")


def _check_ranks(options: Options) -> None:
    """Without this, each of several machines would make the whole dataset."""
    for name in ("rank", "world_size"):
        if getattr(options, name) is not None and options.distributor != "ranks":
            raise OptionError(
                f"--{name} is for --distributor ranks; it is {options.distributor}, with which this program"
                f" makes every shard: add --distributor ranks, or leave out --{name}"
            )


def _check_encoding(options: Options) -> None:
    highest = {"jpg": 100, "png": 9}.get(options.encode_format)
    if highest is not None and options.encode_quality > highest:
        meaning = "the compression level, " if options.encode_format == "png" else ""
        raise OptionError(
            f"--encode_quality is {options.encode_quality}; with --encode_format {options.encode_format}"
            f" it takes {meaning}a whole number from 0 to {highest}"
        )
    if options.incremental_mode in ("retry_failed", "new_only") and options.output_format == "dummy":
        raise OptionError(
            f"--incremental_mode {options.incremental_mode} cannot be used with --output_format dummy, which"
            " keeps no rows"
        )
    if options.hugging_face_images and options.output_format != "parquet":
        raise OptionError(
            f"--hugging_face_images is for --output_format parquet; it is {options.output_format}"
        )
    if options.disable_all_reencoding and options.bbox_col is not None:
        raise OptionError(
            "--bbox_col cannot be used with --disable_all_reencoding: blurring needs the image to be encoded"
            " again; leave out one of them"
        )


def _check_columns(options: Options) -> None:
    columns = options.save_additional_columns or ()
    for column in columns:
        if column in RESERVED_COLUMNS:
            raise OptionError(
                f"--save_additional_columns has {column!r}, which the metadata uses itself;"
                f" reserved are {', '.join(RESERVED_COLUMNS)}"
            )
    if options.save_consent and "consent" in columns:
        raise OptionError(
            "--save_additional_columns has 'consent', which --save_consent uses itself; rename the column in"
            " the list"
        )
    taken = {"parquet": (options.encode_format,), "tfrecord": (options.encode_format, "txt")}
    for column in taken.get(options.output_format, ()):
        if column in columns:
            raise OptionError(
                f"--save_additional_columns has {column!r}, which --output_format {options.output_format}"
                " uses itself; rename the column in the list"
            )
    doubled = sorted({column for column in columns if columns.count(column) > 1})
    if doubled:
        raise OptionError(f"--save_additional_columns names {doubled[0]!r} twice; name each column once")
    bare_format = options.input_format.removesuffix(".gz")
    names_columns = bare_format in list_formats() and bare_format not in ("csv", "tsv")
    if options.input_columns is not None and names_columns:
        raise OptionError(
            f"--input_columns is for csv and tsv; --input_format {options.input_format} names its own columns"
        )
    if options.input_columns is not None and len(set(options.input_columns)) < len(options.input_columns):
        raise OptionError("--input_columns names a column twice; name each once, in the order of the file")
    for name in ("input_delimiter", "input_quote", "input_escape"):
        text = getattr(options, name)
        if text is not None and (len(text) != 1 or not text.isascii()):
            raise OptionError(f"--{name} is {text!r}; it takes a single ASCII character")


def _check_encoding_of_list(options: Options) -> None:
    if options.input_encoding is None:
        return
    try:
        "a".encode(options.input_encoding)
    except (LookupError, UnicodeError, ValueError):
        raise OptionError(
            f"--input_encoding is {options.input_encoding!r}, which is no encoding of text; it takes names"
            " such as utf-8, utf-16, latin-1, cp1252, shift-jis, gb18030"
        ) from None


def _check_retry_classes(classes: Sequence[str]) -> None:
    """Refuse one that no failure begins with: it would retry nothing, silently."""
    for wanted in classes:
        if not any(_begins(wanted, known) or _begins(known, wanted) for known in CLASSES):
            near = {known.lower(): known for known in CLASSES}
            meant = difflib.get_close_matches(wanted.lower(), near, n=1)
            hint = f" (did you mean {near[meant[0]]!r}?)" if meant else ""
            raise OptionError(
                f"--retry_classes has {wanted!r}, with which no failure begins{hint}; it takes beginnings of"
                " the messages in error_message, such as [timeout,DNS,HTTP 5]"
            )


def _begins(text: str, beginning: str) -> bool:
    """Whether ``text`` begins with ``beginning``, and with no part of a word."""
    rest = text.removeprefix(beginning)
    return bool(beginning) and text.startswith(beginning) and not rest[:1].isalpha()


def _check_hashes(options: Options) -> None:
    if options.verify_hash is None:
        return
    if len(options.verify_hash) != 2 or options.verify_hash[1] not in HASHES:
        raise OptionError(
            f"--verify_hash is {list(options.verify_hash)!r};"
            f" it takes [column, hash type] with one of {', '.join(HASHES)}"
        )
    if options.verify_hash[1] != options.compute_hash:
        raise OptionError(
            f"--verify_hash asks for {options.verify_hash[1]} and --compute_hash is {options.compute_hash};"
            " both must be the same"
        )


__all__ = ["KIND_NAMES", "RESERVED_COLUMNS", "from_texts", "resolve"]
