"""The options themselves, put together from the files of their themes. The command line, the docstring of
``download``, the table in the README and the run manifest are all drawn from here.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal, TypeVar, get_args

from img2dataset.options.dataset import InputOptions, NumberingOptions, OutputOptions
from img2dataset.options.declaring import option
from img2dataset.options.downloads import DownloadOptions, MannersOptions
from img2dataset.options.images import ImageOptions
from img2dataset.options.logs import LogFormat, LogLevel, LogSettings
from img2dataset.plugins import ENGINES

RUN = "Run"
Engine = Literal["multiprocessing", "pyspark", "ray", "ranks"]
SinkName = Literal["wandb", "tensorboard", "mlflow"]
Part = TypeVar("Part")


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Who does the work."""

    processes_count: int | None = option(
        None, help="worker processes", group=RUN, minimum=1, maximum=4096, default_text="one a core"
    )
    distributor: str = option(
        "multiprocessing",
        help="who runs the workers",
        group=RUN,
        choices=lambda: get_args(Engine),
        plugins=ENGINES,
    )
    distributor_config: tuple[str, ...] = option(
        (),
        help="settings of the cluster, key=value: Spark's, such as spark.executor.memory=4g, or arguments of"
        " ray.init, such as num_cpus=8",
        group=RUN,
        secret=True,
    )
    subjob_size: int = option(1000, help="shards a pyspark job", unit="shards", group=RUN, minimum=1)
    max_shard_retry: int = option(
        1, help="how often failed shards are tried again at the end", group=RUN, minimum=0
    )
    stop_early: bool = option(
        True,
        help="end a run where not one of 1,000 rows succeeds, for a reason on this side: no URLs in the"
        " column, no network, no names, a proxy that refuses",
        group=RUN,
    )
    report: bool = option(
        True, help="at the end, write report.html and report.json into the output folder", group=RUN
    )
    rank: int | None = option(
        None,
        help="with --distributor ranks: which of the ranks this program is, from 0",
        group=RUN,
        minimum=0,
        default_text="as the scheduler says",
    )
    world_size: int | None = option(
        None,
        help="with --distributor ranks: how many ranks there are",
        group=RUN,
        minimum=1,
        default_text="as the scheduler says",
    )
    ranks_from_environment: bool = option(
        True, help="take --rank and --world_size from the scheduler's variables where not given", group=RUN
    )
    lease_s: float = option(
        60.0,
        help="a rank that is silent for so long is taken for gone, and its shards are free",
        unit="seconds",
        group=RUN,
        minimum=1,
    )
    grace_s: float = option(
        30.0,
        help="from the signal that stops a run to its end; what is not finished by then is given back",
        unit="seconds",
        group=RUN,
        minimum=1,
    )
    log_level: LogLevel = option(
        "warning", help="what is logged on standard error: this and what matters more", group=RUN
    )
    log_format: LogFormat = option(
        "text",
        help="how: text, or json: one object a line, for log records and for the progress of the run",
        group=RUN,
    )
    dashboard: bool = option(
        False, help="serve a page that shows the run while it goes on, to this machine alone", group=RUN
    )
    dashboard_port: int = option(
        0,
        help="port of that page; 0, or where it is taken: one that is free",
        group=RUN,
        minimum=0,
        maximum=65535,
    )
    sinks: tuple[str, ...] = option(
        (),
        help="where else the run is reported while it goes on: wandb, tensorboard, mlflow, or what packages"
        " add",
        group=RUN,
    )
    enable_wandb: bool = option(False, help="report to Weights & Biases", group=RUN)
    wandb_project: str = option("img2dataset", help="project of the W&B run", group=RUN)

    @property
    def log(self) -> LogSettings:
        """``log_level`` and ``log_format``."""
        return LogSettings(self.log_level, self.log_format)

    @property
    def sink_names(self) -> tuple[str, ...]:
        """``sinks``, and W&B where it is enabled."""
        enabled = ("wandb",) if self.enable_wandb and "wandb" not in self.sinks else ()
        return (*enabled, *self.sinks)

    @property
    def cluster_settings(self) -> dict[str, str]:
        """``distributor_config`` by name."""
        pairs = (setting.partition("=") for setting in self.distributor_config)
        return {name.strip(): value.strip() for name, _, value in pairs}


# Fields of a dataclass begin with those of its last base: this is the order of the help, from the end.
@dataclass(frozen=True, kw_only=True)
class Options(
    RunOptions,
    MannersOptions,
    DownloadOptions,
    NumberingOptions,
    OutputOptions,
    ImageOptions,
    InputOptions,
):
    """Every option of a run, checked. Built by ``resolve`` only."""

    def part(self, part: type[Part]) -> Part:
        """The options of one part alone, such as ``ImageOptions``: what a room is told."""
        # Every part is a dataclass, which a type variable cannot say.
        names = (field.name for field in dataclasses.fields(part))  # type: ignore[arg-type]
        return part(**{name: getattr(self, name) for name in names})
