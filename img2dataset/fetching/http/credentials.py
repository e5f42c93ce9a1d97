"""Who we are at named hosts. Comes in: a file of credentials; goes out: the Authorization of a request.

A list of URLs is not trusted with secrets: they go to the host they are named for and to no other, never
along a redirect from elsewhere, and in clear text (http) only where the file says so or on one's own network.
"""

from __future__ import annotations

import base64
import json
import netrc
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from img2dataset.errors import OptionError
from img2dataset.fetching.hosts.politeness import host_of, is_own_network

ENVIRONMENT_VARIABLE = "IMG2DATASET_CREDENTIALS"
_FORMS = (
    'as netrc ("machine HOST login USER password PASSWORD") or JSON '
    '({"HOST": {"bearer": "TOKEN"}, "HOST:PORT": {"user": "USER", "password": "PASSWORD"}})'
)


@dataclass(frozen=True, slots=True, repr=False)
class Secret:
    """A text that must not be seen: a password, token or cookie. Picklable, for workers.

    ``reveal`` is the one way to it: not ``str``, ``repr``, ``format``, nor JSON.
    """

    _text: str

    def reveal(self) -> str:
        """The text itself, for the wire."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__


@dataclass(frozen=True, slots=True)
class Credential:
    """The value of Authorization for one host.

    ``host``: as ``politeness.host_of`` names it; ``scheme``: only for that one.
    """

    host: str
    scheme: str | None
    authorization: Secret


def load_credentials(path: str) -> tuple[Credential, ...]:
    """The credentials of a netrc or JSON file.

    Raises:
        OptionError: the file cannot be read, or is neither; never quotes what is in it.
    """
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise OptionError(
            f"the credentials file {path!r} cannot be read as text; write it {_FORMS}"
        ) from error
    return _from_json(path, text) if text.lstrip().startswith("{") else _from_netrc(path)


class Credentials:
    """Finds the Authorization of a request."""

    def __init__(self, credentials: Iterable[Credential]) -> None:
        self._by_host: dict[str, list[Credential]] = {}
        for credential in credentials:
            self._by_host.setdefault(credential.host, []).append(credential)

    def header_for(self, uri: str) -> str | None:
        """The value of Authorization; None if there is none, or if the URL brings its own."""
        if not self._by_host:
            return None
        host = host_of(uri)
        scheme, _, rest = uri.partition("://")
        if "@" in rest.partition("/")[0]:
            return None
        for credential in self._by_host.get(host, ()):
            may_be_read = scheme == "http" and credential.scheme != "http" and not is_own_network(host)
            if credential.scheme in (None, scheme) and not may_be_read:
                return credential.authorization.reveal()
        return None


def _from_netrc(path: str) -> tuple[Credential, ...]:
    try:
        hosts = netrc.netrc(path).hosts
    except netrc.NetrcParseError as error:
        raise OptionError(
            f"line {error.lineno} of the credentials file {path!r} is not understood; write it {_FORMS}"
        ) from None
    if "default" in hosts:
        raise OptionError(
            f"the credentials file {path!r} has a default entry, which would give a password to every host "
            "of the list; name the hosts instead"
        )
    return tuple(
        _credential(path, host, _basic(path, host, login or account or "", password or ""))
        for host, (login, account, password) in hosts.items()
    )


def _from_json(path: str, text: str) -> tuple[Credential, ...]:
    try:
        content: dict[str, Any] = json.loads(text)
    except (ValueError, RecursionError):
        raise OptionError(f"the credentials file {path!r} is not valid JSON; write it {_FORMS}") from None
    found = []
    for host, entry in content.items():
        keys = set(entry) if isinstance(entry, dict) else set()
        if keys not in ({"bearer"}, {"user", "password"}) or not all(
            isinstance(value, str) for value in entry.values()
        ):
            raise OptionError(
                f"the entry of {host!r} in the credentials file {path!r} is not understood; write it {_FORMS}"
            )
        if keys == {"bearer"}:
            found.append(_credential(path, host, f"Bearer {entry['bearer']}"))
        else:
            found.append(_credential(path, host, _basic(path, host, entry["user"], entry["password"])))
    return tuple(found)


def _basic(path: str, host: str, user: str, password: str) -> str:
    try:
        pair = f"{user}:{password}".encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON can write: "\\ud800"
        raise _unsendable(path, host, "they must be text that UTF-8 can encode") from None
    return "Basic " + base64.b64encode(pair).decode("ascii")


def _credential(path: str, host: str, authorization: str) -> Credential:
    scheme, separator, authority = host.rpartition("://")
    is_web = scheme.lower() in ("http", "https") if separator else True
    if not is_web or not authority.strip("/") or set(authority.strip("/")) & set("/@ ?#"):
        raise OptionError(
            f"the credentials file {path!r} names the host {host!r}; "
            "it must be HOST, HOST:PORT, https://HOST or http://HOST"
        )
    if not (authorization.isascii() and authorization.isprintable()):
        raise _unsendable(path, host, "they must be printable ASCII")
    return Credential(
        host_of(f"https://{authority.strip('/')}"), scheme.lower() or None, Secret(authorization)
    )


def _unsendable(path: str, host: str, wanted: str) -> OptionError:
    return OptionError(
        f"the credentials of {host!r} in the file {path!r} have characters that a header cannot carry;"
        f" {wanted}"
    )
