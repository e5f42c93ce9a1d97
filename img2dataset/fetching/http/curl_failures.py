"""From libcurl's error codes to failures. Called where transfers end."""

from __future__ import annotations

import errno

import pycurl

from img2dataset import failures
from img2dataset.failures import Failure
from img2dataset.fetching.system_errors import MEANS_ERRORS, UNREACHABLE_ERRORS

_BY_CODE = {
    pycurl.E_UNSUPPORTED_PROTOCOL: failures.PROTOCOL_NOT_HTTP,
    pycurl.E_FTP_WEIRD_SERVER_REPLY: failures.PROTOCOL_NOT_HTTP,
    pycurl.E_HTTP2: failures.PROTOCOL_HTTP2,
    92: failures.PROTOCOL_HTTP2,  # CURLE_HTTP2_STREAM, which pycurl does not name
    100: failures.PROTOCOL_HEADERS,  # CURLE_TOO_LARGE: one header line of more than 100 KB
    pycurl.E_URL_MALFORMAT: failures.URL_MALFORMED,
    pycurl.E_COULDNT_RESOLVE_HOST: failures.DNS_NOT_FOUND,
    pycurl.E_COULDNT_RESOLVE_PROXY: failures.CONNECTION_PROXY,
    97: failures.CONNECTION_PROXY,  # CURLE_PROXY
    pycurl.E_PARTIAL_FILE: failures.CONNECTION_CLOSED_EARLY,
    pycurl.E_GOT_NOTHING: failures.CONNECTION_CLOSED_EARLY,
    pycurl.E_SEND_ERROR: failures.CONNECTION_RESET,
    pycurl.E_FILESIZE_EXCEEDED: failures.TOO_LARGE_BODY,
    pycurl.E_SSL_CONNECT_ERROR: failures.TLS_HANDSHAKE,
    pycurl.E_SSL_CIPHER: failures.TLS_HANDSHAKE,
    # The file was read when the downloads began.
    pycurl.E_SSL_CACERT_BADFILE: failures.OUT_OF_MEANS,
    pycurl.E_OUT_OF_MEMORY: failures.OUT_OF_MEANS,
    pycurl.E_SSL_ISSUER_ERROR: failures.TLS_UNKNOWN_ISSUER,
    pycurl.E_SSL_CERTPROBLEM: failures.TLS_CLIENT_CERTIFICATE,
    98: failures.TLS_CLIENT_CERTIFICATE,  # CURLE_SSL_CLIENTCERT
}


def of_transfer(code: int, message: str, system_error: int, proxied: bool = False) -> Failure:
    """The failure of a transfer that libcurl ended.

    Args:
        code: libcurl's ``CURLE_…`` number.
        message: libcurl's text for it, searched for known phrases and never passed on.
        system_error: ``errno`` of the last failed socket call, 0 if there was none.
        proxied: it was a proxy that had to be connected to.
    """
    if code == pycurl.E_OPERATION_TIMEDOUT:
        return failures.TIMEOUT_CONNECT  # the only clock left to libcurl: the others are our own
    if code == pycurl.E_PEER_FAILED_VERIFICATION:
        return _of_certificate(message.lower())
    if code == pycurl.E_COULDNT_CONNECT:
        return failures.CONNECTION_PROXY if proxied else _of_connecting(system_error)
    if code == pycurl.E_RECV_ERROR:
        return _of_receiving(message.lower(), system_error)
    if code == pycurl.E_FTP_WEIRD_SERVER_REPLY and "content-length" in message.lower():
        return failures.PROTOCOL_LENGTH
    if code == pycurl.E_BAD_CONTENT_ENCODING:
        return failures.ENCODING_UNKNOWN if "unrecognized" in message.lower() else failures.ENCODING_BROKEN
    return _BY_CODE.get(code, failures.PROTOCOL_OTHER)


def _of_certificate(message: str) -> Failure:
    if "expired" in message:
        return failures.TLS_EXPIRED
    if "not yet valid" in message:
        return failures.TLS_NOT_YET_VALID
    if "subject name" in message or "host name" in message or "hostname" in message:
        return failures.TLS_WRONG_HOST
    if "local issuer" in message or "first certificate" in message:
        return failures.TLS_ISSUER_MISSING
    if "issuer" in message or "self-signed" in message or "self signed" in message:
        return failures.TLS_UNKNOWN_ISSUER
    return failures.TLS_CERTIFICATE


def _of_connecting(system_error: int) -> Failure:
    if system_error == errno.ECONNREFUSED:
        return failures.CONNECTION_REFUSED
    if system_error == errno.ECONNRESET:
        return failures.CONNECTION_RESET
    if system_error == errno.ETIMEDOUT:
        return failures.TIMEOUT_CONNECT
    if system_error in MEANS_ERRORS:
        return failures.OUT_OF_MEANS
    return (
        failures.CONNECTION_UNREACHABLE if system_error in UNREACHABLE_ERRORS else failures.CONNECTION_FAILED
    )


def _of_receiving(message: str, system_error: int) -> Failure:
    if "chunk" in message:
        return failures.PROTOCOL_CHUNKS
    if "too large" in message or "too many" in message:
        return failures.PROTOCOL_HEADERS
    if "alert" in message and "certificate" in message:
        return failures.TLS_CLIENT_CERTIFICATE  # TLS 1.3: the server says so only after the handshake
    if "connect tunnel" in message:
        return failures.CONNECTION_PROXY
    if system_error == errno.ETIMEDOUT:
        return failures.TIMEOUT_SILENCE
    return failures.CONNECTION_RESET if system_error else failures.CONNECTION_CLOSED_EARLY
