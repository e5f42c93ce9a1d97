"""The page of one run: looks into its folder while somebody watches, and serves what it sees.

Called by the api (``--dashboard``) and by ``img2dataset watch``.
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from img2dataset.errors import one_line
from img2dataset.printable import printable
from img2dataset.reporting.live.following import FollowedLog, LogFollower
from img2dataset.reporting.live.samples import SHOWN_SAMPLES, LatestSamples, ShownSample, shown_samples
from img2dataset.reporting.live.server import PageServer
from img2dataset.reporting.live.shard_statistics import StatisticsFollower
from img2dataset.reporting.live.view import RUNNING, last_run, view_of
from img2dataset.storage.locations import Location
from img2dataset.storage.temporaries import attempts_under_way

logger = logging.getLogger("img2dataset")

LOOK_INTERVAL_S = 2.0
# Of the time, this part at most is spent on looking: a folder in a store may have a million shards.
LOOKING_SHARE = 0.2
SAMPLES_INTERVAL_S = 5.0
# Nobody has asked for so long: nobody watches, and nothing is read.
WATCHED_S = 30.0
# The last look at the folder of a run that has ended may take so long.
LAST_LOOK_S = 10.0
# Then a browser that watches has so long to fetch the last view.
LAST_VIEW_S = 2.0


class LivePage:
    """Serves the page of an output folder, from when it is made to ``close``.

    Args:
        location: the output folder; it may not be there yet.
        shown_name: the folder as it is shown, without what is secret in it.
        status: what ``img2dataset status --json`` says of the folder; may raise.
        port: 0: one that is free.

    Raises:
        OSError: nothing can be served on loopback.
    """

    def __init__(
        self, location: Location, shown_name: str, status: Callable[[], Mapping[str, Any]], port: int = 0
    ) -> None:
        location = location.for_this_thread()
        self._location, self._name, self._status = location, shown_name, status
        self._logs, self._statistics = LogFollower(location), StatisticsFollower(location)
        self._latest = LatestSamples(location)
        self._heard, self._grew = 0.0, -1e9
        self._samples_looked = -1e9
        self._shown: list[ShownSample] = []
        self._is_first = True
        self._has_had_status = False
        self._changed = threading.Condition()  # guards what follows
        self._number = 0
        self._view: dict[str, Any] = {}
        self._samples: dict[str, ShownSample] = {}
        self._asked = -1e9
        self._waiting = 0
        self._looked = -1e9
        self._closing = False
        self._is_last = False
        self._told_last = threading.Event()
        self._server = PageServer(self, port)
        self._looking = threading.Thread(target=self._look_on, name="live page", daemon=True)
        self._looking.start()
        threading.Thread(target=self._server.serve, name="live page server", daemon=True).start()

    @property
    def port(self) -> int:
        """The port it is served on: where another was asked for, that one was taken."""
        return self._server.port

    @property
    def url(self) -> str:
        """The address of the page, with its token."""
        return self._server.url

    def view(self, after: int | None, wait_s: float) -> tuple[int, Mapping[str, Any]]:
        """The number of the latest view, and it; waits while there is none but that with number ``after``."""
        with self._changed:
            self._asked = time.monotonic()
            is_fresh = time.monotonic() - self._looked < LOOK_INTERVAL_S
            wanted = after if after is not None else self._number - is_fresh
            self._waiting += 1
            self._changed.notify_all()
            # What nobody has looked at for a while is not the latest any more.
            self._changed.wait_for(
                lambda: (self._number > wanted and self._view) or self._is_last, max(wait_s, 5.0)
            )
            self._waiting -= 1
            return self._number, self._view

    def sample(self, key: str) -> ShownSample | None:
        """One of the samples that are shown."""
        with self._changed:
            return self._samples.get(key)

    def told_last(self) -> None:
        """The last view has been sent to somebody."""
        self._told_last.set()

    def close(self) -> None:
        """Look for the last time, let those who watch see that, and end."""
        with self._changed:
            is_watched = time.monotonic() - self._asked < WATCHED_S
            self._closing = True
            self._changed.notify_all()
        if is_watched:
            self._looking.join(LAST_LOOK_S)
            self._told_last.wait(LAST_VIEW_S)
        threading.Thread(target=self._server.close, daemon=True).start()

    def _look_on(self) -> None:
        wait_s = 0.0
        while not self._closing:
            with self._changed:
                self._changed.wait_for(lambda: self._closing, wait_s)
                self._changed.wait_for(lambda: self._closing or self._is_watched())
            took_s = self._look()
            wait_s = max(LOOK_INTERVAL_S, took_s / LOOKING_SHARE)
        self._look(is_last=True)

    def _is_watched(self) -> bool:
        return self._waiting > 0 or time.monotonic() - self._asked < WATCHED_S

    def _look(self, is_last: bool = False) -> float:
        began = time.monotonic()
        try:
            view, samples = self._seen(is_last)
        except Exception as error:  # every file system has its own errors; the next look may succeed
            logger.debug("the live page cannot look into the folder: %s", error)
            view, samples = {**self._view, "trouble": self._told(error)}, self._shown
        with self._changed:
            self._number, self._looked = self._number + 1, time.monotonic()
            view["is_last"] = is_last
            self._view = view
            # A browser may be about to fetch those of the view before.
            now = {sample.key: sample for sample in samples}
            self._samples = dict(itertools.islice({**now, **self._samples}.items(), 2 * SHOWN_SAMPLES))
            self._is_last = is_last
            self._changed.notify_all()
        return time.monotonic() - began

    def _seen(self, is_last: bool) -> tuple[dict[str, Any], list[ShownSample]]:
        logs = last_run(self._logs.look()) or self._statistics.look()
        status, trouble = self._status_now()
        view = view_of(self._name, logs, status, time.time(), self._has_grown(logs))
        if view["shards_open"] is None and view["state"] == RUNNING:
            open_now = attempts_under_way(self._location)
            view["shards_open"] = None if open_now is None else len(open_now)
        samples = self._shown
        if is_last or time.monotonic() - self._samples_looked > SAMPLES_INTERVAL_S:
            self._samples_looked = time.monotonic()
            samples = self._shown = self._latest.look()
        view |= {"trouble": trouble, "samples": shown_samples(samples, with_images=is_last)}
        return view, samples

    def _status_now(self) -> tuple[Mapping[str, Any], str | None]:
        """What the folder's status is, and why there is none any more where there was one."""
        try:
            status = self._status()
        except Exception as error:  # there is no folder yet, or it has nothing of a run
            logger.debug("the live page has no status of the folder: %s", error)
            return {}, self._told(error) if self._has_had_status else None
        self._has_had_status = True
        return status, None

    def _told(self, error: Exception) -> str:
        """An error, for whoever watches; the folder in it as it is shown."""
        return printable(one_line(error)).replace(self._location.name, self._name)

    def _has_grown(self, logs: list[FollowedLog]) -> bool:
        """Whether the logs have grown of late by this machine's clock, which may not be that of the run's."""
        heard = max((log.heard for log in logs), default=0.0)
        if heard > self._heard and not self._is_first:
            self._grew = time.monotonic()
        self._heard, self._is_first = heard, False
        return time.monotonic() - self._grew < WATCHED_S
