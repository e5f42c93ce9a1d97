"""A worker process that does nothing with its shards but report them done; started by ``feeding.py``."""

from __future__ import annotations

import sys

from img2dataset.distributing.messages import NoMoreWork, Reported, ShardForWorker, WantsShard
from img2dataset.processes.frames import receive, send
from img2dataset.types import ShardReport, ShardStats


def main() -> None:
    """Serve one run as ``img2dataset.distributing.worker_process`` does, without the work."""
    incoming, outgoing = sys.stdin.buffer, sys.stdout.buffer
    receive(incoming)  # the settings
    send(outgoing, WantsShard())
    while (message := receive(incoming)) is not None and not isinstance(message, NoMoreWork):
        if isinstance(message, ShardForWorker):
            shard = message.shard
            rows = shard.rows.num_rows
            stats = ShardStats(shard.shard_id, rows, rows, 0, 0, 0.0, 0.0, {"success": rows})
            send(outgoing, WantsShard())
            send(outgoing, Reported(ShardReport(shard.shard_id, stats)))
