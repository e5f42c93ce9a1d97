"""Every way in which a row can fail, once: its text, whether it can pass, what it says of host and network.

A failure is made where it happens and goes as a value to the metadata; whatever must know something of it
asks its ``kind``. Its text, ``class: reason``, is what ``error_message`` says: no host, number (but a status)
or library's message is ever in it, so that counting the texts means something.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import Any


class OfHost(Enum):
    """What a failure without an answer says about the host that was asked."""

    NOTHING = "nothing"
    NO_CONNECTION = "it could not be connected to"
    CONNECT_TIMEOUT = "connecting to it took the whole timeout"
    SILENT = "it was connected to, and fell silent for the whole timeout"


class OfNetwork(Enum):
    """What a failure says about this machine's way to the network."""

    NOTHING = "nothing"
    SHAKEN = "one that goes away may do this to a try that is under way"
    NO_WAY = "there was no way there"


@dataclass(frozen=True, slots=True)
class Kind:
    """One line of the table.

    Attributes:
        text: what stands in ``error_message``; with a detail, what comes before it.
        again: another try of the row, at once, may succeed.
        later: a later run takes the row again (``retry_failed``), and the training side asks again.
        crowding: too many connections at once may cause it; the automatic ``thread_count`` counts these.
        host: what it says about the host.
        network: what it says about the network.
        advice: what a person can do about it.
    """

    text: str
    again: bool = False
    later: bool = False
    crowding: bool = False
    host: OfHost = OfHost.NOTHING
    network: OfNetwork = OfNetwork.NOTHING
    advice: str = ""

    @property
    def failure_class(self) -> str:
        """What the text begins with, and what failures are counted by."""
        return self.text.split(":")[0].strip()


class Failure(str):
    """Why a row has no sample: its text, and the line of the table that it belongs to.

    Args:
        kind: its line.
        detail: what is behind the line's text: a status, a format, a reason.
    """

    kind: Kind

    def __new__(cls, kind: Kind, detail: str = "") -> Failure:
        made = super().__new__(cls, kind.text + detail)
        made.kind = kind
        return made

    @property
    def detail(self) -> str:
        """What is behind the text of its line."""
        return self[len(self.kind.text) :]

    def __reduce__(self) -> tuple[Any, ...]:
        return Failure, (self.kind, self.detail)


KINDS: list[Kind] = []


def _kind(text: str, **traits: Any) -> Kind:
    KINDS.append(Kind(text, **traits))
    return KINDS[-1]


def _failure(text: str, **traits: Any) -> Failure:
    return Failure(_kind(text, **traits))


def _passing(text: str, **traits: Any) -> Failure:
    """One that another try may overcome, now or later."""
    return _failure(text, again=True, later=True, **traits)


_SLOW = "a higher --timeout or --deadline, or fewer --thread_count where your line is full"
_OWN_NETWORK = "look after this machine's network, then --incremental_mode retry_failed"
_CERTIFICATE = "the server's certificate is at fault; --ca_bundle for an authority of your own"
_SHAKEN, _NO_WAY = OfNetwork.SHAKEN, OfNetwork.NO_WAY

# No answer in time.
TIMEOUT_CONNECT = _passing(
    "timeout: connect", crowding=True, host=OfHost.CONNECT_TIMEOUT, network=_SHAKEN, advice=_SLOW
)
TIMEOUT_SILENCE = _passing(
    "timeout: silence", crowding=True, host=OfHost.SILENT, network=_SHAKEN, advice=_SLOW
)
TIMEOUT_TOO_SLOW = _passing("timeout: too slow", crowding=True, network=_SHAKEN, advice=_SLOW)
TIMEOUT_DEADLINE = _passing("timeout: deadline", crowding=True, network=_SHAKEN, advice=_SLOW)

# No address. A name that is not found is asked for again by a later run only: names come back.
DNS_NOT_FOUND = _failure("DNS: name not found", later=True, crowding=True)
DNS_TEMPORARY = _passing(
    "DNS: temporary failure", crowding=True, network=_SHAKEN, advice="other --dns_servers"
)
DNS_TIMEOUT = _passing("DNS: timeout", crowding=True, network=_SHAKEN, advice="other --dns_servers")
DNS_UNREACHABLE = _passing(
    "DNS: name servers unreachable", crowding=True, network=_NO_WAY, advice=_OWN_NETWORK
)
OF_NAMES = frozenset({DNS_NOT_FOUND, DNS_TEMPORARY, DNS_TIMEOUT, DNS_UNREACHABLE})

# No trust. Certificates are renewed, so a later run asks again; another try at once would find the same.
TLS_EXPIRED = _failure("TLS: certificate expired", later=True, crowding=True, advice=_CERTIFICATE)
TLS_NOT_YET_VALID = _failure("TLS: certificate not yet valid", later=True, crowding=True, advice=_CERTIFICATE)
TLS_WRONG_HOST = _failure("TLS: wrong host", later=True, crowding=True, advice=_CERTIFICATE)
TLS_UNKNOWN_ISSUER = _failure("TLS: unknown issuer", later=True, crowding=True, advice=_CERTIFICATE)
# The certificate that signed the last one is neither in the chain that was sent nor among the trusted ones:
# nearly always a server that was set up without its intermediate certificate.
TLS_ISSUER_MISSING = _failure(
    "TLS: issuer neither sent nor known", later=True, crowding=True, advice=_CERTIFICATE
)
TLS_CERTIFICATE = _failure("TLS: certificate not valid", later=True, crowding=True, advice=_CERTIFICATE)
TLS_CLIENT_CERTIFICATE = _failure(
    "TLS: client certificate", later=True, crowding=True, advice="--client_certificate"
)
TLS_HANDSHAKE = _passing("TLS: handshake", crowding=True, network=_SHAKEN)

# No connection, or none that lasted.
CONNECTION_REFUSED = _passing("connection: refused", crowding=True, host=OfHost.NO_CONNECTION)
CONNECTION_RESET = _passing("connection: reset", crowding=True, network=_SHAKEN)
CONNECTION_UNREACHABLE = _passing(
    "connection: unreachable", crowding=True, host=OfHost.NO_CONNECTION, network=_NO_WAY, advice=_OWN_NETWORK
)
CONNECTION_CLOSED_EARLY = _passing("connection: closed early", crowding=True, network=_SHAKEN)
CONNECTION_FAILED = _passing("connection: failed", crowding=True, network=_SHAKEN)
CONNECTION_NO_ANSWER = _passing("connection: no answer", crowding=True)
CONNECTION_PROXY = _passing("connection: proxy", crowding=True, advice="look after the proxy")
OUT_OF_RESOURCES = _passing(
    "connection: no descriptors, memory or ports left", crowding=True, advice="fewer --thread_count"
)
HOST_UNREACHABLE = _passing("connection: host unreachable lately", crowding=True)

# An answer that is no image.
_HTTP = _kind("HTTP ")
_HTTP_PASSING = _kind("HTTP ", again=True, later=True)
_PASSING_STATUSES = frozenset({408, 425, 429})
# Pay per crawl: the site sells what was asked for. It is not paid, and not asked again.
_SOLD = "the site wants to be paid: ask its owner for a licence"
PAYMENT_REQUIRED = _failure("HTTP 402", advice=_SOLD)
_PRICE = _kind("HTTP 402: ", advice=_SOLD)
TOO_LARGE_BODY = _failure("too large: body", advice="a higher --max_download_bytes")
EMPTY_BODY = _failure("empty body")
REDIRECT_TOO_MANY = _failure("redirect: too many")
REDIRECT_NO_LOCATION = _failure("redirect: no location")
ENCODING_UNKNOWN = _failure("encoding: unknown")
ENCODING_BROKEN = _failure("encoding: broken")
ENCODING_OF_TRANSFER = _failure("encoding: of the transfer unknown")
PROTOCOL_NOT_HTTP = _failure("protocol: not HTTP")
PROTOCOL_CHUNKS = _failure("protocol: broken chunks")
PROTOCOL_HEADERS = _failure("protocol: headers too large")
PROTOCOL_HTTP2 = _passing("protocol: HTTP/2 error", network=_SHAKEN)
PROTOCOL_LENGTH = _failure("protocol: broken length")
PROTOCOL_OTHER = _failure("protocol: error")

# The site's wish.
_OPT_OUT = "the site does not want it taken for training"
OPT_OUT_ROBOTS_TAG = _failure("opt-out: X-Robots-Tag", advice=_OPT_OUT)
OPT_OUT_ROBOTS_TXT = _failure("opt-out: robots.txt", advice=_OPT_OUT)
OPT_OUT_ROBOTS_UNAVAILABLE = _passing("opt-out: robots.txt unavailable")
OPT_OUT_CONTENT_SIGNAL = _failure("opt-out: Content-Signal", advice=_OPT_OUT)
OPT_OUT_CONTENT_USAGE = _failure("opt-out: Content-Usage", advice=_OPT_OUT)
OPT_OUT_TDM = _failure("opt-out: TDM reservation", advice=_OPT_OUT)
OPT_OUT_RSL = _failure("opt-out: RSL licence", advice=_OPT_OUT)
_OPT_OUT_OF_SIGNAL = _kind("opt-out: signal: ", advice=_OPT_OUT)
OPT_OUT_TDMREP = _failure("opt-out: tdmrep.json", advice=_OPT_OUT)
# The image's own, wherever it comes from.
_OPT_OUT_IN_BYTES = "the image itself says that it is not to be used for training"
OPT_OUT_IPTC = _failure("opt-out: IPTC data mining", advice=_OPT_OUT_IN_BYTES)
OPT_OUT_C2PA = _failure("opt-out: C2PA", advice=_OPT_OUT_IN_BYTES)

# A file of a store or of this machine.
STORED_NO_FILE = _failure("storage: no such file")
STORED_FORBIDDEN = _failure("storage: permission denied", advice="the rights of the file or of your account")
STORED_UNREADABLE = _passing("storage: cannot be read")

# A URL that cannot or may not be asked for.
URL_MISSING = _failure("invalid url: missing")
URL_NOT_A_STRING = _failure("invalid url: not a string")
URL_EMPTY = _failure("invalid url: empty")
URL_NO_SCHEME = _failure("invalid url: no scheme")
URL_NO_HOST = _failure("invalid url: no host")
URL_HOST = _failure("invalid url: host")
URL_PORT = _failure("invalid url: port")
URL_TOO_LONG = _failure("invalid url: too long")
URL_CONTROL_CHARACTER = _failure("invalid url: control character")
URL_NOT_UNICODE = _failure("invalid url: not Unicode")
URL_MALFORMED = _failure("invalid url: malformed")
URL_DATA = _failure("invalid url: data")
SCHEME_NOT_ALLOWED = _failure("scheme: not allowed", advice="--allow_schemes")
_SCHEME = _kind("scheme: ", advice="--allow_schemes, or the package of the scheme")
_ADDRESS = _kind("address: ", advice="--private_addresses allow, if the list is your own")

# An image that cannot or shall not be stored.
NOT_AN_IMAGE = _failure("decode: not an image")
TRUNCATED = _failure("decode: truncated")
CORRUPT = _failure("decode: corrupt")
UNSUPPORTED = _failure("decode: unsupported format")
_UNSUPPORTED_FORMAT = _kind("decode: unsupported format: ")
OUT_OF_MEMORY = _failure("decode: out of memory", later=True, advice="fewer --processes_count")
INTERNAL_ERROR = _failure("decode: internal error", later=True, advice="a fault of this program: report it")
TOO_MANY_PIXELS = _failure("too large: pixels", advice="a higher --max_decoded_pixels")
_FILTER = "a filter of yours"
TOO_SMALL = _failure("image too small", advice=_FILTER)
AREA_TOO_LARGE = _failure("image area too large", advice=_FILTER)
ASPECT_RATIO_TOO_LARGE = _failure("aspect ratio too large", advice=_FILTER)
INVALID_BBOX = _failure("invalid bbox")
_ENCODE = _kind("encode: ")

# What the training side loads besides.
SOURCE_INVALID = _failure("invalid source: not a URL or path")
FILE_UNREADABLE = _failure("file: cannot be read")
FILE_OUTSIDE = _failure("file: outside of base_path")
FILE_NOT_REGULAR = _failure("file: not a regular file")
FILE_WITHOUT_IMAGE = _failure("file: the shard has no image for this key")
TOO_LARGE_FILE = _failure("too large: file", advice="a higher max_bytes")
TOO_SMALL_FOR_BUCKETS = _failure("image too small: for every bucket", advice="a smaller smallest bucket")
OF_SESSION = _failure("download: error of the session")

# A row that cannot be what the list or the options say.
HASH_MISMATCH = _failure("hash mismatch")
ROW_NOT_AN_OBJECT = _failure("invalid row: not a JSON object")
_ROW = _kind("invalid row: ")

# A row that a stopped run has not come to. It stands in what such a run keeps of a shard for the next one,
# never in a finished shard.
NOT_TRIED = _failure("not tried: the run was stopped")

# What versions before this one called an error of their own.
_INTERNAL = _kind("internal:", later=True)

_PRICE_FORM = re.compile(r"[ \t]*([A-Za-z]{3})[ \t]+([0-9]{1,9}(?:\.[0-9]{1,9})?)[ \t]*")
_STATUS = re.compile(r"[0-9]{1,9}")
_BY_TEXT = {kind.text: Failure(kind) for kind in KINDS}


def of_status(status: int) -> Failure:
    """The failure of an answer whose status is neither a success nor a redirect."""
    if status == 402:
        return PAYMENT_REQUIRED
    can_pass = status in _PASSING_STATUSES or 500 <= status <= 599
    return Failure(_HTTP_PASSING if can_pass else _HTTP, str(status))


def of_payment(price: str | None) -> Failure:
    """The failure of an answer 402.

    Args:
        price: the header ``crawler-price``; kept where it is a currency and an amount (``USD 0.01``), so that
            no other text of a server stands in a failure.
    """
    match = _PRICE_FORM.fullmatch(price or "")
    return PAYMENT_REQUIRED if match is None else Failure(_PRICE, f"{match[1].upper()} {match[2]}")


def prices_in(messages: Mapping[str, int]) -> dict[str, tuple[int, Decimal]]:
    """The rows whose site named a price, by currency, and the sum that was asked.

    Args:
        messages: rows by ``error_message``.
    """
    found: dict[str, tuple[int, Decimal]] = {}
    for message, rows in sorted(messages.items()):
        if rows and message.startswith(_PRICE.text):
            # In a folder of somebody else any text may stand there.
            if _PRICE_FORM.fullmatch(message.removeprefix(_PRICE.text)) is None:
                continue
            currency, _, amount = message.removeprefix(_PRICE.text).partition(" ")
            before, total = found.get(currency, (0, Decimal(0)))
            found[currency] = before + rows, total + rows * Decimal(amount)
    return found


def of_signal(name: str) -> Failure:
    """The failure of a row that a signal of another package refuses.

    Args:
        name: of the signal; letters, digits, ``_``, ``.`` and ``-``, at most 40.

    Raises:
        ValueError: it is none.
    """
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,40}", name):
        raise ValueError(f"a signal's name is of letters, digits, '_', '.' and '-', and not {name!r}")
    return Failure(_OPT_OUT_OF_SIGNAL, name)


def of_text(text: str) -> Failure:
    """The failure of this program whose text this is, as another process of a run, or a cache, has left it.

    Raises:
        KeyError: there is none.
    """
    status = text.removeprefix(_HTTP.text)
    if _STATUS.fullmatch(status) and status != text:
        return of_status(int(status))
    if text in _BY_TEXT:
        return _BY_TEXT[text]
    with_detail = [kind for kind in KINDS if kind.text.endswith(": ") and text.startswith(kind.text)]
    if not with_detail:
        raise KeyError(text)
    kind = max(with_detail, key=lambda kind: len(kind.text))
    return Failure(kind, text[len(kind.text) :])


def of_scheme(scheme: str, reason: str = "not allowed") -> Failure:
    """A scheme that is not asked for; ``reason``: "not allowed" or "not installed"."""
    return Failure(_SCHEME, f"{scheme} {reason}")


def of_address(kind: str) -> Failure:
    """An address of a kind that may not be connected to: private, loopback, …"""
    return Failure(_ADDRESS, kind)


def of_format(name: str) -> Failure:
    """An image of a format without a decoder, by its usual ending."""
    return Failure(_UNSUPPORTED_FORMAT, name)


def of_encoding(reason: str) -> Failure:
    """An image that cannot be encoded."""
    return Failure(_ENCODE, reason)


def of_row(reason: str) -> Failure:
    """A row whose columns cannot be stored."""
    return Failure(_ROW, reason)


# Beginnings of the messages of 1.47.0 that can pass; its folders are gone on with.
_PASSING_OF_1_47 = (
    "HTTP Error 408",
    "HTTP Error 425",
    "HTTP Error 429",
    "HTTP Error 5",
    "<urlopen error",
    "timed out",
    "The read operation timed out",
    "Remote end closed connection",
    "IncompleteRead",
    "[Errno 104]",
)
_CLASSES_OF_1_47 = (
    *("Image", "Use of image", "blurrer", "unknown url type"),
    *("<urlopen error", "timed out", "The read operation", "Remote end closed", "IncompleteRead", "[Errno"),
)


def _classes(kinds: Iterable[Kind]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(kind.failure_class for kind in kinds))


def _passing_classes() -> tuple[str, ...]:
    """Beginnings of the failures that a later run takes: classes where all of them are, else single ones."""
    found: dict[str, None] = {}
    for kind in KINDS:
        if not kind.later or kind is _HTTP_PASSING:
            continue
        of_class = [other for other in KINDS if other.failure_class == kind.failure_class]
        found[kind.failure_class if all(other.later for other in of_class) else kind.text] = None
    statuses = (f"HTTP {status}" for status in sorted(_PASSING_STATUSES))
    return (*found, *statuses, "HTTP 5")


# The classes of all failures, and of those that 1.47.0 wrote: what is typed is held against them.
CLASSES = (*_classes(KINDS), *_CLASSES_OF_1_47)
# What ``retry_failed`` takes unless it is told otherwise: of this program, and with what 1.47.0 wrote.
PASSING_CLASSES = _passing_classes()
PASSING = (*PASSING_CLASSES, *_PASSING_OF_1_47)


def is_retried(message: str | None, beginnings: Sequence[str]) -> bool:
    """Whether a later run takes a row again that a folder says failed with ``message``.

    The one place where text is read: a folder may be of any version, and a user types ``beginnings``.
    """
    return message is not None and message.startswith(tuple(beginnings))


def table() -> str:
    """All failures as a Markdown table, for the documentation."""
    rows = [
        "| `error_message` | tried again at once | by `retry_failed` | what can be done |",
        "| --- | --- | --- | --- |",
    ]
    for kind in KINDS:
        if kind is _INTERNAL:
            continue
        text = f"`{kind.text}…`" if kind.text.endswith(" ") else f"`{kind.text}`"
        if kind is _HTTP_PASSING:
            text = f"{text} with {', '.join(map(str, sorted(_PASSING_STATUSES)))} and 500 to 599"
        again, later = ("yes" if each else "no" for each in (kind.again, kind.later))
        rows.append(f"| {text} | {again} | {later} | {kind.advice} |")
    return "\n".join(rows)
