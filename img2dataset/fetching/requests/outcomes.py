"""What follows from how a request ended: the next hop, another request, another try, or the row's outcome.

Pure functions of values; the loop carries out what they say. Another try comes after an exponential backoff
with full jitter: rows that failed together (a host that was overwhelmed) come back spread out, not
together.
"""

from __future__ import annotations

import datetime
import email.utils
import re
from collections.abc import Callable
from dataclasses import replace
from enum import Enum

from img2dataset import failures
from img2dataset.failures import Failure
from img2dataset.fetching.consent.site_files import MAX_REDIRECTS
from img2dataset.fetching.hosts.politeness import host_of, is_own_network, leads_elsewhere
from img2dataset.fetching.hosts.states import LONGEST_RETRY_AFTER_S
from img2dataset.fetching.http.cookies import with_cookies
from img2dataset.fetching.http.response_head import Answer
from img2dataset.fetching.requests.ledger import Download, Redirects
from img2dataset.fetching.urls import UrlRefused, redirect_target

# What a second request may mend: a header that contradicts the body. Then the body is taken as it comes,
# and what is really compressed is undone by ``response.undone``: ``Content-Encoding: utf-8``,
# ``image/jpeg`` or ``aws-chunked``, ``gzip`` on a plain JPEG, ``Content-Length: -1``, ``Transfer-Encoding:
# foo``. libcurl refuses each, browsers show the picture.
CONTRADICTIONS = frozenset(
    {
        failures.ENCODING_UNKNOWN,
        failures.ENCODING_BROKEN,
        failures.ENCODING_OF_TRANSFER,
        failures.PROTOCOL_LENGTH,
    }
)
FIRST_DELAY_S = 1.0
LONGEST_DELAY_S = 30.0


class Step(Enum):
    """What comes after a request."""

    REDIRECT = "the next hop"
    MORE_MEMORY = "the same try from its beginning, when there is room for the body"
    AS_SENT = "the same try from its beginning, whose body is taken as it comes"
    BODY = "its body is the outcome"
    FAILURE = "its failure is the outcome, unless another try mends it"


def next_step(download: Download, failure: Failure | None, answer: Answer | None, needs: int) -> Step:
    """What comes after a request that is not to be sent again at once.

    Args:
        download: what it was for.
        failure: how it failed; None: not.
        answer: what its headers said; None: there was none.
        needs: the bytes of memory that its body needs and could not get.
    """
    if answer is not None and answer.location is not None and failure is None:
        return Step.REDIRECT
    if needs:
        return Step.MORE_MEMORY
    if failure in CONTRADICTIONS and not (download.as_sent or download.site_file):
        return Step.AS_SENT
    return Step.BODY if failure is None else Step.FAILURE


def next_hop(download: Download, location: bytes, max_redirects: int) -> str:
    """The URI to which an answer redirects ``download``, under the policy of its first one.

    Raises:
        UrlRefused: there were too many, or it leads to what is not followed.
    """
    if download.redirects.hops >= (MAX_REDIRECTS if download.site_file else max_redirects):
        raise UrlRefused(failures.REDIRECT_TOO_MANY)
    return redirect_target(download.uri, location)


def after_hop(download: Download, target: str, answer: Answer, was_public: bool, now: float) -> Redirects:
    """What is remembered of the redirects of ``download`` after one more.

    Args:
        download: still aimed at what has answered.
        target: where the redirect leads.
        answer: the redirect.
        was_public: whether it came from a public address.
        now: Unix seconds.
    """
    before = download.redirects
    return replace(
        before,
        hops=before.hops + 1,
        foreign=before.foreign or leads_elsewhere(download.uri, target),
        after_public=before.after_public or was_public,
        cookies=with_cookies(before.cookies, answer.cookies, download.uri, now),
    )


def led_to_file(waiting: Download, file_uri: str, is_named: bool) -> Redirects:
    """What counts as having led to a site's file, so that it is asked for as a redirect is followed.

    Without that a redirect to this machine's network, or a licence there, would be a way past ``Reach``.

    Args:
        waiting: aimed at a URI of the site.
        file_uri: of the file.
        is_named: another file of the site names it.
    """
    after_public = waiting.redirects.after_public
    is_foreign = is_named and leads_elsewhere(waiting.uri, file_uri)
    # From which address the other file has come is not kept: only names and numbers of one's own network are
    # known not to be public.
    after_public = after_public or (is_foreign and not is_own_network(host_of(waiting.uri)))
    return Redirects(foreign=is_foreign, after_public=after_public)


def another_try_s(
    download: Download,
    failure: Failure,
    retries: int,
    retry_after: str | None,
    now: float,
    random: Callable[[], float],
) -> float | None:
    """Seconds until another try of ``download``, whose latest one failed; None if there shall be none.

    Args:
        download: what was tried.
        failure: how.
        retries: tries allowed after the first.
        retry_after: the header that asks to wait.
        now: Unix seconds.
        random: a number in [0, 1) at each call.
    """
    if download.tries > retries:
        return None
    asked_s = parse_retry_after(retry_after, now) if retry_after else None
    return delay_before_retry(failure, download.tries, retries, asked_s, random)


def delay_before_retry(
    failure: Failure, tries: int, retries: int, retry_after_s: float | None, random: Callable[[], float]
) -> float | None:
    """Seconds to wait before the next try, or None if there shall be none.

    Args:
        failure: how the latest try ended.
        tries: tries made so far, at least 1.
        retries: tries allowed after the first.
        retry_after_s: what the server asked to wait, seconds.
        random: a number in [0, 1) at each call.
    """
    if tries > retries or not failure.kind.again:
        return None
    backoff = random() * min(LONGEST_DELAY_S, FIRST_DELAY_S * 2.0 ** min(tries - 1, 30))
    if retry_after_s is None:
        return backoff
    if retry_after_s > LONGEST_RETRY_AFTER_S:
        return None
    # Not all at the very moment the server named.
    return retry_after_s + min(backoff, FIRST_DELAY_S)


def parse_retry_after(value: str, now: float) -> float | None:
    """Seconds from ``now`` (Unix time) that a Retry-After header asks for; None if it is unreadable."""
    value = value.strip()
    if re.fullmatch(r"[0-9]{1,9}", value):
        return float(value)
    try:
        date = email.utils.parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError, OverflowError):  # the last for a year of twenty digits
        return None
    if date.tzinfo is None:
        # An asctime date says no zone and -0000 none that is known: HTTP's dates are of Greenwich (RFC 9110).
        date = date.replace(tzinfo=datetime.timezone.utc)
    try:
        return max(0.0, date.timestamp() - now)
    except (OverflowError, ValueError, OSError):
        return None
