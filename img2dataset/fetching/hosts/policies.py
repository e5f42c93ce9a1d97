"""What hosts ask of programs in writing: their policies, and which of them is a host's.

Read from files by ``policy_files``; ``politeness`` says how they and the user's options become bounds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True, kw_only=True)
class HostPolicy:
    """What one host, or each of several, may be asked for by a whole run.

    Args:
        host: as ``politeness.host_of`` names it. Without a port: on any. ``*.`` before it: all hosts below
            it, each for itself.
        connections: at a time; 0: any number; None: nothing is said of them.
        bytes_per_s: received, headers included; None: nothing is said.
        requests_per_s: sent; None: nothing is said.
        needs_contact: the User-Agent is to say how the user can be reached.
        source: where the policy stands.
        date: of the policy.
        is_users: it is of the user's own file, which wins over options.
    """

    host: str = ""
    connections: int | None = None
    bytes_per_s: float | None = None
    requests_per_s: float | None = None
    needs_contact: bool = False
    source: str = ""
    date: str = ""
    is_users: bool = False


NO_POLICY = HostPolicy()
# Stands before a name: all hosts below it.
BELOW = "*."


@dataclass(frozen=True)
class HostPolicies:
    """The policies of a run.

    Args:
        known: those that come with this package.
        users: those of the user's file; for the hosts that they name, ``known`` says nothing.
    """

    known: Sequence[HostPolicy] = ()
    users: Sequence[HostPolicy] = ()

    def of(self, host: str) -> HostPolicy:
        """The policy of ``host``, the one that names it most closely; ``NO_POLICY`` if there is none."""
        for by_name, has_parents in self._tables:
            for name in _names_of(host, has_parents) if by_name else ():
                if name in by_name:
                    return by_name[name]
        return NO_POLICY

    def __iter__(self) -> Iterator[HostPolicy]:
        return iter((*self.users, *self.known))

    @cached_property
    def _tables(self) -> tuple[tuple[dict[str, HostPolicy], bool], ...]:
        """The users' policies and the known ones, by host, and whether any is of all hosts below one."""
        tables = [{policy.host: policy for policy in part} for part in (self.users, self.known)]
        return tuple((table, any(host.startswith(BELOW) for host in table)) for table in tables)


NO_POLICIES = HostPolicies()


def _names_of(host: str, has_parents: bool) -> Iterator[str]:
    """The names that a policy of ``host`` may have, the closest first."""
    yield host
    name, port = host, ""
    if host[-1:].isdigit() and ":" in host:
        name, _, number = host.rpartition(":")
        port = ":" + number
    name = name.removesuffix(".")
    yield name + port
    yield name
    while has_parents and "." in name:
        name = name.partition(".")[2]
        yield BELOW + name + port
        yield BELOW + name
