"""Weights & Biases: a run's numbers while it goes on, under the names of 1.47.0; resumed by the same command.

The environment says the rest, as always with W&B: ``WANDB_MODE=offline``, ``WANDB_DIR``, ``WANDB_RUN_ID``.
"""

from __future__ import annotations

import hashlib
import netrc
import os
import time
from typing import Any
from urllib.parse import urlsplit

from img2dataset.errors import OptionError
from img2dataset.reporting.events import EndEvent, RunEvent, TickEvent
from img2dataset.reporting.live.following import FollowedLog
from img2dataset.reporting.sinks.sink import Sink, SinkSettings, frequent_messages, metrics, need

TABLE_INTERVAL_S = 60.0
MODES_WITHOUT_LOGIN = ("offline", "disabled", "dryrun")
# Modes that go on with the dataset that the folder has; the others make a new one, or a new part of it.
_GOES_ON = ("incremental", "retry_failed")


class Reporter(Sink):
    """One run of W&B for each program that makes shards."""

    def check(self, settings: SinkSettings) -> None:
        need("wandb", "--enable_wandb", "wandb")
        if os.environ.get("WANDB_MODE", "online") not in MODES_WITHOUT_LOGIN and not _has_login():
            raise OptionError(
                "--enable_wandb: this machine is not logged in to W&B: run 'wandb login', set WANDB_API_KEY,"
                " or WANDB_MODE=offline, which keeps the report on this machine"
            )

    def begin(self, run: RunEvent, settings: SinkSettings) -> str | None:
        import wandb

        self._wandb = wandb
        self._table_told = time.monotonic()
        given = dict(run.surroundings.options)
        given |= {"url_list": run.url_list, "output_folder": settings.shown_output}
        # What this program prints is its own; errors are raised all the same.
        quiet = wandb.Settings(console="off", silent=True)
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", settings.project),
            id=os.environ.get("WANDB_RUN_ID") or _run_id(run, settings),
            resume="allow",
            group=settings.shown_output if run.surroundings.engine == "ranks" else None,
            config=given,
            settings=quiet,
        )
        return f"reporting to {self._run.url}" if self._run.url else None

    def tick(self, tick: TickEvent, so_far: FollowedLog) -> None:
        self._run.log(metrics(tick, so_far))
        if time.monotonic() - self._table_told > TABLE_INTERVAL_S:
            self._tell_table(so_far)

    def end(self, end: EndEvent, so_far: FollowedLog) -> None:
        self._tell_table(so_far)
        self._run.finish(exit_code=end.exit_status)

    def _tell_table(self, so_far: FollowedLog) -> None:
        self._table_told = time.monotonic()
        rows: list[Any] = [list(row) for row in frequent_messages(so_far.facts)]
        if rows:
            table = self._wandb.Table(columns=["status", "frequency", "count"], data=rows)
            self._run.log({"status": table})


def _run_id(run: RunEvent, settings: SinkSettings) -> str | None:
    """The same for the same list and folder, so that a run that goes on goes on there too."""
    if run.mode not in _GOES_ON:
        return None
    folder = settings.output_folder
    place = folder if "://" in folder else os.path.abspath(folder)
    text = "\n".join((settings.project, place, run.url_list, run.member))
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]


def _has_login() -> bool:
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    host = urlsplit(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).hostname or ""
    try:
        return netrc.netrc(os.environ.get("NETRC")).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False
