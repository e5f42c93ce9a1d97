"""TensorBoard: event files in the output folder.

``tensorboard --logdir OUTPUT/.img2dataset_runs/tensorboard`` shows them.
"""

from __future__ import annotations

from typing import Any

from img2dataset.formats.dataset import RUNS_FOLDER
from img2dataset.reporting.events import EndEvent, RunEvent, TickEvent
from img2dataset.reporting.live.following import FollowedLog
from img2dataset.reporting.sinks.sink import Sink, SinkSettings, metrics, need

FOLDER = f"{RUNS_FOLDER}/tensorboard"


class Reporter(Sink):
    """Scalars; the step is the number of rows done."""

    def check(self, settings: SinkSettings) -> None:
        need("tensorboard", "--sinks tensorboard", "tensorboard")

    def begin(self, run: RunEvent, settings: SinkSettings) -> str | None:
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        name = f"{run.run.replace('/', '-')}-{run.member.replace('/', '-')}"
        self._writer = EventFileWriter(f"{settings.output_folder.rstrip('/')}/{FOLDER}/{name}", flush_secs=10)
        return None

    def tick(self, tick: TickEvent, so_far: FollowedLog) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary

        values = [
            Summary.Value(tag=name, simple_value=value) for name, value in metrics(tick, so_far).items()
        ]
        event: Any = Event(wall_time=tick.time, step=sum(so_far.rows.values()), summary=Summary(value=values))
        self._writer.add_event(event)

    def end(self, end: EndEvent, so_far: FollowedLog) -> None:
        self._writer.close()
