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
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from img2dataset.storage.folders import names_in, remove
from img2dataset.storage.locations import Location
from img2dataset.storage.moving import make_folder
from img2dataset.storage.putting import create_text, put_text
from img2dataset.storage.runs import run_is_dead

logger = logging.getLogger("img2dataset")

LEASES_FOLDER = ".img2dataset_leases"
MEMBER_PREFIX = "member-"
MOST_BETWEEN_SIGNS_S = 10.0
# How many signs of life may be missed before an owner is given up.
SIGNS_BEFORE_GONE = 6
# The sign of a member is read again at most so often, however many leases it has.
LOOK_AGAIN_S = 1.0
# Each time a lease is taken from one who is gone it has one more.
_MOST_GENERATIONS = 1000


class Leases:
    """The leases of one program in a folder, from ``start`` to ``close``. Safe in several threads.

    Args:
        location: of the folder.
        member: this program among those that share the folder; a later one of the same name replaces it.
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
        # Held by the thread that is at the folder, where only one may be.
        self._turn = threading.RLock() if location.takes_one_at_a_time else contextlib.nullcontext()
        self._folder = f"{location.path}/{folder}"
        self._owner = f"{member} {run_id}"
        self._own_sign = f"{self._folder}/{_sign_name(self._owner)}"
        self._gone_s = gone_s
        self._interval_s = min(MOST_BETWEEN_SIGNS_S, gone_s / SIGNS_BEFORE_GONE)
        self._clock = clock
        self._lock = threading.Lock()  # guards what follows
        self._held: dict[str, list[str]] = {}
        self._seen: dict[str, _Seen] = {}
        self._gone: set[str] = set()
        self._closed = False
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
            paths = [path for held in self._held.values() for path in held]
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
            left = names_in(self._location, self._folder)
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
        member, _, run_id = owner.rpartition(" ")
        replaced = member == self._owner.rpartition(" ")[0] and owner != self._owner
        gone = replaced or run_is_dead(run_id) or self._silent_s(owner) >= self._gone_s
        if gone:
            with self._lock:
                self._gone.add(owner)
        return gone

    def _silent_s(self, owner: str) -> float:
        """For how long, as seen from here, an owner has given no sign of life."""
        now = self._clock()
        with self._lock:
            seen = self._seen.get(owner)
        if seen is None or now - seen.looked >= LOOK_AGAIN_S:
            sign = self._text_at(f"{self._folder}/{_sign_name(owner)}")
            since = now if seen is None or seen.sign != sign else seen.since
            seen = _Seen(sign, since, now)
            with self._lock:
                self._seen[owner] = seen
        return now - seen.since

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
            except Exception as error:  # others then take this one for gone, and do some of its work too
                logger.debug("no sign of life can be given: %s", error)

    def _put_sign(self, number: int) -> None:
        text = f"{self._owner} {number}"
        with self._turn:
            try:
                put_text(self._location, self._own_sign, text)
            except FileNotFoundError:  # the last of others has removed the folder
                make_folder(self._location, self._folder)
                put_text(self._location, self._own_sign, text)

    def _remove(self, paths: list[str]) -> None:
        for path in reversed(paths):
            with contextlib.suppress(Exception), self._turn:
                remove(self._location, path)


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


def _sign_name(owner: str) -> str:
    return MEMBER_PREFIX + owner.replace(" ", "-")
