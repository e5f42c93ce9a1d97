"""A verifier of HTTP message signatures, written from RFC 9421 and RFC 8941, with nothing of the program.

``verify_request(head, key, now)`` takes a request as a server has read it: request line and header lines. It
parses the structured fields, builds the signature base from the request and asks ``cryptography``.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

_KEY = re.compile(r"[a-z*][a-z0-9_\-.*]*")
_STRING = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])*)"')
_INTEGER = re.compile(r"-?[0-9]{1,15}")
_BYTES = re.compile(r":([A-Za-z0-9+/=]*):")
_TOKEN = re.compile(r"[A-Za-z*][!#$%&'*+\-.^_`|~0-9A-Za-z:/]*")


class Wrong(Exception):
    """A request whose signature does not hold."""


@dataclass
class Verified:
    """What the signature says: the covered components, and its parameters."""

    components: list[str]
    parameters: dict[str, Any]
    agent: str


class Fields:
    """Parses one structured field (RFC 8941, 4.2)."""

    def __init__(self, text: str) -> None:
        self._text, self._at = text.strip(" "), 0

    def dictionary(self) -> dict[str, tuple[Any, dict[str, Any], str]]:
        """By key: the value, its parameters, and the text of both."""
        found = {}
        while True:
            key = self._match(_KEY).group()
            self._expect("=")
            start = self._at
            value = self._inner_list() if self._peek() == "(" else self._bare()
            found[key] = (value, self._parameters(), self._text[start : self._at])
            self._skip()
            if self._at == len(self._text):
                return found
            self._expect(",")
            self._skip()

    def item(self) -> Any:
        value = self._bare()
        if self._at != len(self._text):
            raise Wrong(f"more than an item: {self._text}")
        return value

    def _inner_list(self) -> list[tuple[Any, dict[str, Any]]]:
        self._expect("(")
        items = []
        while True:
            self._skip()
            if self._peek() == ")":
                self._at += 1
                return items
            items.append((self._bare(), self._parameters()))

    def _parameters(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while self._peek() == ";":
            self._at += 1
            self._skip()
            key, value = self._match(_KEY).group(), True
            if self._peek() == "=":
                self._at += 1
                value = self._bare()
            found[key] = value
        return found

    def _bare(self) -> Any:
        start = self._peek()
        if start == '"':
            return re.sub(r"\\(.)", r"\1", self._match(_STRING).group(1))
        if start == ":":
            return base64.b64decode(self._match(_BYTES).group(1), validate=True)
        if start.isdigit() or start == "-":
            return int(self._match(_INTEGER).group())
        return self._match(_TOKEN).group()

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _skip(self) -> None:
        while self._peek() == " ":
            self._at += 1

    def _expect(self, mark: str) -> None:
        if self._peek() != mark:
            raise Wrong(f"{mark!r} is missing at {self._at} of {self._text}")
        self._at += 1

    def _match(self, pattern: re.Pattern[str]) -> re.Match[str]:
        match = pattern.match(self._text, self._at)
        if match is None:
            raise Wrong(f"{self._text} is not understood from {self._at} on")
        self._at = match.end()
        return match


def verify_request(
    head: str, key: Ed25519PublicKey, now: float, scheme: str = "http", tag: str = "web-bot-auth"
) -> Verified:
    """Verify the one signature of a request with the parameter ``tag``.

    Args:
        head: request line and header lines, as they came.
        key: of the one who is said to have signed.
        now: seconds since 1970; the signature must be valid then.
        scheme: of the server.

    Raises:
        Wrong, cryptography's InvalidSignature: it does not hold.
    """
    fields = _fields(head)
    inputs = Fields(_only(fields, "signature-input")).dictionary()
    signatures = Fields(_only(fields, "signature")).dictionary()
    (label,) = [name for name, (_, parameters, _) in inputs.items() if parameters.get("tag") == tag]
    covered, parameters, text = inputs[label]
    if not parameters["created"] <= now < parameters["expires"]:
        raise Wrong(f"valid from {parameters['created']} to {parameters['expires']}, and it is {now}")
    lines = []
    for name, more in covered:
        if more:
            raise Wrong(f"parameters of {name}: {more}")
        lines.append(f'"{name}": {_component(name, fields, scheme)}')
    lines.append(f'"@signature-params": {text}')
    key.verify(signatures[label][0], "\n".join(lines).encode("ascii"))
    return Verified(
        [name for name, _ in covered], parameters, str(Fields(_only(fields, "signature-agent")).item())
    )


def _component(name: str, fields: dict[str, list[str]], scheme: str) -> str:
    if name == "@authority":  # 2.2.3: normalized, the usual port left out
        host = _only(fields, "host").lower()
        return host.removesuffix({"http": ":80", "https": ":443"}[scheme])
    if name.startswith("@"):
        raise Wrong(f"the component {name} is not known here")
    return ", ".join(fields[name])


def _fields(head: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in head.strip().splitlines()[1:]:
        name, _, value = line.partition(":")
        found.setdefault(name.strip().lower(), []).append(value.strip())
    return found


def _only(fields: dict[str, list[str]], name: str) -> str:
    values = fields.get(name, [])
    if len(values) != 1:
        raise Wrong(f"{len(values)} of {name}")
    return values[0]
