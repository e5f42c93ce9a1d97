"""libcurl: its handles as every transfer wants them, the sockets they get, and its error codes as failures.

Called by ``transfer``.
"""

from __future__ import annotations

import errno
import os
from typing import Any

import pycurl

from img2dataset import failures
from img2dataset.failures import Failure
from img2dataset.fetching.machine import RESOURCE_ERRORS, UNREACHABLE_ERRORS
from img2dataset.fetching.settings import FetchSettings

RECEIVE_BUFFER_BYTES = 64 * 1024
# A libcurl option that pycurl does not name: what a proxy answers to CONNECT is not the host's answer.
SUPPRESS_CONNECT_HEADERS = 265
# What every server of TLS 1.2 and 1.3 understands, the cheapest first. OpenSSL's own first choice is a hybrid
# that quantum computers could not undo either: 0.2 of 1.3 ms a connection, for pictures that anyone may see.
KEY_EXCHANGES = "P-256:X25519:P-384:P-521"
_OPENSSL = " OpenSSL/" in pycurl.version


class HandedOver:
    """A new socket for pycurl, which takes a copy of it and drops this.

    7 µs a connection; a Python socket that nobody closes takes 30, for the warning that is not shown.
    """

    __slots__ = ("_descriptor",)

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def fileno(self) -> int:
        return self._descriptor

    def __del__(self) -> None:
        os.close(self._descriptor)


def address_of(where: Any) -> str:
    """The numeric address of what pycurl gives for a socket address."""
    address = where[0]
    return address.decode("ascii") if isinstance(address, bytes) else str(address)


def new_handle(settings: FetchSettings, ca_bundle: str | None, with_certificate: bool) -> pycurl.Curl:
    """A libcurl handle with everything that is the same for all transfers."""
    easy = pycurl.Curl()
    easy.setopt(pycurl.NOSIGNAL, 1)
    # Redirects are followed by the fetcher, hop by hop under the same policy; this is the second wall.
    easy.setopt(pycurl.FOLLOWLOCATION, 0)
    easy.setopt(pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS)
    easy.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_2TLS)
    easy.setopt(pycurl.USERAGENT, settings.user_agent_header)
    # Images do not compress: ask for none, but undo what comes nevertheless.
    easy.setopt(pycurl.ACCEPT_ENCODING, "identity")
    easy.setopt(pycurl.BUFFERSIZE, RECEIVE_BUFFER_BYTES)
    easy.setopt(SUPPRESS_CONNECT_HEADERS, 1)
    # Only newer versions of pycurl know the option, which makes a connection cheaper and no other.
    if _OPENSSL and hasattr(pycurl, "SSL_EC_CURVES"):
        easy.setopt(pycurl.SSL_EC_CURVES, KEY_EXCHANGES)
    if with_certificate and settings.access.client_certificate is not None:
        easy.setopt(pycurl.SSLCERT, settings.access.client_certificate)
        easy.setopt(pycurl.SSLKEY, settings.access.client_key or settings.access.client_certificate)
    easy.setopt(pycurl.CONNECTTIMEOUT_MS, max(1, round(settings.timeout * 1000)))
    if ca_bundle is None:
        easy.setopt(pycurl.SSL_VERIFYPEER, 0)
        easy.setopt(pycurl.SSL_VERIFYHOST, 0)
    else:
        # One file and no folder: then libcurl keeps the loaded store for every connection of the process.
        easy.setopt(pycurl.CAINFO, ca_bundle)
        easy.unsetopt(pycurl.CAPATH)
    return easy


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
    pycurl.E_SSL_CACERT_BADFILE: failures.OUT_OF_RESOURCES,
    pycurl.E_OUT_OF_MEMORY: failures.OUT_OF_RESOURCES,
    pycurl.E_SSL_ISSUER_ERROR: failures.TLS_UNKNOWN_ISSUER,
    pycurl.E_SSL_CERTPROBLEM: failures.TLS_CLIENT_CERTIFICATE,
    98: failures.TLS_CLIENT_CERTIFICATE,  # CURLE_SSL_CLIENTCERT
}


def of_transfer(code: int, message: str, system_error: int, proxied: bool = False) -> Failure:
    """The failure of a transfer that libcurl ended.

    Args:
        code: libcurl's ``CURLE_…`` number.
        message: libcurl's text for it, searched for phrases and never passed on.
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
    if code == pycurl.E_BAD_CONTENT_ENCODING and "transfer-encoding" in message.lower():
        return failures.ENCODING_OF_TRANSFER
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
    if system_error in RESOURCE_ERRORS:
        return failures.OUT_OF_RESOURCES
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
