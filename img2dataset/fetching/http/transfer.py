"""One transfer at a time on a libcurl handle that is used again and again: how it connects, and how it ended.

Comes in: a URI, where it may connect and a reservation of memory. Goes out: the ``Response``, or why there is
none. The address is judged here where it counts: when a socket is opened, and when a connection is used
again. Made by ``requests.in_flight``.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Sequence
from typing import Any

import pycurl

from img2dataset import failures
from img2dataset.failures import Failure
from img2dataset.fetching.addresses import Reach
from img2dataset.fetching.http.clocks import TransferClocks
from img2dataset.fetching.http.curl import HandedOver, address_of, new_handle, of_transfer
from img2dataset.fetching.http.response import REFUSE, Response
from img2dataset.fetching.http.response_head import AnswerPolicy
from img2dataset.fetching.machine import RESOURCE_ERRORS
from img2dataset.fetching.settings import FetchSettings

# The first is in newer pycurl, which has deprecated the other.
_SIZE_DOWNLOAD: int = getattr(pycurl, "SIZE_DOWNLOAD_T", None) or pycurl.SIZE_DOWNLOAD
# An answer that needs no body keeps its connection if it ends this soon.
LONGEST_DISCARD_S = 1.0
_ENDED_CONNECTION = frozenset(
    {
        pycurl.E_GOT_NOTHING,
        pycurl.E_SEND_ERROR,
        pycurl.E_RECV_ERROR,
        pycurl.E_PARTIAL_FILE,
        pycurl.E_HTTP2,
        92,  # CURLE_HTTP2_STREAM, which pycurl does not name
    }
)
SOCKET_BAD: int = pycurl.SOCKET_BAD
GO_ON: int = pycurl.PREREQFUNC_OK
ABORT: int = pycurl.PREREQFUNC_ABORT
# Addresses are told anew for each request, so libcurl needs them for a moment only. It walks over all it has
# after each transfer: with those of its usual minute, 15 000 hosts, that takes it 0.3 ms each time.
ADDRESSES_KEPT_S = 1
# A shorter wait for a name is not worth telling libcurl.
SHORTEST_COUNTED_WAIT_S = 0.02


class Transfer:
    """``begin`` and ``aim`` start it on a URI, ``outcome`` says how it ended."""

    __slots__ = (
        "_connect_ms",
        "_connects_anew",
        "_error",
        "_http1_only",
        "_is_ipv6",
        "_is_told",
        "_lacks_resources",
        "_longest_connect_ms",
        "_proxy",
        "_reach",
        "_refused",
        "after_public",
        "clocks",
        "contradiction",
        "discard_until",
        "easy",
        "failure",
        "had_own",
        "heard",
        "idle_list",
        "keeps_connection",
        "response",
        "started_at",
    )

    def __init__(
        self,
        settings: FetchSettings,
        ca_bundle: str | None,
        policy: AnswerPolicy,
        grow: Callable[[int, int], bool],
        *,
        reach: Reach,
        truncates: bool = False,
        with_certificate: bool = True,
    ) -> None:
        self._proxy: str | None = None
        self.clocks = TransferClocks(settings.timeout, settings.minimum_speed)
        self.response = Response(policy, settings.max_download_bytes, grow, truncates)
        self.easy = new_handle(settings, ca_bundle, with_certificate)
        self.easy.setopt(pycurl.HEADERFUNCTION, self._guarded(self.response.receive_header, REFUSE))
        self.easy.setopt(pycurl.WRITEFUNCTION, self._guarded(self.response.receive_body, REFUSE))
        self.easy.setopt(pycurl.OPENSOCKETFUNCTION, self._guarded(self._open_socket, SOCKET_BAD))
        self.easy.setopt(pycurl.PREREQFUNCTION, self._guarded(self._may_request, ABORT))
        # What a callback has died of, which libcurl would tell as a failure of the transfer.
        self._error: BaseException | None = None
        self._reach = reach
        self._is_told = self._is_ipv6 = self._connects_anew = self._http1_only = False
        self._connect_ms = self._longest_connect_ms = max(1, round(settings.timeout * 1000))
        # Where its pool keeps it while it is idle: with those that are set up alike.
        self.idle_list: list[Transfer] = []
        self.keeps_connection = True
        self.contradiction: Failure | None = None
        self.had_own = False
        self.begin_again(0.0)

    def begin(self, uri: str, reserved: int, now: float) -> None:
        """Prepare a request for ``uri``, with ``reserved`` bytes of memory."""
        self.response.reserved = reserved
        self.begin_again(now)
        self.easy.setopt(pycurl.URL, uri)

    def aim(self, entries: Sequence[str], after_public: bool, waited_s: float, now: float) -> None:
        """Tell where to connect, just before it starts.

        Args:
            entries: addresses of the host, for CURLOPT_RESOLVE; empty: libcurl knows or finds them itself.
            after_public: a redirect from a public address led here.
            waited_s: what finding the host has taken of the time for connecting.
            now: the present.
        """
        self.after_public = after_public
        self.started_at = now
        self.easy.setopt(pycurl.RESOLVE, entries)
        if entries and not self._is_told:
            self._is_told = True
            self.easy.setopt(pycurl.DNS_CACHE_TIMEOUT, ADDRESSES_KEPT_S)
        left_ms = self._longest_connect_ms
        if waited_s > SHORTEST_COUNTED_WAIT_S:
            left_ms = max(1, left_ms - round(waited_s * 1000))
        if left_ms != self._connect_ms:
            self._connect_ms = left_ms
            self.easy.setopt(pycurl.CONNECTTIMEOUT_MS, left_ms)

    def keep_connection(self, kept: bool) -> None:
        """Whether the connection of the next request is kept for others when it has ended."""
        if kept is not self.keeps_connection:
            self.keeps_connection = kept
            self.easy.setopt(pycurl.FORBID_REUSE, 0 if kept else 1)

    def go_through(self, proxy: str, reach: Reach) -> None:
        """Which proxy the next request takes, empty for none, and what it may connect to."""
        self._reach = reach
        if proxy != self._proxy:
            self._proxy = proxy
            # Both are told, or libcurl would look into the environment by itself.
            self.easy.setopt(pycurl.PROXY, proxy)
            self.easy.setopt(pycurl.NOPROXY, "")

    def take_as_sent(self, contradiction: Failure | None) -> None:
        """Whether the body of the next request is taken as it comes, and which header is not believed.

        One without a length that can be believed goes up to the connection's end, which servers see to after
        an answer to HTTP/1.0.
        """
        if contradiction == self.contradiction:
            return
        self.contradiction = contradiction
        no_length = contradiction == failures.PROTOCOL_LENGTH
        of_transfer = contradiction == failures.ENCODING_OF_TRANSFER
        self.easy.setopt(pycurl.HTTP_CONTENT_DECODING, 1 if contradiction is None else 0)
        self.easy.setopt(pycurl.HTTP_TRANSFER_DECODING, 0 if of_transfer else 1)
        self.easy.setopt(pycurl.IGNORE_CONTENT_LENGTH, 1 if no_length else 0)
        self._set_version()

    def choose_connection(self, anew: bool, http1_only: bool) -> None:
        """Whether the next request goes over a new connection, and over HTTP/1.1 whatever is offered."""
        if anew is not self._connects_anew:
            self._connects_anew = anew
            self.easy.setopt(pycurl.FRESH_CONNECT, 1 if anew else 0)
        if http1_only is not self._http1_only:
            self._http1_only = http1_only
            self._set_version()

    def _set_version(self) -> None:
        version = pycurl.CURL_HTTP_VERSION_1_1 if self._http1_only else pycurl.CURL_HTTP_VERSION_2TLS
        if self.contradiction in (failures.PROTOCOL_LENGTH, failures.ENCODING_OF_TRANSFER):
            version = pycurl.CURL_HTTP_VERSION_1_0
        self.easy.setopt(pycurl.HTTP_VERSION, version)

    def was_not_taken(self, code: int) -> bool:
        """Whether it ended, with libcurl's ``code``, on a connection of earlier requests, without one byte.

        A server may end such a connection at any time (RFC 9112, 9.3.1; RFC 9113, 6.8), and what is
        under way then is to be sent again.
        """
        if code not in _ENDED_CONNECTION or self.response.count or self.failure is not None:
            return False
        return not self.easy.getinfo(pycurl.NUM_CONNECTS)

    def begin_again(self, now: float) -> None:
        """Forget the latest request; what is reserved stays."""
        self.response.clear()
        self.after_public = False
        self._refused: Failure | None = None
        self._lacks_resources = False
        # Whether the first bytes have been told of.
        self.heard = False
        # Why it is ended here: by its clocks, or for the address of a connection.
        self.failure: Failure | None = None
        self.discard_until = 0.0
        self.started_at = now
        self.clocks.restart()

    def sent_at(self) -> float | None:
        """When the request went out, on the clock of ``begin``; None while connecting."""
        after: float = self.easy.getinfo(pycurl.PRETRANSFER_TIME)
        return self.started_at + after if after else None

    def received_bytes(self) -> int:
        """What the request has brought so far, headers included, as it came."""
        return int(self.easy.getinfo(_SIZE_DOWNLOAD)) + int(self.easy.getinfo(pycurl.HEADER_SIZE))

    def outcome(self, code: int, message: str) -> Failure | None:
        """How the transfer ended, given libcurl's code (0: done): a failure, or None if it succeeded.

        Raises:
            BaseException: an error of this program within one of the callbacks.
        """
        if self._error is not None:
            raise self._error
        response = self.response
        if code == pycurl.E_FTP_WEIRD_SERVER_REPLY:
            response.end_redirect()
        answer = response.answer
        failure = self.failure or response.failure
        if failure is not None or response.truncated:
            return failure
        if answer is not None and not answer.wants_body:
            return answer.failure
        if code == pycurl.E_WRITE_ERROR and answer is not None and response.received and not response.needs:
            # Not refused here: something stood behind the end of compressed data, which libcurl has undone.
            return None
        if code and not self._ended_without_notice(code, message):
            return self._failure_of(code, message)
        if answer is None:
            return failures.PROTOCOL_NOT_HTTP
        return None if response.received else failures.EMPTY_BODY

    def _failure_of(self, code: int, message: str) -> Failure:
        if code == pycurl.E_COULDNT_CONNECT and self._lacks_resources:
            return failures.OUT_OF_RESOURCES
        if code == pycurl.E_COULDNT_CONNECT and self._refused is not None:
            return self._refused
        system_error = int(self.easy.getinfo(pycurl.OS_ERRNO))
        if system_error == errno.EADDRNOTAVAIL and not self._is_ipv6:
            return failures.OUT_OF_RESOURCES  # no port is left; with IPv6 it is a machine without an address
        return of_transfer(code, message, system_error, bool(self._proxy))

    def _guarded(self, callback: Callable[..., Any], refusal: int) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            try:
                return callback(*arguments)
            except BaseException as error:
                self._error = error
                return refusal

        return call

    def _ended_without_notice(self, code: int, message: str) -> bool:
        """Whether an answer without a length ended by its connection, without the farewell of TLS.

        Many servers leave that out; the decoder judges what has come.
        """
        answer = self.response.answer
        if code != pycurl.E_RECV_ERROR or "unexpected eof" not in message or answer is None:
            return False
        return answer.length is None and b"\ntransfer-encoding:" not in self.response.head.lower()

    def _open_socket(self, purpose: int, address: tuple[int, int, int, Any]) -> HandedOver | int:
        """Libcurl is about to connect: the last and only certain moment to refuse an address."""
        family, kind, protocol, where = address
        self._is_ipv6 = family == socket.AF_INET6
        refused = self._reach.refusal(address_of(where), self.after_public)
        if refused is not None:
            self._refused = refused
            return SOCKET_BAD
        try:
            handed_over = HandedOver(socket.socket(family, kind, protocol).detach())
            # pycurl takes a copy, and does not tell if it cannot.
            os.close(os.dup(handed_over.fileno()))
        except OSError as error:
            if error.errno not in RESOURCE_ERRORS:
                self._refused = failures.CONNECTION_UNREACHABLE  # a family that this machine does not know
            self._lacks_resources = error.errno in RESOURCE_ERRORS
            return SOCKET_BAD
        return handed_over

    def _may_request(self, address: str, own: str, port: int, own_port: int) -> int:
        """A connection, new or kept from an earlier request with other rights, is about to be used."""
        refused = self._reach.refusal(address, self.after_public)
        if refused is None:
            return GO_ON
        self.failure = refused
        return ABORT
