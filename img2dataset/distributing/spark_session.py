"""The Spark session of a run: the one that is there, or one of its own. Used by ``spark``.

A session that is there (of a notebook, of ``spark-submit``, of Databricks) is used as it is and goes on after
the run. Jobs are tagged, so that a stop ends those of this run alone; Spark Connect has other calls for that.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Mapping
from typing import Any

from img2dataset.distributing.engine import EngineSettings
from img2dataset.errors import MissingDependency, RunFailed, one_line
from img2dataset.installation import install_extra
from img2dataset.stopping import signals_kept

logger = logging.getLogger("img2dataset")

# What a session of our own has where neither the user nor spark-defaults.conf says otherwise.
_QUIET = {"spark.ui.enabled": "false", "spark.ui.showConsoleProgress": "false", "spark.log.level": "ERROR"}
# On one machine Spark gives up at the first task that fails, unless the master says how many may.
_LOCAL_FAILURES = 4


def check_spark() -> None:
    """See that pyspark is there, with what its DataFrames of Arrow need.

    Raises:
        MissingDependency: it is not.
    """
    try:
        import pandas  # noqa: F401  # mapInArrow refuses to work without it
        import pyspark  # noqa: F401
    except ImportError as error:
        raise MissingDependency(
            f"--distributor pyspark needs the package {error.name}: {install_extra('spark')}"
        ) from error


class Session:
    """A Spark session, and whether it is ours to stop.

    Args:
        config: Spark's settings, by name.
        settings: of the run; a session of our own on this machine has as many cores as its worker processes.

    Raises:
        RunFailed: no session can be made.
    """

    def __init__(self, config: Mapping[str, str], settings: EngineSettings) -> None:
        from pyspark.sql import SparkSession

        active: Any = SparkSession.getActiveSession()
        self._is_ours = active is None
        if active is None:
            with signals_kept():
                active = _make(config, settings.processes_count)
        else:
            _set(active, config)
        self.spark = active
        self._is_remote = type(active).__module__.startswith("pyspark.sql.connect")

    def tag_jobs(self, tag: str) -> None:
        """Have the jobs of this thread known by a tag."""
        if self._is_remote:
            self.spark.addTag(tag)
        else:
            self.spark.sparkContext.addJobTag(tag)

    def cancel_jobs(self, tag: str) -> None:
        """End the jobs that have a tag."""
        if self._is_remote:
            self.spark.interruptTag(tag)
        else:
            self.spark.sparkContext.cancelJobsWithTag(tag)

    def close(self) -> None:
        """Stop the session if it is ours."""
        if self._is_ours:
            with contextlib.suppress(Exception):  # it may be gone
                self.spark.stop()


def _set(session: Any, config: Mapping[str, str]) -> None:
    """Give a session that is there what may still be changed, and say what may not."""
    for name, value in config.items():
        if not _can_set(session, name, value):
            logger.warning(
                "--distributor_config %s has no effect: the Spark session was there before this run, and it"
                " cannot be changed any more",
                name,
            )


def _can_set(session: Any, name: str, value: str) -> bool:
    try:
        session.conf.set(name, value)
        return bool(session.conf.isModifiable(name))  # what is set and not heeded raises nothing
    except Exception:  # Spark has a class for it, and a Connect server another
        return False


def _make(config: Mapping[str, str], processes_count: int) -> Any:
    from pyspark.sql import SparkSession

    # Else the workers would be of the machine's python3, which has none of the packages.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    settings = dict(config)
    # spark-submit has said where, and so may the machine's own settings, or SPARK_REMOTE.
    if "PYSPARK_GATEWAY_PORT" not in os.environ and "SPARK_REMOTE" not in os.environ and not _has_defaults():
        settings = {**_QUIET, **settings}
        if "spark.master" not in settings and "spark.remote" not in settings:
            # One task at a time with all cores: its worker processes share the last rows.
            settings["spark.master"] = f"local[{processes_count},{_LOCAL_FAILURES}]"
            settings.setdefault("spark.task.cpus", str(processes_count))
    settings.setdefault("spark.app.name", "img2dataset")
    builder = SparkSession.builder
    for name, value in settings.items():
        builder = builder.config(name, value)
    try:
        return builder.getOrCreate()
    except Exception as error:
        raise RunFailed(
            f"no Spark session can be made: {one_line(error)}; --distributor_config takes its settings"
        ) from error


def _has_defaults() -> bool:
    """Whether Spark has settings of its own on this machine."""
    folders = [os.environ.get("SPARK_CONF_DIR"), os.path.join(os.environ.get("SPARK_HOME", ""), "conf")]
    return any(folder and os.path.isfile(f"{folder}/spark-defaults.conf") for folder in folders)
