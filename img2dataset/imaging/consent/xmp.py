"""One property of an XMP packet (ISO 16684-1): the packet comes in, the property's values go out.

Read by expat as plain XML, so that any prefix, character references and CDATA are understood. A packet with a
document type is not read: XMP has none, and entities are declared there. Of a packet that is cut or broken,
what stands before the break counts.
"""

from __future__ import annotations

from contextlib import suppress
from xml.parsers import expat

# Real packets nest some ten deep.
_DEEPEST = 100
_MOST_VALUES = 1_000
_LONGEST_TEXT = 2_000
# Attributes of rdf that hold the value of the element they stand in.
_VALUE_ATTRIBUTES = frozenset({"resource", "value"})


def values_of(packet: bytes, namespace: str, name: str) -> list[str]:
    """The values of the property ``name`` of ``namespace``, as attribute and as element, wherever they stand.

    The items of a list are a value each. None of them is empty, or of blanks.
    """
    wide = "\0".join(name).encode("ascii")
    if name.encode("ascii") not in packet and wide not in packet:
        # Most packets: not parsed at all.
        return []
    finder = _Finder(namespace, name)
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.ordered_attributes = True
    parser.StartElementHandler = finder.start
    parser.EndElementHandler = finder.end
    parser.CharacterDataHandler = finder.text
    parser.StartDoctypeDeclHandler = _refuse
    with suppress(expat.ExpatError, _Stop):
        # Given as text, expat takes no encoding from the packet.
        parser.Parse(_text_of(packet, wide), True)
    return finder.values


class _Stop(Exception):
    """No more is read."""


def _refuse(*declared: object) -> None:
    raise _Stop


def _text_of(packet: bytes, wide: bytes) -> str:
    encoding = "utf-8"
    at = packet.find(wide)
    if at >= 0:
        # Of ASCII characters in UTF-16 the first byte is zero where the larger half comes first.
        encoding = "utf-16-be" if at % 2 else "utf-16-le"
    return packet.decode(encoding, "replace").strip("\0\ufeff \t\r\n")


def _is_declaration(key: str) -> bool:
    return key == "xmlns" or key.startswith("xmlns:")


class _Finder:
    """Takes the events of a parser and keeps the values.

    Prefixes are resolved here: expat would copy a long namespace for every name that has its prefix.
    """

    def __init__(self, namespace: str, name: str):
        self.values: list[str] = []
        self._namespace = namespace
        self._name = name
        self._prefixes: set[str] = set()
        # For each open element, the prefixes that it has taken away or given, and whether they were there.
        self._changes: list[list[tuple[str, bool]]] = []
        # The depth of the element of the property that is open.
        self._inside: int | None = None
        self._texts: list[str] = []

    def start(self, element: str, attributes: list[str]) -> None:
        if len(self._changes) >= _DEEPEST:
            raise _Stop
        pairs = list(zip(attributes[::2], attributes[1::2], strict=True))
        self._changes.append([self._declare(key, value) for key, value in pairs if _is_declaration(key)])
        self._take_text()
        if self._inside is None and self._is_property(element):
            self._inside = len(self._changes)
        for key, value in pairs:
            # An attribute without a prefix is in no namespace.
            is_property = ":" in key and self._is_property(key)
            is_value = self._inside is not None and key.rpartition(":")[2] in _VALUE_ATTRIBUTES
            if is_property or is_value:
                self._add(value)

    def end(self, element: str) -> None:
        self._take_text()
        if self._inside == len(self._changes):
            self._inside = None
        for prefix, was_there in reversed(self._changes.pop()):
            (self._prefixes.add if was_there else self._prefixes.discard)(prefix)

    def text(self, text: str) -> None:
        if self._inside is not None:
            self._texts.append(text[:_LONGEST_TEXT])

    def _declare(self, key: str, value: str) -> tuple[str, bool]:
        prefix = key[len("xmlns:") :]
        was_there = prefix in self._prefixes
        (self._prefixes.add if value == self._namespace else self._prefixes.discard)(prefix)
        return prefix, was_there

    def _is_property(self, name: str) -> bool:
        prefix, _, local = name.rpartition(":")
        return local == self._name and prefix in self._prefixes

    def _take_text(self) -> None:
        if self._texts:
            self._add("".join(self._texts))
            self._texts = []

    def _add(self, value: str) -> None:
        if value := value[:_LONGEST_TEXT].strip():
            self.values.append(value)
        if len(self.values) >= _MOST_VALUES:
            raise _Stop
