"""libcurl handles as every transfer wants them, and the sockets they get. Called by ``transfer``."""

from __future__ import annotations

import os
from typing import Any

import pycurl

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
    easy.setopt(pycurl.CONNECTTIMEOUT_MS, max(1, round(settings.timeout_s * 1000)))
    if ca_bundle is None:
        easy.setopt(pycurl.SSL_VERIFYPEER, 0)
        easy.setopt(pycurl.SSL_VERIFYHOST, 0)
    else:
        # One file and no folder: then libcurl keeps the loaded store for every connection of the process.
        easy.setopt(pycurl.CAINFO, ca_bundle)
        easy.unsetopt(pycurl.CAPATH)
    return easy
