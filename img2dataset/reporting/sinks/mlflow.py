"""MLflow: a run of its tracking server or store, where ``MLFLOW_TRACKING_URI`` says.

``MLFLOW_EXPERIMENT_NAME`` names the experiment; ``img2dataset`` where it is not set.
"""

from __future__ import annotations

import os

from img2dataset.reporting.events import EndEvent, RunEvent, TickEvent
from img2dataset.reporting.live.following import FollowedLog
from img2dataset.reporting.sinks.sink import Sink, SinkSettings, metrics, need

MOST_LETTERS_OF_PARAMETER = 500


class Reporter(Sink):
    """Metrics by the step of rows done; options as parameters."""

    def check(self, settings: SinkSettings) -> None:
        need("mlflow", "--sinks mlflow", "mlflow")

    def begin(self, run: RunEvent, settings: SinkSettings) -> str | None:
        from mlflow.entities import Param
        from mlflow.tracking import MlflowClient

        self._client = MlflowClient()
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", "img2dataset")
        experiment = self._client.get_experiment_by_name(name)
        experiment_id = experiment.experiment_id if experiment else self._client.create_experiment(name)
        made = self._client.create_run(experiment_id, run_name=settings.shown_output[-200:])
        self._run_id: str = made.info.run_id
        given = {"url_list": run.url_list, "output_folder": settings.shown_output, **run.surroundings.options}
        parameters = [Param(key, str(value)[:MOST_LETTERS_OF_PARAMETER]) for key, value in given.items()]
        self._client.log_batch(self._run_id, params=parameters)
        return None

    def tick(self, tick: TickEvent, so_far: FollowedLog) -> None:
        from mlflow.entities import Metric

        step, milliseconds = sum(so_far.rows.values()), round(1000 * tick.time)
        found = [Metric(name, value, milliseconds, step) for name, value in metrics(tick, so_far).items()]
        if found:
            self._client.log_batch(self._run_id, metrics=found)

    def end(self, end: EndEvent, so_far: FollowedLog) -> None:
        self._client.set_terminated(self._run_id, "FAILED" if end.exit_status else "FINISHED")
