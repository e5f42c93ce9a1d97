"""Files of host policies: the table of this package and the user's ``--host_policies``, both in YAML.

Comes in: a path. Goes out: ``HostPolicies``, or one ``OptionError`` that says what is wrong in which entry.
Called once, where a run's settings are made; the policies travel to workers with these.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from img2dataset.errors import OptionError
from img2dataset.fetching.hosts.policies import BELOW, HostPolicies, HostPolicy
from img2dataset.fetching.hosts.politeness import host_of
from img2dataset.fetching.urls import UrlRefused, to_uri

KNOWN_HOSTS = os.path.join(os.path.dirname(__file__), "known_hosts.yaml")
BYTES_PER_MBIT = 1e6 / 8
LEAST_RATE, LARGEST_RATE = 0.001, 1_000_000_000
_HOW = "write 'HOST:', and lines such as 'connections: 2' under it"


@dataclass(frozen=True)
class _Field:
    """A line of an entry: which part of ``HostPolicy`` it is, what it takes, and how that is read."""

    part: str
    takes: str
    read: Callable[[Any], Any]


def load_policies(path: str | None) -> HostPolicies:
    """The policies of this package and those of the user's file.

    Args:
        path: of the user's file; None: there is none.

    Raises:
        OptionError: the file cannot be read, or is none of policies.
    """
    users = _read(path, f"--host_policies {path}", is_users=True) if path is not None else ()
    return HostPolicies(_read(KNOWN_HOSTS, KNOWN_HOSTS, is_users=False), users)


def _read(path: str, shown: str, is_users: bool) -> tuple[HostPolicy, ...]:
    import yaml

    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
        entries = yaml.safe_load(text)
        named_twice = _named_twice(yaml.compose(text, Loader=yaml.SafeLoader))
    except OSError as error:
        raise OptionError(
            f"{shown} cannot be read: {error.strerror}; give the path of a file of policies"
        ) from None
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark is not None else ""
        raise OptionError(f"{shown} is no YAML{where}; {_HOW}") from None
    except ValueError as error:  # it is not in UTF-8, or has a date that is none
        raise OptionError(f"{shown} is not understood ({error}); {_HOW}") from None
    if named_twice:
        raise OptionError(f"{shown} has {named_twice!r} twice in one place; leave one of them")
    if not isinstance(entries, dict):
        raise OptionError(f"{shown} holds no hosts; {_HOW}")
    policies: dict[str, HostPolicy] = {}
    for name, lines in entries.items():
        policy = _policy(name, lines, shown, is_users)
        if policy.host in policies:
            raise OptionError(f"{shown} has {name!r}, which it has in another spelling before; leave one")
        policies[policy.host] = policy
    return tuple(policies.values())


def _policy(name: Any, lines: Any, shown: str, is_users: bool) -> HostPolicy:
    host = _host(name)
    if host is None:
        raise OptionError(
            f"{shown} has the entry {_quoted(name)}; a host is written NAME, NAME:PORT, or *.NAME for all"
            " below it, in quotes where it begins with * or [, and without http:// and path"
        )
    if not isinstance(lines, dict):
        raise OptionError(f"{shown} has {_quoted(lines)} for {name!r}; {_HOW}")
    parts = {}
    for key, value in lines.items():
        field = _FIELDS.get(key)
        if field is None:
            near = difflib.get_close_matches(str(key), _FIELDS, n=1)
            hint = f" (did you mean {near[0]}?)" if near else ""
            raise OptionError(
                f"{shown} has {_quoted(key)} for {name!r}{hint}; a host takes {', '.join(_FIELDS)}"
            )
        read = field.read(value)
        if read is None:
            raise OptionError(f"{shown} has {key}: {_quoted(value)} for {name!r}; it takes {field.takes}")
        parts[field.part] = read
    return HostPolicy(host=host, is_users=is_users, **parts)


def _host(name: Any) -> str | None:
    """How ``HostPolicy`` names what a file calls ``name``; None if that is no host."""
    if not isinstance(name, str):
        return None
    bare = name.removeprefix(BELOW)
    prefix = BELOW if bare != name else ""
    if not bare or set(bare) & set("*/?#@\\ "):
        return None
    try:
        return prefix + host_of(to_uri(f"http://{bare}/")).removesuffix(".")
    except UrlRefused:
        return None


def _named_twice(node: Any) -> str | None:
    """A key that one of the mappings of a YAML document has twice, of which the reader takes the last."""
    seen: set[str] = set()
    for key, value in node.value if node is not None and node.id == "mapping" else ():
        if str(key.value) in seen:
            return str(key.value)
        seen.add(str(key.value))
        if (found := _named_twice(value)) is not None:
            return found
    return None


def _quoted(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _whole_number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _rate(value: Any) -> float | None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if is_number and LEAST_RATE <= value <= LARGEST_RATE else None


def _bytes_per_s(value: Any) -> float | None:
    mbit = _rate(value)
    return None if mbit is None else mbit * BYTES_PER_MBIT


def _yes_or_no(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _date(value: Any) -> str | None:
    # YAML makes a date of what looks like one.
    return str(value) if isinstance(value, (str, date)) else None


_A_RATE = f"a number from {LEAST_RATE} to {LARGEST_RATE}"
_FIELDS: Mapping[str, _Field] = {
    "connections": _Field("connections", "a whole number of at least 0, which is no bound", _whole_number),
    "mbit_per_s": _Field("bytes_per_s", _A_RATE, _bytes_per_s),
    "requests_per_s": _Field("requests_per_s", _A_RATE, _rate),
    "contact": _Field("needs_contact", "true or false", _yes_or_no),
    "source": _Field("source", "a text", _text),
    "date": _Field("date", "a date, such as 2025-04-08", _date),
}
