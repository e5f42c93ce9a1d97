"""Transfers that are used again and again, each kind apart. Called by the loop, on its thread.

Kinds: for rows; for robots.txt, which is read under limits of its own; and for rows that were redirected to
another host when there is a client certificate, which libcurl cannot take back from a handle.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from img2dataset.fetching.addresses import Reach
from img2dataset.fetching.consent.robots_txt import LARGEST_BYTES
from img2dataset.fetching.http.access import RequestAccess
from img2dataset.fetching.http.handles import RECEIVE_BUFFER_BYTES
from img2dataset.fetching.http.proxies import Proxies
from img2dataset.fetching.http.response_head import AnswerPolicy
from img2dataset.fetching.http.transfer import Transfer
from img2dataset.fetching.requests.waiting_rows import Job
from img2dataset.fetching.settings import FetchSettings

# A new connection takes its first request; more than one is for servers that end that too.
MOST_RESENT = 3
ENDINGS_OF_HTTP2 = 8
REMEMBERED_HOSTS = 1000


class TransferPool:
    """Hands out transfers for jobs, prepared with what goes with the request.

    Args:
        settings: see ``FetchSettings``.
        ca_bundle: the file of trusted certificates, None to trust all.
        grow: as ``BodyBudget.grow``.
    """

    def __init__(
        self, settings: FetchSettings, ca_bundle: str | None, grow: Callable[[int, int], bool]
    ) -> None:
        self._settings = settings
        self._ca_bundle = ca_bundle
        self._grow = grow
        self._access = RequestAccess(settings.access)
        self._may_take_turns = settings.manners.processes > 1
        self._has_certificate = settings.access.client_certificate is not None
        disallowed = frozenset(
            directive.strip().lower() for directive in settings.disallowed_header_directives
        )
        self._policy = AnswerPolicy(
            settings.max_body_bytes, disallowed, settings.user_agent_token, settings.respect_tdm
        )
        # One received block more than is read: what is cut off is then always longer than that.
        self._robots_settings = replace(settings, max_body_bytes=LARGEST_BYTES + RECEIVE_BUFFER_BYTES + 1)
        self._proxies = Proxies(settings.access)
        self._reach = Reach(settings.private_addresses == "allow")
        # The proxy itself may be at any kind of address that a list may name.
        self._proxied_reach = Reach(private_allowed=True, proxied=True)
        # How often each host has not taken a request. One that goes on doing so is asked over HTTP/1.1.
        self._not_taken: Counter[str] = Counter()
        self._idle: list[Transfer] = []
        self._idle_for_robots: list[Transfer] = []
        self._idle_anonymous: list[Transfer] = []

    def take(self, job: Job) -> Transfer:
        """An idle transfer for ``job``, or a new one."""
        home = self._home(job)
        return home.pop() if home else self._new(home)

    def fits(self, transfer: Transfer, job: Job) -> bool:
        """Whether ``transfer`` may carry on with ``job``, which has been redirected."""
        return transfer.home is self._home(job)

    def begin(self, transfer: Transfer, job: Job, reserved: int, now: float) -> None:
        """Aim ``transfer`` at the address of ``job``, with ``reserved`` bytes of memory."""
        transfer.begin(job.uri, reserved, now)
        transfer.choose_connection(job.resent > 0, self._not_taken.get(job.host, 0) >= ENDINGS_OF_HTTP2)
        transfer.take_as_sent(job.as_sent)
        proxy = self._proxies.of(job.uri)
        job.proxied = bool(proxy)
        transfer.go_through(proxy, self._proxied_reach if proxy else self._reach)
        transfer.had_own = self._access.prepare(
            transfer.easy, job.uri, job.foreign, job.cookies, job.row.headers, transfer.had_own
        )
        if self._may_take_turns:
            # An idle connection would keep another process's from being the host's last one.
            transfer.keep_connection(not self._settings.manners.takes_turns(job.host))

    def may_send_again(self, transfer: Transfer, job: Job, code: int) -> bool:
        """Whether ``job`` is to be sent again at once: the server had not taken it."""
        if job.resent >= MOST_RESENT or not transfer.was_not_taken(code):
            return False
        job.resent += 1
        if job.uri.startswith("https:") and len(self._not_taken) < REMEMBERED_HOSTS:
            self._not_taken[job.host] += 1
        return True

    def put_back(self, transfer: Transfer) -> None:
        """``transfer`` has ended."""
        transfer.home.append(transfer)

    def close(self) -> None:
        """Close every idle handle."""
        for transfer in (*self._idle, *self._idle_for_robots, *self._idle_anonymous):
            transfer.easy.close()

    def _home(self, job: Job) -> list[Transfer]:
        if job.robots_of:
            return self._idle_for_robots
        return self._idle_anonymous if self._has_certificate and job.foreign else self._idle

    def _new(self, home: list[Transfer]) -> Transfer:
        if home is self._idle_for_robots:
            policy = AnswerPolicy(sys.maxsize, (), None)
            transfer = Transfer(
                self._robots_settings,
                self._ca_bundle,
                policy,
                self._grow,
                reach=self._reach,
                truncates=True,
            )
        else:
            transfer = Transfer(
                self._settings,
                self._ca_bundle,
                self._policy,
                self._grow,
                reach=self._reach,
                with_certificate=home is self._idle,
            )
        transfer.home = home
        return transfer
