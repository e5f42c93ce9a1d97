"""Who is at work at what, among programs that share a folder and nothing else.

In: a name, such as that of a shard. Out: whether this program may begin with it: nobody else has a lease of
it, or who has one is gone. Called by ``distributing.ranks``.

``.img2dataset_leases/00012.1`` says who has the lease of 00012; where its owner was given up, ``00012.2``
says who has it since. Each is created only where nothing stands, so that one of several wins (where a store
has no way for that, two may, and both do the same work). Each owner puts a file ``member-…`` there every few
seconds, with another text each time. One whose text has not changed for ``gone_s`` seconds of the *watcher's*
clock is gone: no times of two machines are compared.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from img2dataset.storage.folders import names_in, remove
from img2dataset.storage.locations import Location
from img2dataset.storage.moving import make_folder
from img2dataset.storage.putting import create_text, put_text
from img2dataset.storage.runs import boot_id, run_is_dead

logger = logging.getLogger("img2dataset")

LEASES_FOLDER = ".img2dataset_leases"
MEMBER_PREFIX = "member-"
MOST_BETWEEN_SIGNS_S = 10.0
# How many signs of life may be missed before an owner is given up.
SIGNS_BEFORE_GONE = 6
# How many one may miss who has the name of the watcher, which was started again after it, as it seems.
SIGNS_OF_NAMESAKE = 2.5
# The sign of a member is read again at most so often, however many leases it has.
LOOK_AGAIN_S = 1.0
# Each time a lease is taken from one who is gone it has one more.
_MOST_GENERATIONS = 1000


class Leases:
    """The leases of one program in a folder, from ``start`` to ``close``. Safe in several threads.

    Args:
        location: of the folder.
        member: this program among those that share the folder, the same when it is started again.
        run_id: of this program (``storage.runs``).
        gone_s: how long an owner may be silent.
        clock: seconds that only go forward.
        folder: in ``location``; made if need be.
    """

    def __init__(
        self,
        location: Location,
        member: str,
        run_id: str,
        gone_s: float,
        clock: Callable[[], float] = time.monotonic,
        folder: str = LEASES_FOLDER,
    ) -> None:
        self._location = location.for_this_thread()
        # Where nobody waits for an answer, nothing waits for a store that is away either.
        self._impatient = replace(self._location, patience=None)
        # Held by the thread that is at the folder, where only one may be.
        self._turn = threading.RLock() if location.takes_one_at_a_time else contextlib.nullcontext()
        self._folder = f"{location.path}/{folder}"
        # Some machines share all that a run id says of them, if they were copied one from another.
        self._owner = f"{member} {run_id} {boot_id()[:8] or '-'}"
        self._own_sign = f"{self._folder}/{_sign_name(self._owner)}"
        self._gone_s = gone_s
        self._interval_s = min(MOST_BETWEEN_SIGNS_S, gone_s / SIGNS_BEFORE_GONE)
        self._clock = clock
        self._lock = threading.Lock()  # guards what follows
        self._held: dict[str, list[str]] = {}
        self._seen: dict[str, _Seen] = {}
        self._gone: set[str] = set()
        # What should have been removed while the store was away.
        self._to_remove: list[str] = []
        # When the folder has last failed this program: others could give no sign of life then either.
        self._failed_at = -math.inf
        self._closed = False
        self._has_told_namesake = False
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._give_signs, name="lease", daemon=True)

    def start(self) -> None:
        """Show others that this program is at work.

        Raises:
            Exception: the folder cannot be written to; every file system has its own errors.
        """
        make_folder(self._location, self._folder)
        self._put_sign(0)
        self._thread.start()

    def take(self, name: str) -> bool:
        """Ask for the lease of ``name``; whether this program has it now.

        Raises:
            Exception: as ``start``.
        """
        with self._lock:
            if self._closed or name in self._held:
                return not self._closed
        paths = []
        for generation in range(1, _MOST_GENERATIONS):
            path = f"{self._folder}/{name}.{generation}"
            paths.append(path)
            if self._create(path):
                return self._keep(name, paths)
            owner = self._text_at(path)
            # Without one, it was given back a moment ago, and is to be asked for again.
            if owner is None or not self._is_gone(owner):
                return False
        return False

    @property
    def is_closed(self) -> bool:
        """Whether it takes no more."""
        return self._closed

    @property
    def held(self) -> int:
        """How many this program has."""
        with self._lock:
            return len(self._held)

    def give_back(self, name: str) -> None:
        """End the lease of ``name``, if this program has it. Never raises: what stays counts as its owner."""
        with self._lock:
            paths = self._held.pop(name, [])
        self._remove(paths)

    def close(self) -> None:
        """Give back all there are, and take no more. Never raises."""
        with self._lock:
            self._closed = True
            paths = [*self._to_remove, *(path for held in self._held.values() for path in held)]
            self._held.clear()
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join(self._interval_s)
        self._remove([*paths, self._own_sign])

    def remove_leftovers(self, is_done: Callable[[str], bool]) -> None:
        """After ``close``: remove what owners who are gone have left, as far as it was met. Never raises.

        Args:
            is_done: whether what a lease is of is done.
        """
        with self._lock:
            gone = set(self._gone)
        self._remove([f"{self._folder}/{_sign_name(owner)}" for owner in gone])
        with contextlib.suppress(Exception):
            left = names_in(self._impatient, self._folder)
            for entry in left:
                if (name := _leased(entry)) and is_done(name):
                    self._remove([f"{self._folder}/{entry}"])
            if self._location.is_local:
                os.rmdir(self._folder)  # raises while something is in it

    def _keep(self, name: str, paths: list[str]) -> bool:
        with self._lock:
            if not self._closed:
                self._held[name] = paths
                return True
        self._remove(paths[-1:])
        return False

    def _create(self, path: str) -> bool:
        """Write this program's name where nothing stands; whether that is what stands there now."""

        def attempt() -> bool:
            try:
                create_text(self._location, path, self._owner)
            except FileExistsError:
                # Perhaps from the try before, whose answer was lost.
                return self._text_at(path) == self._owner
            except FileNotFoundError:  # the last of others has removed the folder
                make_folder(self._location, self._folder)
                create_text(self._location, path, self._owner)
            return True

        with self._turn:
            return self._location.tried(attempt)

    def _is_gone(self, owner: str) -> bool:
        """Whether an owner has ended without giving back what it had."""
        with self._lock:
            if owner in self._gone:
                return True
        own_member, _, own_boot = _parts(self._owner)
        member, run_id, boot = _parts(owner)
        dead = boot == own_boot and run_is_dead(run_id)
        gone = dead or self._silent_s(owner) >= self._patience_s(member == own_member)
        if gone:
            with self._lock:
                self._gone.add(owner)
        return gone

    def _patience_s(self, is_namesake: bool) -> float:
        """How long an owner may be silent; one of this program's own name has most likely ended before it."""
        return min(self._gone_s, SIGNS_OF_NAMESAKE * self._interval_s) if is_namesake else self._gone_s

    def _silent_s(self, owner: str) -> float:
        """For how long, as seen from here, an owner has given no sign of life."""
        now = self._clock()
        with self._lock:
            seen = self._seen.get(owner)
        if seen is None or now - seen.looked >= LOOK_AGAIN_S:
            sign = self._text_at(f"{self._folder}/{_sign_name(owner)}")
            since = now if seen is None or seen.sign != sign else seen.since
            if seen is not None and seen.sign != sign:
                self._tell_namesake(owner)
            seen = _Seen(sign, since, now)
            with self._lock:
                self._seen[owner] = seen
        with self._lock:
            return now - max(seen.since, self._failed_at)

    def _tell_namesake(self, owner: str) -> None:
        """Say once that another program is at work under the name of this one."""
        name = _parts(self._owner)[0]
        if _parts(owner)[0] == name and owner != self._owner and not self._has_told_namesake:
            self._has_told_namesake = True
            logger.warning("another program is at work as %s too: give each a number of its own", name)

    def _text_at(self, path: str) -> str | None:
        try:
            with self._turn:
                contents: bytes = self._location.tried(lambda: self._location.file_system.cat_file(path))
        except FileNotFoundError:
            return None
        return contents.decode(errors="replace")

    def _give_signs(self) -> None:
        number = 0
        while not self._closing.wait(self._interval_s):
            number += 1
            try:
                self._put_sign(number)
            except Exception as error:  # others then take this one for gone, unless theirs fail as well
                logger.debug("no sign of life can be given: %s", error)
                with self._lock:
                    self._failed_at = self._clock()
                continue
            with self._lock:
                left, self._to_remove = self._to_remove, []
            self._remove(left)

    def _put_sign(self, number: int) -> None:
        text = f"{self._owner} {number}"
        with self._turn:
            try:
                put_text(self._impatient, self._own_sign, text)
            except FileNotFoundError:  # the last of others has removed the folder
                make_folder(self._impatient, self._folder)
                put_text(self._impatient, self._own_sign, text)

    def _remove(self, paths: list[str]) -> None:
        """Remove files; those that cannot be now are, as long as this program lives, after its next sign."""
        for path in reversed(paths):
            if not self._is_removed(path):
                with self._lock:
                    self._to_remove.insert(0, path)

    def _is_removed(self, path: str) -> bool:
        try:
            with self._turn:
                remove(self._impatient, path)
        except Exception as error:  # every file system has its own errors
            logger.debug("%s cannot be removed: %s", path, error)
            return False
        return True


def leased_names(location: Location) -> set[str]:
    """What there are leases of in a folder, those of owners who are gone included.

    Raises:
        Exception: the folder cannot be listed; every file system has its own errors.
    """
    return {
        name for entry in names_in(location, f"{location.path}/{LEASES_FOLDER}") if (name := _leased(entry))
    }


def _leased(entry: str) -> str | None:
    """What a file in the folder of leases is a lease of; None of a sign of life."""
    name, _, generation = entry.rpartition(".")
    return name if generation.isdecimal() and not entry.startswith(MEMBER_PREFIX) else None


@dataclass(frozen=True, slots=True)
class _Seen:
    """A member's latest sign, since when it is the same, and when it was looked at; monotonic seconds."""

    sign: str | None
    since: float
    looked: float


def _parts(owner: str) -> tuple[str, str, str]:
    """Member, run id and boot id; none of what is only half written, on a server that shows it."""
    parts = owner.rsplit(" ", 2)
    return (parts[0], parts[1], parts[2]) if len(parts) == 3 else ("", "", "")


def _sign_name(owner: str) -> str:
    return MEMBER_PREFIX + owner.replace(" ", "-")
