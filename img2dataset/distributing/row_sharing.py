"""Sharing out the last shards of a run, so that no core stands idle while another finishes.

When the list has ended and a worker has nothing left to do (its last rows may only wait for slow servers),
the busiest one is asked for half of its waiting rows; they are handed to the idle one, whose outcomes go back
to their owner. ``LocalPool`` calls this for what its workers say.
"""

from __future__ import annotations

from collections.abc import Collection

from img2dataset.distributing.pool_worker import PoolWorker
from img2dataset.working.sharing import FEWEST_SHARED_ROWS, Helped, HelpWith, SharedRows, ShareRows, TakeBack

# A worker takes about half a second to start; it must save more than that.
ROWS_WORTH_A_WORKER = 400


class RowSharing:
    """Decides who helps whom; the rows on loan are in ``PoolWorker.shared_rows`` of the helper."""

    def __init__(self) -> None:
        # Workers that had nothing to give when they were asked, and have answered no row since.
        self._nothing_to_share: set[int] = set()

    def ask_to_share(self, workers: Collection[PoolWorker]) -> bool:
        """Ask the busiest worker to share, for a worker that has nothing to do.

        Returns:
            Whether one more worker would be of use.
        """
        idle = sum(1 for worker in workers if worker.idle)
        donors = [
            worker
            for worker in workers
            if worker.rows_left >= 2 * FEWEST_SHARED_ROWS
            # One that can help only waits for its servers. It may have rows that wait for their host's
            # connections, and shares them only with a worker that has nothing at all.
            and (idle or not worker.can_help)
            and not (worker.isolated or worker.number in self._nothing_to_share)
        ]
        asked = sum(1 for worker in donors if worker.asked_to_share)
        free = [worker for worker in donors if not worker.asked_to_share]
        if not free:
            return False
        busiest = max(free, key=lambda worker: (not worker.can_help, worker.rows_left))
        helpers = idle if busiest.can_help else sum(1 for worker in workers if worker.can_help)
        if helpers > asked:
            busiest.asked_to_share = True
            busiest.process.send(ShareRows())
            return False
        starting = any(worker.starting for worker in workers)
        return not starting and busiest.rows_left >= ROWS_WORTH_A_WORKER

    def give_to_helper(self, owner: PoolWorker, message: SharedRows, workers: Collection[PoolWorker]) -> None:
        """Give what a worker shares to an idle one, or back."""
        owner.asked_to_share = False
        if not message.rows:
            self._nothing_to_share.add(owner.number)
            return
        others = [worker for worker in workers if worker.can_help and worker is not owner]
        helper = next((worker for worker in others if worker.idle or not owner.can_help), None)
        if helper is None:
            owner.process.send(TakeBack(message.rows))
            return
        helper.rows_waiting = None
        helper.shared_rows.update((spare.name, spare) for spare in message.rows)
        helper.process.send(HelpWith(message.rows))

    def rows_done(self, worker: PoolWorker) -> None:
        """A worker has answered rows, so a host may no longer be on trial: the worker is asked again."""
        self._nothing_to_share.discard(worker.number)

    def pass_to_owner(self, helper: PoolWorker, message: Helped, workers: Collection[PoolWorker]) -> None:
        """Send a helper's outcomes to the owner of the shard, if it still has it."""
        helper.shared_rows.pop(message.name, None)
        owner = _owner_of(message.shard_id, workers)
        if owner is not None:
            owner.process.send(message)

    def forget_shard(self, shard_id: int, workers: Collection[PoolWorker]) -> None:
        """A shard has ended: nobody waits for its rows any more."""
        for worker in workers:
            if worker.shared_rows:
                worker.shared_rows = {
                    name: spare
                    for name, spare in worker.shared_rows.items()
                    if spare.row.shard_id != shard_id
                }

    def return_rows(self, helper: PoolWorker, workers: Collection[PoolWorker]) -> None:
        """A helper is gone: its rows are their owners' again."""
        for shard_id in {spare.row.shard_id for spare in helper.shared_rows.values()}:
            owner = _owner_of(shard_id, workers)
            if owner is not None:
                rows = [spare for spare in helper.shared_rows.values() if spare.row.shard_id == shard_id]
                owner.process.send(TakeBack(rows))
                self._nothing_to_share.discard(owner.number)


def _owner_of(shard_id: int, workers: Collection[PoolWorker]) -> PoolWorker | None:
    return next((worker for worker in workers if shard_id in worker.shards), None)
