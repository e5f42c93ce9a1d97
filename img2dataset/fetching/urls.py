"""One URL as people write it → the URI that goes on the wire, or the reason why it cannot be fetched.

``data:`` URLs (RFC 2397), whose body is in the list itself, → that body.

Comes in: any text of a list, or a redirect's Location. Goes out: an ASCII URI without fragment, in
the terms of RFC 3986 and 3987 (spaces and non-ASCII characters percent-encoded as UTF-8, escapes that
are there kept, host names in IDNA, IPv4 addresses as four decimal numbers), and nothing that could break out
of a request line. Pure functions; called by the fetcher for each row and each redirect hop.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Collection
from urllib.parse import quote, unquote, unquote_to_bytes, urljoin

from img2dataset import failures
from img2dataset.failures import Failure
from img2dataset.fetching.addresses import numeric_address

MAX_URL_CHARACTERS = 65_536
WEB_SCHEMES = frozenset({"http", "https", "data"})
# Named in failures because lists have them; any other scheme stays unnamed, to keep the texts few.
KNOWN_SCHEMES = frozenset(
    [
        "about",
        "blob",
        "file",
        "ftp",
        "ftps",
        "gs",
        "hdfs",
        "hf",
        "ipfs",
        "javascript",
        "mailto",
        "s3",
        "sftp",
        "tel",
    ]
)

_BYTE = r"(?:[0-9]|[1-9][0-9]|1[0-9][0-9]|2[0-4][0-9]|25[0-5])"
# Most URLs of real lists need no work: this match decides in a microsecond.
_ALREADY_URI = re.compile(
    # A last part that begins with a letter belongs to a name; other spellings of numbers take the long way.
    rf"https?://(?:(?:[A-Za-z0-9_-]{{1,63}}\.){{0,3}}[A-Za-z][A-Za-z0-9_-]{{0,62}}|{_BYTE}(?:\.{_BYTE}){{3}})"
    r"(?::[0-9]{1,4})?"
    r"/(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/?\[\]]|%[0-9A-Fa-f]{2})*"
)
SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*")
_SCHEME = re.compile(rf"({SCHEME.pattern}):")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_TO_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})|[^A-Za-z0-9\-._~!$&'()*+,;=:@/?\[\]%]")
_TO_ESCAPE_IN_USER = re.compile(r"%(?![0-9A-Fa-f]{2})|[^A-Za-z0-9\-._~!$&'()*+,;=:%]")
_HOST = re.compile(r"[A-Za-z0-9._~-]+")
_IPV6 = re.compile(r"\[(?=[^\]]*:)[0-9A-Fa-f:.]{2,45}\]")
# Control characters and the space, as browsers; and what spreadsheets leave around an address.
_WHITESPACE = "".join(map(chr, range(0x21))) + "\u00a0\u3000\ufeff"
_TABS_AND_LINE_ENDS = {ord(character): None for character in "\t\r\n"}
# In base64: what is skipped, and what remains.
_IGNORED = re.compile(rb"[\s=]+")
_BASE64 = re.compile(rb"[A-Za-z0-9+/]*")
_AUTHORITY = re.compile(rb"[\x00-\x20]*(?:[A-Za-z][A-Za-z0-9+.\-]*:)?[/\\]{2,}[^/\\?#]*")


class UrlRefused(ValueError):
    """A URL that cannot or may not be fetched; ``failure`` says why."""

    def __init__(self, failure: Failure):
        super().__init__(failure)
        self.failure = failure


def scheme_of(text: str) -> str:
    """The scheme of ``text`` in lower case, empty if it has none."""
    match = _SCHEME.match(text)
    return match.group(1).lower() if match else ""


def host_and_port(uri: str) -> tuple[str, int]:
    """The host (IPv6 in brackets) and the port of a URI that ``to_uri`` has made."""
    start = uri.index("//") + 2
    authority = uri[start : uri.index("/", start)]
    host = authority[authority.rfind("@") + 1 :]
    colon = host.rfind(":")
    if colon > host.rfind("]"):
        return host[:colon], int(host[colon + 1 :])
    return host, 443 if uri.startswith("https") else 80


def to_uri(text: str, more_schemes: Collection[str] = ()) -> str:
    """The URI to request for ``text``; a ``data:`` URL is returned as it is, stripped.

    Args:
        text: as it stands in the list.
        more_schemes: allowed beside http, https and data; their URLs are returned as they are, stripped,
            and a plain path as ``file`` if that is among them.

    Raises:
        UrlRefused: ``invalid url: …`` or ``scheme: …``.
    """
    if len(text) <= MAX_URL_CHARACTERS and _ALREADY_URI.fullmatch(text):
        return text
    text = stripped(text)
    scheme = scheme_of(text)
    if scheme == "data":
        return text
    if more_schemes and (scheme in more_schemes or ("file" in more_schemes and text.startswith("/"))):
        return _stored(text)
    _check_scheme(text, scheme)
    if len(text) > MAX_URL_CHARACTERS:
        raise UrlRefused(failures.URL_TOO_LONG)
    rest = _with_slashes(text[len(scheme) + 1 :].partition("#")[0]).lstrip("/")
    end_of_authority = min((end for end in (rest.find("/"), rest.find("?")) if end >= 0), default=len(rest))
    authority, path = rest[:end_of_authority], rest[end_of_authority:]
    if _CONTROL.search(authority):
        raise UrlRefused(failures.URL_CONTROL_CHARACTER)
    path = _TO_ESCAPE.sub(_escape, path)
    return f"{scheme}://{_authority(authority)}{path if path.startswith('/') else '/' + path}"


def stripped(text: str) -> str:
    """Without what browsers take away: white space around, tabs and line ends anywhere."""
    return text.strip(_WHITESPACE).translate(_TABS_AND_LINE_ENDS)


def _with_slashes(rest: str) -> str:
    """With slashes for backslashes, as far as the path reaches."""
    path, question_mark, query = rest.partition("?")
    return path.replace("\\", "/") + question_mark + query


def redirect_target(base: str, location: bytes) -> str:
    """The URI that a Location header of the answer from ``base`` leads to.

    As the URL standard and the Fetch standard have it: an empty one, and one of a fragment alone, is ``base``
    again; bytes that are no ASCII are escaped each as itself, whatever their encoding.

    Raises:
        UrlRefused: as ``to_uri``; also for ``data:``, which no server may send us to.
    """
    text = stripped(_text_of(location)).partition("#")[0]
    scheme = scheme_of(text)
    own_scheme = scheme_of(base)
    if scheme == "data":
        raise UrlRefused(failures.of_scheme("data"))
    if scheme and scheme != own_scheme:
        return to_uri(text)
    rest = _with_slashes(text[len(scheme) + 1 :] if scheme else text)
    if rest.startswith("//"):
        return to_uri(f"{own_scheme}:{rest}")
    if not rest:
        return base
    if rest.startswith("?"):
        return to_uri(base.partition("?")[0] + rest)
    try:
        # A lone ":" in the first part of a path would pass for a scheme.
        return to_uri(urljoin(base, rest if rest.startswith("/") else f"./{rest}"))
    except ValueError as error:
        if isinstance(error, UrlRefused):
            raise
        raise UrlRefused(failures.URL_MALFORMED) from None


def _text_of(location: bytes) -> str:
    """The header as text: its host by UTF-8, or else Latin-1; in its path each byte as itself."""
    match = _AUTHORITY.match(location)
    end = match.end() if match else 0
    try:
        beginning = location[:end].decode("utf-8")
    except UnicodeDecodeError:
        beginning = location[:end].decode("latin-1")
    return beginning + "".join(chr(byte) if byte < 0x80 else f"%{byte:02X}" for byte in location[end:])


def _stored(text: str) -> str:
    """A URL that is not for the web, as the file systems read it."""
    if len(text) > MAX_URL_CHARACTERS:
        raise UrlRefused(failures.URL_TOO_LONG)
    if _CONTROL.search(text):
        raise UrlRefused(failures.URL_CONTROL_CHARACTER)
    return "file://" + quote(text, errors="surrogatepass") if text.startswith("/") else text


def _check_scheme(text: str, scheme: str) -> None:
    if scheme in WEB_SCHEMES:
        return
    if not text:
        raise UrlRefused(failures.URL_EMPTY)
    # "example.com:8080/a.jpg" and "example.com/a.jpg" have no scheme, whatever stands before a colon.
    if not scheme or "." in scheme or re.match(r"[0-9]+(?:/|$)", text[len(scheme) + 1 :]):
        raise UrlRefused(failures.URL_NO_SCHEME)
    raise UrlRefused(failures.of_scheme(scheme) if scheme in KNOWN_SCHEMES else failures.SCHEME_NOT_ALLOWED)


def _escape(match: re.Match[str]) -> str:
    try:
        encoded = match.group().encode("utf-8")
    except UnicodeEncodeError:
        raise UrlRefused(failures.URL_NOT_UNICODE) from None
    return "".join(f"%{byte:02X}" for byte in encoded)


def _authority(authority: str) -> str:
    user, at, host_and_port = authority.rpartition("@")
    if host_and_port.startswith("["):
        host, bracket, port = host_and_port.partition("]")
        host += bracket
    else:
        host, colon, port = host_and_port.partition(":")
        port = colon + port
    digits = port[1:].lstrip("0") or port[1:2]
    if port and (not re.fullmatch(r":[0-9]*", port) or len(digits) > 5 or int(digits or 0) > 65_535):
        raise UrlRefused(failures.URL_PORT)
    port = f":{digits}" if digits else ""
    return f"{_TO_ESCAPE_IN_USER.sub(_escape, user)}{at}{_host(host)}{port}"


def _host(host: str) -> str:
    if not host:
        raise UrlRefused(failures.URL_NO_HOST)
    if host.startswith("["):
        if not _IPV6.fullmatch(host):
            raise UrlRefused(failures.URL_HOST)
        return f"[{_numeric(host)}]"
    if "%" in host:
        try:
            host = unquote(host, errors="strict")
        except UnicodeDecodeError:
            raise UrlRefused(failures.URL_HOST) from None
    if not host.isascii():
        host = _international_host(host)
    labels = host.removesuffix(".").split(".")
    if not _HOST.fullmatch(host) or len(host) > 254 or not all(0 < len(label) <= 63 for label in labels):
        raise UrlRefused(failures.URL_HOST)
    return _numeric(host) or host


def _numeric(host: str) -> str | None:
    try:
        return numeric_address(host)
    except ValueError:
        raise UrlRefused(failures.URL_HOST) from None


def _international_host(host: str) -> str:
    """In ASCII, as browsers do it (UTS 46, not transitional): ß stays what it is, each label for itself."""
    import idna  # 15 ms of import that most lists never need

    try:
        mapped = idna.uts46_remap(host, std3_rules=False, transitional=False)
        return ".".join(label if label.isascii() else _ascii_label(label) for label in mapped.split("."))
    except (idna.IDNAError, UnicodeError):
        raise UrlRefused(failures.URL_HOST) from None


def _ascii_label(label: str) -> str:
    import idna

    try:
        return idna.alabel(label).decode("ascii")
    except idna.IDNAError:
        # Strict where browsers are not: underscores, emoji, which have living names.
        return "xn--" + label.encode("punycode").decode("ascii")


def decode_data_url(url: str, max_body_bytes: int) -> bytes:
    """The bytes that ``url`` carries, percent-encoded or base64 (URL-safe and unpadded too).

    Raises:
        UrlRefused: it is malformed, carries nothing, or more than ``max_body_bytes``.
    """
    # Three characters a byte at most; checked before anything is copied.
    if len(url) > 3 * max_body_bytes + 1000:
        raise UrlRefused(failures.TOO_LARGE_BODY)
    description, comma, data = url[len("data:") :].partition(",")
    if not comma:
        raise UrlRefused(failures.URL_DATA)
    try:
        body = unquote_to_bytes(data)
    except UnicodeEncodeError:
        raise UrlRefused(failures.URL_NOT_UNICODE) from None
    if description.replace(" ", "").lower().endswith(";base64"):
        body = _decode_base64(body)
    if len(body) > max_body_bytes:
        raise UrlRefused(failures.TOO_LARGE_BODY)
    if not body:
        raise UrlRefused(failures.EMPTY_BODY)
    return body


def _decode_base64(text: bytes) -> bytes:
    text = _IGNORED.sub(b"", text).replace(b"-", b"+").replace(b"_", b"/")
    if not _BASE64.fullmatch(text) or len(text) % 4 == 1:
        raise UrlRefused(failures.URL_DATA)
    return binascii.a2b_base64(text + b"=" * (-len(text) % 4))
