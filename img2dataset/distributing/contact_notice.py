"""Says once that a host of the list asks who runs the program, and that this run does not say it.

Shards come in as they are read, before a worker has them; a warning goes out with the first that has a row of
such a host. No list is read for it, and of lists without such hosts nothing is said. Used by ``local``.
"""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING

from img2dataset.fetching import FetchSettings
from img2dataset.fetching.hosts.policies import BELOW, NO_POLICY, HostPolicy
from img2dataset.fetching.hosts.politeness import host_of, name_of
from img2dataset.fetching.urls import UrlRefused, to_uri
from img2dataset.types import Shard

if TYPE_CHECKING:
    import pyarrow as pa

logger = logging.getLogger("img2dataset")


class ContactNotice:
    """What is still to be said.

    Args:
        settings: the policies of hosts, and what the User-Agent says.
    """

    def __init__(self, settings: FetchSettings) -> None:
        self._settings = settings
        wanting = () if settings.names_contact else settings.policies
        self._left = {policy for policy in wanting if policy.needs_contact}

    def look_at(self, shard: Shard) -> None:
        """Say what the rows of ``shard`` give cause for."""
        if not self._left:
            return
        for text in self._likely(shard.rows.column("url")):
            policy = self._policy_of(text)
            if policy in self._left:
                self._left.discard(policy)
                logger.warning("%s", self._notice(policy))
                if not self._left:
                    return

    def _likely(self, urls: pa.ChunkedArray) -> list[str]:
        """The addresses that have the name of one of these hosts in them: some ms for 10,000 rows."""
        import pyarrow.compute as pc

        names = {name_of(policy.host.removeprefix(BELOW)) for policy in self._left}
        pattern = "|".join(re.escape(name) for name in sorted(names))
        found = pc.match_substring_regex(urls, pattern, ignore_case=True)
        likely: list[str] = urls.filter(found).to_pylist()
        return likely

    def _policy_of(self, text: str) -> HostPolicy:
        try:
            return self._settings.policies.of(host_of(to_uri(text, self._settings.more_schemes)))
        except UrlRefused:
            return NO_POLICY

    def _notice(self, policy: HostPolicy) -> str:
        of = ", ".join(part for part in (policy.date, policy.source) if part)
        way_out = "give --contact" if self._settings.user_agent is None else "put one into --user_agent"
        return (
            f"{policy.host} asks for a contact in the User-Agent, and may refuse this run, which names none;"
            f" {way_out}{f' (policy: {of})' if of else ''}"
        )
