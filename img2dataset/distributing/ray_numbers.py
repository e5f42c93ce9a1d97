"""The numbers of a run's nodes, among whom what a host may be asked for is divided.

Pure; used by ``ray_cluster``.

A node that joins takes the number of one that was lost. If there is none, all nodes have to end what they
have open, and are counted anew: with two counts at once a host would see more than its bound.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

# Nodes that join wait for each other so long, since all others have to end what they have open.
COUNTING_INTERVAL_S = 120.0


class NumberedNode(Protocol):
    """What is known here of a node; ``number`` is None until it has one, and gets no shards before."""

    node_id: str
    number: int | None
    members: int

    @property
    def has_work(self) -> bool:
        """Whether it has anything open."""


class NodeNumbers:
    """Gives numbers to the nodes of one pass."""

    def __init__(self) -> None:
        self._members = 0
        self._counted_at = 0.0

    def are_to_be_given(self, nodes: Sequence[NumberedNode], now: float) -> bool:
        """Give numbers to the nodes that have none, where that can be done now.

        Args:
            nodes: those that are at work.
            now: seconds.

        Returns:
            Whether the nodes have to end what they have open first, and get no shards until then.
        """
        new = [node for node in nodes if node.number is None]
        free = sorted(set(range(self._members)) - {node.number for node in nodes})
        for node, number in zip(new, free, strict=False):
            node.number, node.members = number, self._members
        if len(new) <= len(free):
            return False
        if self._members and now - self._counted_at < COUNTING_INTERVAL_S:
            return False
        if any(node.has_work for node in nodes):
            return True
        self._members, self._counted_at = len(nodes), now
        for number, node in enumerate(sorted(nodes, key=lambda node: node.node_id)):
            node.number, node.members = number, self._members
        return False
