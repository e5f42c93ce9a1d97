"""Says that a host of the list asks who runs the program, and that this run does not say it.

In: the URLs of rows, as they are read, before they are requested. Out: a line for each policy of hosts that
needs a contact, with the first of its rows. No list is read for it, and of lists without such hosts nothing
is said. Used by the engines of ``distributing`` and by the loaders and streams of ``training``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from img2dataset.fetching.hosts.policies import BELOW, NO_POLICY, HostPolicy
from img2dataset.fetching.hosts.politeness import host_of, name_of
from img2dataset.fetching.urls import UrlRefused, to_uri

if TYPE_CHECKING:
    import pyarrow as pa

    from img2dataset.fetching.settings import FetchSettings


class ContactNotice:
    """What is still to be said.

    Args:
        settings: the policies of hosts, and what the User-Agent says.
        tell: called with each line.
        way_out: what the user can do; None: the options of a run.
    """

    def __init__(
        self, settings: FetchSettings, tell: Callable[[str], None], way_out: str | None = None
    ) -> None:
        self._settings = settings
        self._tell = tell
        own_header = settings.user_agent is not None
        self._way_out = way_out or ("put one into --user_agent" if own_header else "give --contact")
        wanting = () if settings.names_contact else settings.policies
        self._left = {policy for policy in wanting if policy.needs_contact}
        names = {re.escape(name_of(policy.host.removeprefix(BELOW))) for policy in self._left}
        # Of an address that may be one of these; whose its host is, is looked up then.
        self._pattern = "|".join(sorted(names))
        self._likely = re.compile(self._pattern, re.IGNORECASE)

    def look_at_column(self, urls: pa.ChunkedArray) -> None:
        """Say what these addresses give cause for: some ms for 10,000 rows."""
        if self._left:
            import pyarrow.compute as pc

            found = pc.match_substring_regex(urls, self._pattern, ignore_case=True)
            self._look_at(urls.filter(found).to_pylist())

    def look_at(self, urls: Iterable[str]) -> None:
        """Say what these addresses give cause for: some µs each."""
        if self._left:
            self._look_at(url for url in urls if self._likely.search(url))

    def _look_at(self, likely: Iterable[str]) -> None:
        for text in likely:
            policy = self._policy_of(text)
            if policy in self._left:
                self._left.discard(policy)
                self._tell(self._notice(policy))
                if not self._left:
                    return

    def _policy_of(self, text: str) -> HostPolicy:
        try:
            return self._settings.policies.of(host_of(to_uri(text, self._settings.more_schemes)))
        except UrlRefused:
            return NO_POLICY

    def _notice(self, policy: HostPolicy) -> str:
        of = ", ".join(part for part in (policy.date, policy.source) if part)
        return (
            f"{policy.host} asks for a contact in the User-Agent, and may refuse this run, which names none;"
            f" {self._way_out}{f' (policy: {of})' if of else ''}"
        )
