"""The small language in which a download says why it failed.

Comes in: a status, or libcurl's error code, message and system error. Goes out: one of a fixed set of
texts, ``class: reason``. No host, number (but the status) or library message is ever passed on, so
that counting the texts means something. Called by the fetcher and by the policies.
"""

from __future__ import annotations

import errno

import pycurl

TIMEOUT_CONNECT = "timeout: connect"
TIMEOUT_SILENCE = "timeout: silence"
TIMEOUT_TOO_SLOW = "timeout: too slow"
TIMEOUT_DEADLINE = "timeout: deadline"
DNS_NOT_FOUND = "DNS: name not found"
DNS_TEMPORARY = "DNS: temporary failure"
DNS_TIMEOUT = "DNS: timeout"
DNS_UNREACHABLE = "DNS: name servers unreachable"
TLS_EXPIRED = "TLS: certificate expired"
TLS_NOT_YET_VALID = "TLS: certificate not yet valid"
TLS_WRONG_HOST = "TLS: wrong host"
TLS_UNKNOWN_ISSUER = "TLS: unknown issuer"
# The certificate that signed the last one is neither in the chain that was sent nor among the trusted ones:
# nearly always a server that was set up without its intermediate certificate.
TLS_ISSUER_MISSING = "TLS: issuer neither sent nor known"
TLS_CERTIFICATE = "TLS: certificate not valid"
TLS_HANDSHAKE = "TLS: handshake"
TLS_CLIENT_CERTIFICATE = "TLS: client certificate"
CONNECTION_REFUSED = "connection: refused"
CONNECTION_RESET = "connection: reset"
CONNECTION_UNREACHABLE = "connection: unreachable"
CONNECTION_CLOSED_EARLY = "connection: closed early"
CONNECTION_FAILED = "connection: failed"
CONNECTION_PROXY = "connection: proxy"
OUT_OF_MEANS = "connection: no descriptors, memory or ports left"
HOST_UNREACHABLE = "connection: host unreachable lately"
TOO_LARGE_BODY = "too large: body"
EMPTY_BODY = "empty body"
OPT_OUT_ROBOTS_TAG = "opt-out: X-Robots-Tag"
OPT_OUT_ROBOTS_TXT = "opt-out: robots.txt"
OPT_OUT_ROBOTS_UNAVAILABLE = "opt-out: robots.txt unavailable"
OPT_OUT_TDM = "opt-out: TDM reservation"
REDIRECT_TOO_MANY = "redirect: too many"
REDIRECT_NO_LOCATION = "redirect: no location"
ENCODING_UNKNOWN = "encoding: unknown"
ENCODING_BROKEN = "encoding: broken"
PROTOCOL_NOT_HTTP = "protocol: not HTTP"
PROTOCOL_CHUNKS = "protocol: broken chunks"
PROTOCOL_HEADERS = "protocol: headers too large"
PROTOCOL_HTTP2 = "protocol: HTTP/2 error"
PROTOCOL_LENGTH = "protocol: broken length"
PROTOCOL_OTHER = "protocol: error"
STORED_NO_FILE = "storage: no such file"
STORED_FORBIDDEN = "storage: permission denied"
STORED_UNREADABLE = "storage: cannot be read"

# Those that another try may overcome. A certificate, a redirect loop or an opt-out will still be there.
_CAN_PASS = frozenset(
    {
        TIMEOUT_CONNECT,
        TIMEOUT_SILENCE,
        TIMEOUT_TOO_SLOW,
        TIMEOUT_DEADLINE,
        DNS_TEMPORARY,
        STORED_UNREADABLE,
        DNS_TIMEOUT,
        DNS_UNREACHABLE,
        TLS_HANDSHAKE,
        CONNECTION_REFUSED,
        CONNECTION_RESET,
        CONNECTION_UNREACHABLE,
        CONNECTION_CLOSED_EARLY,
        CONNECTION_FAILED,
        CONNECTION_PROXY,
        HOST_UNREACHABLE,
        OUT_OF_MEANS,
        OPT_OUT_ROBOTS_UNAVAILABLE,
        PROTOCOL_HTTP2,
        "HTTP 408",
        "HTTP 425",
        "HTTP 429",
        *(f"HTTP {status}" for status in range(500, 600)),
    }
)

_BY_CODE = {
    pycurl.E_UNSUPPORTED_PROTOCOL: PROTOCOL_NOT_HTTP,
    pycurl.E_FTP_WEIRD_SERVER_REPLY: PROTOCOL_NOT_HTTP,
    pycurl.E_HTTP2: PROTOCOL_HTTP2,
    92: PROTOCOL_HTTP2,  # CURLE_HTTP2_STREAM, which pycurl does not name
    100: PROTOCOL_HEADERS,  # CURLE_TOO_LARGE: one header line of more than 100 KB
    pycurl.E_URL_MALFORMAT: "invalid url: malformed",
    pycurl.E_COULDNT_RESOLVE_HOST: DNS_NOT_FOUND,
    pycurl.E_COULDNT_RESOLVE_PROXY: CONNECTION_PROXY,
    97: CONNECTION_PROXY,  # CURLE_PROXY
    pycurl.E_PARTIAL_FILE: CONNECTION_CLOSED_EARLY,
    pycurl.E_GOT_NOTHING: CONNECTION_CLOSED_EARLY,
    pycurl.E_SEND_ERROR: CONNECTION_RESET,
    pycurl.E_FILESIZE_EXCEEDED: TOO_LARGE_BODY,
    pycurl.E_SSL_CONNECT_ERROR: TLS_HANDSHAKE,
    pycurl.E_SSL_CIPHER: TLS_HANDSHAKE,
    # The file was read when the downloads began.
    pycurl.E_SSL_CACERT_BADFILE: OUT_OF_MEANS,
    pycurl.E_OUT_OF_MEMORY: OUT_OF_MEANS,
    pycurl.E_SSL_ISSUER_ERROR: TLS_UNKNOWN_ISSUER,
    pycurl.E_SSL_CERTPROBLEM: TLS_CLIENT_CERTIFICATE,
    98: TLS_CLIENT_CERTIFICATE,  # CURLE_SSL_CLIENTCERT
}

UNREACHABLE_ERRORS = frozenset(
    {errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}
)
# What this machine lacks, whatever it was that was to be reached.
MEANS_ERRORS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS})
OF_NAMES = frozenset({DNS_NOT_FOUND, DNS_TEMPORARY, DNS_TIMEOUT, DNS_UNREACHABLE})


def can_pass(failure: str) -> bool:
    """Whether another try, now or in a later run, may succeed where ``failure`` was the outcome."""
    return failure in _CAN_PASS


def of_status(status: int) -> str:
    """The failure of an answer whose status is neither a success nor a redirect."""
    return f"HTTP {status}"


def of_transfer(code: int, message: str, system_error: int, proxied: bool = False) -> str:
    """The failure of a transfer that libcurl ended.

    Args:
        code: libcurl's ``CURLE_…`` number.
        message: libcurl's text for it, searched for known phrases and never passed on.
        system_error: ``errno`` of the last failed socket call, 0 if there was none.
        proxied: it was a proxy that had to be connected to.
    """
    if code == pycurl.E_OPERATION_TIMEDOUT:
        return TIMEOUT_CONNECT  # the only clock left to libcurl: the others are our own
    if code == pycurl.E_PEER_FAILED_VERIFICATION:
        return _of_certificate(message.lower())
    if code == pycurl.E_COULDNT_CONNECT:
        return CONNECTION_PROXY if proxied else _of_connecting(system_error)
    if code == pycurl.E_RECV_ERROR:
        return _of_receiving(message.lower(), system_error)
    if code == pycurl.E_FTP_WEIRD_SERVER_REPLY and "content-length" in message.lower():
        return PROTOCOL_LENGTH
    if code == pycurl.E_BAD_CONTENT_ENCODING:
        return ENCODING_UNKNOWN if "unrecognized" in message.lower() else ENCODING_BROKEN
    return _BY_CODE.get(code, PROTOCOL_OTHER)


def _of_certificate(message: str) -> str:
    if "expired" in message:
        return TLS_EXPIRED
    if "not yet valid" in message:
        return TLS_NOT_YET_VALID
    if "subject name" in message or "host name" in message or "hostname" in message:
        return TLS_WRONG_HOST
    if "local issuer" in message or "first certificate" in message:
        return TLS_ISSUER_MISSING
    if "issuer" in message or "self-signed" in message or "self signed" in message:
        return TLS_UNKNOWN_ISSUER
    return TLS_CERTIFICATE


def _of_connecting(system_error: int) -> str:
    if system_error == errno.ECONNREFUSED:
        return CONNECTION_REFUSED
    if system_error == errno.ECONNRESET:
        return CONNECTION_RESET
    if system_error == errno.ETIMEDOUT:
        return TIMEOUT_CONNECT
    if system_error in MEANS_ERRORS:
        return OUT_OF_MEANS
    return CONNECTION_UNREACHABLE if system_error in UNREACHABLE_ERRORS else CONNECTION_FAILED


def _of_receiving(message: str, system_error: int) -> str:
    if "chunk" in message:
        return PROTOCOL_CHUNKS
    if "too large" in message or "too many" in message:
        return PROTOCOL_HEADERS
    if "alert" in message and "certificate" in message:
        return TLS_CLIENT_CERTIFICATE  # TLS 1.3: the server says so only after the handshake
    if "connect tunnel" in message:
        return CONNECTION_PROXY
    if system_error == errno.ETIMEDOUT:
        return TIMEOUT_SILENCE
    return CONNECTION_RESET if system_error else CONNECTION_CLOSED_EARLY
