"""Sharing out the last shards of a run, so that no core stands idle while another finishes.

When the list has ended and a worker has nothing left to do (its last rows may only wait for slow servers),
the busiest one is asked for half of its waiting rows; they are handed to the idle one, whose outcomes go back
to their owner. ``LocalPool`` calls this for what its workers say.
"""

from __future__ import annotations

from collections.abc import Collection

from img2dataset.distributing.seats import Seat
from img2dataset.working.sharing import FEWEST_SHARED_ROWS, Helped, HelpWith, SharedRows, ShareRows, TakeBack

# A worker takes about half a second to start; it must save more than that.
ROWS_WORTH_A_WORKER = 400


class Tail:
    """Decides who helps whom; the rows on loan are in ``Seat.helping`` of the helper."""

    def __init__(self) -> None:
        self._dry: set[int] = set()  # workers that had nothing to give

    def share(self, seats: Collection[Seat]) -> bool:
        """Ask the busiest worker to share, for a worker that has nothing to do.

        Returns:
            Whether one more worker would be of use.
        """
        donors = [
            seat
            for seat in seats
            if seat.unsettled >= 2 * FEWEST_SHARED_ROWS
            and not (seat.alone or seat.can_help or seat.number in self._dry)
        ]
        asked = sum(1 for seat in donors if seat.asked)
        free = [seat for seat in donors if not seat.asked]
        if not free:
            return False
        busiest = max(free, key=lambda seat: seat.unsettled)
        if sum(1 for seat in seats if seat.can_help) > asked:
            busiest.asked = True
            busiest.process.send(ShareRows())
            return False
        starting = any(seat.starting for seat in seats)
        return not starting and busiest.unsettled >= ROWS_WORTH_A_WORKER

    def hand_over(self, owner: Seat, message: SharedRows, seats: Collection[Seat]) -> None:
        """Give what a worker shares to an idle one, or back."""
        owner.asked = False
        if not message.rows:
            self._dry.add(owner.number)
            return
        helper = next((seat for seat in seats if seat.can_help and seat is not owner), None)
        if helper is None:
            owner.process.send(TakeBack(message.rows))
            return
        helper.waiting = None
        helper.helping.update((spare.name, spare) for spare in message.rows)
        helper.process.send(HelpWith(message.rows))

    def pass_on(self, helper: Seat, message: Helped, seats: Collection[Seat]) -> None:
        """Send a helper's outcomes to the owner of the shard, if it still has it."""
        helper.helping.pop(message.name, None)
        owner = _owner_of(message.shard_id, seats)
        if owner is not None:
            owner.process.send(message)

    def forget_shard(self, shard_id: int, seats: Collection[Seat]) -> None:
        """A shard has ended: nobody waits for its rows any more."""
        for seat in seats:
            if seat.helping:
                seat.helping = {
                    name: spare for name, spare in seat.helping.items() if spare.row.shard_id != shard_id
                }

    def return_rows(self, helper: Seat, seats: Collection[Seat]) -> None:
        """A helper is gone: its rows are their owners' again."""
        for shard_id in {spare.row.shard_id for spare in helper.helping.values()}:
            owner = _owner_of(shard_id, seats)
            if owner is not None:
                rows = [spare for spare in helper.helping.values() if spare.row.shard_id == shard_id]
                owner.process.send(TakeBack(rows))
                self._dry.discard(owner.number)


def _owner_of(shard_id: int, seats: Collection[Seat]) -> Seat | None:
    return next((seat for seat in seats if shard_id in seat.shards), None)
