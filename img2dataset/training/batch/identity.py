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
import sys
import textwrap
import threading
import types
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from img2dataset.errors import OptionError

_PLAIN = (type(None), bool, int, float, complex, str, bytes, range, type(Ellipsis))
_VALUES = (bool, int, float, str, bytes, tuple, list, dict, set, frozenset)
_DEEPEST = 40
# They decide when something is made, not what.
_LOCKS = (type(threading.Lock()), type(threading.RLock()))
# Folders that packages are installed into.
INSTALLED = frozenset(("site-packages", "dist-packages"))


def identity(value: Any, name: str) -> str:
    """A text for what ``value`` does.

    Of functions it has their code, defaults, and what they close over; of objects their class and all they
    hold; of tensors a hash. What functions and classes of the user's own code read from their modules is
    told as well, and what that reads. Of installed packages only what is given itself is looked into.

    Args:
        value: what makes something of a sample.
        name: what it was given as, for the message.

    Raises:
        OptionError: it holds, or reads, something that cannot be known again, such as an open file.
    """
    describing = _Describing(name)
    return "\n".join([describing.of(value), *describing.reached()])


class _Describing:
    """Describes one value; knows where it has been, since objects may hold each other.

    Functions and classes are numbered as they are come across, and described one after the other: they
    may lead to each other in any depth.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._inside: dict[int, int] = {}
        self._numbers: dict[int, int] = {}
        self._reached: list[Any] = []

    def of(self, value: Any) -> str:
        if isinstance(value, _PLAIN):
            return repr(value)
        if isinstance(value, types.FunctionType) or (isinstance(value, type) and is_own_code(value)):
            return f"{_named(value)}#{self._number_of(value)}"
        if id(value) in self._inside:
            return f"<{self._inside[id(value)]} above>"
        if len(self._inside) >= _DEEPEST:
            raise self._refused(value)
        self._inside[id(value)] = len(self._inside)
        try:
            return self._of_compound(value)
        finally:
            del self._inside[id(value)]

    def reached(self) -> Iterator[str]:
        """A text for each function and class that was come across, and for those that these lead to."""
        for number, one in enumerate(self._reached):  # grows meanwhile
            told = self._of_class(one) if isinstance(one, type) else self._of_function(one)
            yield f"{number}: {told}"

    def _number_of(self, value: Any) -> int:
        if id(value) not in self._numbers:
            self._numbers[id(value)] = len(self._reached)
            self._reached.append(value)
        return self._numbers[id(value)]

    def _of_compound(self, value: Any) -> str:
        kind = type(value)
        if isinstance(value, enum.Enum):
            return f"{self.of(kind)}.{value.name}={self.of(value.value)}"
        if isinstance(value, functools.partial):
            return f"partial({self.of(value.func)}, {self.of(value.args)}, {self.of(value.keywords)})"
        if isinstance(value, types.MethodType):
            return f"method({self.of(value.__func__)}, {self.of(value.__self__)})"
        if isinstance(value, (type, types.BuiltinFunctionType, types.ModuleType)):
            return _named(value)
        if isinstance(value, os.PathLike):
            return f"path({os.fspath(value)!r})"
        if kind in (dict, OrderedDict, types.MappingProxyType):
            pairs = [f"{self.of(key)}: {self.of(each)}" for key, each in _in_order(value.items(), _key_of)]
            return f"{_named(kind)}({', '.join(sorted(pairs))})"
        if isinstance(value, (set, frozenset)):
            members = map(self.of, _in_order(value, _sorted_by))
            return f"{self.of(kind)}({', '.join(sorted(members))})"
        if kind in (list, tuple):
            return f"{_named(kind)}({', '.join(map(self.of, value))})"
        if hasattr(value, "dtype") and (hasattr(value, "tobytes") or hasattr(value, "detach")):
            return self._of_array(value)
        if callable(value) and isinstance(getattr(value, "__wrapped__", None), types.FunctionType):
            # functools.cache and its like, which pickle by their name.
            return f"{_named(kind)}({self.of(value.__wrapped__)})"
        return self._of_object(value)

    def _of_function(self, function: types.FunctionType) -> str:
        closed_over = [cell.cell_contents for cell in function.__closure__ or () if _has_contents(cell)]
        parts = [function.__defaults__, function.__kwdefaults__, closed_over, self._used_by(function)]
        return f"function({_named(function)}, {_code(function)}, {', '.join(map(self.of, parts))})"

    def _used_by(self, function: types.FunctionType) -> dict[str, Any]:
        """What a function, and those inside it, read from their module, by name."""
        names = dict.fromkeys(name for code in _codes(function.__code__) for name in code.co_names)
        found = {name: function.__globals__[name] for name in names if name in function.__globals__}
        if not is_own_code(function):
            return {
                name: value
                for name, value in found.items()
                if isinstance(value, _VALUES)
                or (isinstance(value, types.FunctionType) and value.__module__ == function.__module__)
            }
        modules = [(name, value) for name, value in found.items() if isinstance(value, types.ModuleType)]
        for path, module in modules:  # grows: those inside packages
            for name in names if is_own_code(module) else ():
                value = vars(module).get(name)
                if value is not None and f"{path}.{name}" not in found and path.count(".") < _DEEPEST:
                    found[f"{path}.{name}"] = value
                    if isinstance(value, types.ModuleType):
                        modules.append((f"{path}.{name}", value))
        return {
            name: _name_only(value) if _is_installed(value) else value
            for name, value in found.items()
            if not isinstance(value, _LOCKS)
        }

    def _of_class(self, kind: type) -> str:
        """What a class inherits, its methods, and the values in it."""
        members = {
            name: _function_of(member)
            for name, member in vars(kind).items()
            if name != "_abc_impl" and not _is_made_by_python(name, member)
        }
        return f"class({_named(kind)}, {self.of(kind.__bases__)}, {self.of(members)})"

    def _of_object(self, value: Any) -> str:
        """By what it would be copied from: its class, and all it holds."""
        kind = type(value)
        code = self.of(kind) if is_own_code(kind) else _class_code(kind)
        try:
            # As pickle does it: a class may have been registered by others.
            registered = copyreg.dispatch_table.get(kind)
            reduced = registered(value) if registered is not None else value.__reduce_ex__(2)
        except Exception as error:  # of any class
            raise self._refused(value) from error
        if isinstance(reduced, str):
            return f"{_named(kind)}.{reduced}"
        make, arguments, *state = reduced
        if _named(make) == "copyreg.__newobj__":
            make, arguments = arguments[0], arguments[1:]
        items = [list(each) if each is not None and position else each for position, each in enumerate(state)]
        return f"object({_named(kind)}, {code}, {self.of(make)}, {self.of(arguments)}, {self.of(items)})"

    def _of_array(self, value: Any) -> str:
        array = value.detach().cpu().contiguous() if hasattr(value, "detach") else value
        if getattr(value.dtype, "hasobject", False):  # its bytes are addresses
            data = self.of(array.tolist()).encode()
        else:
            try:
                data = array.tobytes() if hasattr(array, "tobytes") else array.view(-1).numpy().tobytes()
            except Exception:  # a type that NumPy lacks, such as bfloat16
                data = repr(array.tolist()).encode()
        return f"array({value.dtype}, {tuple(value.shape)}, {_short(data)})"

    def _refused(self, value: Any) -> OptionError:
        return OptionError(
            f"{self._name} holds or reads a {_named(type(value))}, which cannot be known again in another"
            " process, so that features made with it could be taken for others; give an object that can be"
            " pickled, or do this part in compute and name it in version="
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

    Two lambdas of one line have one source: their code, constants and names tell them apart.
    """
    codes = list(_codes(function.__code__))
    compiled = "".join(code.co_code.hex() for code in codes)
    names = repr(
        [
            (code.co_names, code.co_varnames, [each for each in code.co_consts if isinstance(each, _PLAIN)])
            for code in codes
        ]
    )
    try:
        source = textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError):
        source = compiled
    return _short(source + names + (compiled if function.__name__ == "<lambda>" else ""))


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    """The code of a function, and of the functions, lambdas and comprehensions inside it."""
    yield code
    for each in code.co_consts:
        if isinstance(each, types.CodeType):
            yield from _codes(each)


def _class_code(kind: type) -> str:
    """The source of an installed class, where it has one; what it inherits is told by its name alone."""
    try:
        return _short(textwrap.dedent(inspect.getsource(kind)))
    except (OSError, TypeError):
        return "-"


def is_own_code(value: Any) -> bool:
    """Whether a function, class or module is of the user's own code: of no installed package."""
    name = value.__name__ if isinstance(value, types.ModuleType) else getattr(value, "__module__", None)
    if not isinstance(name, str) or name.partition(".")[0] == "img2dataset":
        return False
    if name == "__main__":
        return True
    if name.partition(".")[0] in sys.stdlib_module_names:
        return False
    # Modules that have no file were made by the user's program, unless they are written in C.
    file = getattr(sys.modules.get(name), "__file__", None)
    return file is None or not INSTALLED.intersection(Path(file).parts)


def _is_installed(value: Any) -> bool:
    return isinstance(value, (type, types.FunctionType, types.ModuleType)) and not is_own_code(value)


def _name_only(value: Any) -> str:
    return f"installed {_named(value)}"


def _function_of(member: Any) -> Any:
    """What makes the value of a member of a class."""
    if isinstance(member, (staticmethod, classmethod)):
        return (type(member).__name__, member.__func__)
    if isinstance(member, property):
        return (member.fget, member.fset, member.fdel)
    if isinstance(member, functools.cached_property):
        return member.func
    if inspect.ismemberdescriptor(member) or inspect.isgetsetdescriptor(member):
        return _named(member)
    return member


def _is_made_by_python(name: str, member: Any) -> bool:
    """Whether a member of a class describes it, as its documentation, and does nothing."""
    return name.startswith("__") and name.endswith("__") and not callable(_function_of(member))


def _in_order(values: Iterable[Any], sorted_by: Callable[[Any], str]) -> list[Any]:
    """The same order in every process, so that functions among them get the same numbers."""
    return sorted(values, key=sorted_by)


def _key_of(item: tuple[Any, Any]) -> str:
    return _sorted_by(item[0])


def _sorted_by(value: Any) -> str:
    if isinstance(value, _PLAIN):
        return repr(value)
    return _named(value) if isinstance(value, (type, types.FunctionType)) else ""


def _short(data: str | bytes) -> str:
    return hashlib.sha256(data.encode() if isinstance(data, str) else data).hexdigest()[:20]
