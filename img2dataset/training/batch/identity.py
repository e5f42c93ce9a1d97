"""What makes a value from a sample, as text that is the same in every process and on every machine.

In: a function, a transform, a tokenizer, with all that it holds. Out: a text that differs when what it does
may differ, or the refusal of what cannot be known again. For ``features``, whose keys must not outlive a
change.
"""

from __future__ import annotations

import copyreg
import enum
import functools
import hashlib
import inspect
import os
import textwrap
import types
from collections.abc import Mapping
from typing import Any

from img2dataset.errors import OptionError

_PLAIN = (type(None), bool, int, float, complex, str, bytes, range, type(Ellipsis))
_VALUES = (bool, int, float, str, bytes, tuple, list, dict, set, frozenset)
_DEEPEST = 40


def identity(value: Any, name: str) -> str:
    """A text for what ``value`` does.

    Of functions it has their code, defaults, and what they close over; of objects their class and all they
    hold; of tensors a hash.

    Args:
        value: what makes something of a sample.
        name: what it was given as, for the message.

    Raises:
        OptionError: it holds something that cannot be known again, such as an open file.
    """
    return _Describing(name).of(value)


class _Describing:
    """Describes one value; knows where it has been, since objects may hold each other."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._inside: dict[int, int] = {}

    def of(self, value: Any) -> str:
        if isinstance(value, _PLAIN):
            return repr(value)
        if id(value) in self._inside:
            return f"<{self._inside[id(value)]} above>"
        if len(self._inside) >= _DEEPEST:
            raise self._refused(value)
        self._inside[id(value)] = len(self._inside)
        try:
            return self._of_compound(value)
        finally:
            del self._inside[id(value)]

    def _of_compound(self, value: Any) -> str:
        if isinstance(value, enum.Enum):
            return f"{_named(type(value))}.{value.name}"
        if isinstance(value, functools.partial):
            return f"partial({self.of(value.func)}, {self.of(value.args)}, {self.of(value.keywords)})"
        if isinstance(value, types.MethodType):
            return f"method({self.of(value.__func__)}, {self.of(value.__self__)})"
        if isinstance(value, types.FunctionType):
            return self._of_function(value)
        if isinstance(value, (type, types.BuiltinFunctionType, types.ModuleType)):
            return _named(value)
        if isinstance(value, os.PathLike):
            return f"path({os.fspath(value)!r})"
        if isinstance(value, Mapping):
            pairs = sorted(f"{self.of(key)}: {self.of(each)}" for key, each in value.items())
            return f"{_named(type(value))}({', '.join(pairs)})"
        if isinstance(value, (set, frozenset)):
            return f"{_named(type(value))}({', '.join(sorted(map(self.of, value)))})"
        if isinstance(value, (list, tuple)):
            return f"{_named(type(value))}({', '.join(map(self.of, value))})"
        if hasattr(value, "dtype") and hasattr(value, "shape"):
            return _of_array(value)
        return self._of_object(value)

    def _of_function(self, function: types.FunctionType) -> str:
        closed_over = [cell.cell_contents for cell in function.__closure__ or () if _has_contents(cell)]
        parts = [function.__defaults__, function.__kwdefaults__, closed_over, self._used_by(function)]
        return f"function({_named(function)}, {_code(function)}, {', '.join(map(self.of, parts))})"

    def _used_by(self, function: types.FunctionType) -> dict[str, Any]:
        """What a function reads from its module: other functions of the module, and its values."""
        found: dict[str, Any] = {}
        for name in function.__code__.co_names:
            value = function.__globals__.get(name)
            is_of_it = isinstance(value, types.FunctionType) and value.__module__ == function.__module__
            if is_of_it or isinstance(value, _VALUES):
                found[name] = value
        return found

    def _of_object(self, value: Any) -> str:
        """By what it would be copied from: its class, and all it holds."""
        kind = _named(type(value))
        code = _class_code(type(value))
        try:
            # As pickle does it: a class may have been registered by others.
            registered = copyreg.dispatch_table.get(type(value))
            reduced = registered(value) if registered is not None else value.__reduce_ex__(2)
        except Exception as error:  # of any class
            raise self._refused(value) from error
        if isinstance(reduced, str):
            return f"{kind}.{reduced}"
        make, arguments, *state = reduced
        if _named(make) == "copyreg.__newobj__":
            make, arguments = arguments[0], arguments[1:]
        items = [list(each) if each is not None and position else each for position, each in enumerate(state)]
        return f"object({kind}, {code}, {self.of(make)}, {self.of(arguments)}, {self.of(items)})"

    def _refused(self, value: Any) -> OptionError:
        return OptionError(
            f"{self._name} holds a {_named(type(value))}, which cannot be known again in another process, so"
            " that features made with it could be taken for others; give an object that can be pickled, or do"
            " this part in compute and name it in version="
        )


def _named(value: Any) -> str:
    if isinstance(value, types.ModuleType):
        return value.__name__
    return f"{getattr(value, '__module__', None)}.{getattr(value, '__qualname__', repr(type(value)))}"


def _has_contents(cell: Any) -> bool:
    try:
        return cell.cell_contents is not cell
    except ValueError:  # not assigned yet
        return False


def _code(function: types.FunctionType) -> str:
    """The source of a function, or its compiled code where there is none, as of a line typed at a prompt.

    Two lambdas of one line have one source: their constants and names tell them apart.
    """
    code = function.__code__
    names = repr(
        (code.co_names, code.co_varnames, [each for each in code.co_consts if isinstance(each, _PLAIN)])
    )
    try:
        source = textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError):
        source = code.co_code.hex()
    if function.__name__ == "<lambda>":
        source += code.co_code.hex()
    return _short(source + names)


def _class_code(kind: type) -> str:
    """The source of a class, where it has one; what it inherits is told by its name alone."""
    try:
        return _short(textwrap.dedent(inspect.getsource(kind)))
    except (OSError, TypeError):
        return "-"


def _of_array(value: Any) -> str:
    array = value.detach().cpu().contiguous() if hasattr(value, "detach") else value
    try:
        data = array.tobytes() if hasattr(array, "tobytes") else array.view(-1).numpy().tobytes()
    except Exception:  # a type that NumPy lacks, such as bfloat16
        data = repr(array.tolist()).encode()
    return f"array({value.dtype}, {tuple(value.shape)}, {_short(data)})"


def _short(data: str | bytes) -> str:
    return hashlib.sha256(data.encode() if isinstance(data, str) else data).hexdigest()[:20]
