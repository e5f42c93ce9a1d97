"""The rounds: contenders in turn over one scenario and setting. Called by ``run.py`` with all prepared."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks import REPOSITORY
from benchmarks.contenders import DAFT, Contender, Measurement, run_contender
from benchmarks.machine import usable_cores
from benchmarks.process_tree import cpu_seconds_of_tree
from benchmarks.results import LIMIT, Group
from benchmarks.scenarios import SCENARIOS, Scenario, Setting, urls, write_list
from benchmarks.servers import Nginx, SimulatedWeb

TIME_LIMIT_S = 1200.0
START_ROWS = 8  # in shards of one row, so that every process has something to do


@dataclass(frozen=True)
class Bench:
    """What the rounds stand on.

    ``corpora`` are the descriptions, ``nginx`` the running servers, by the name of the recipe;
    ``environment`` the variables every contender sees.
    """

    work: Path
    corpora: dict[str, dict[str, Any]]
    contenders: list[Contender]
    environment: dict[str, str]
    nginx: dict[str, Nginx]
    web: SimulatedWeb | None

    def server(self, scenario: Scenario) -> tuple[int, int]:
        """Port and process id of the server of a scenario."""
        if scenario.server == "web":
            assert self.web is not None
            return self.web.port, self.web.process_id
        nginx = self.nginx[scenario.recipe.name]
        return nginx.http_port if scenario.server == "http" else nginx.https_port, nginx.process_id

    def write_scenario_list(self, scenario: Scenario) -> Path:
        """The URL list of a scenario."""
        path = self.work / "lists" / f"{scenario.name}-{scenario.rows}.parquet"
        files = self.corpora[scenario.recipe.name]["files"]
        write_list(path, urls(scenario, files, self.server(scenario)[0]))
        return path

    def measure_group(
        self, scenario: Scenario, setting: Setting, rounds: int, say: Callable[[str], None]
    ) -> Group:
        """Run every contender of a scenario ``rounds`` times, in turn, and the limit beside them.

        Args:
            scenario: the list and the server.
            setting: the options.
            rounds: how often.
            say: told one line for each run that has ended.
        """
        url_list = self.write_scenario_list(scenario)
        more = setting.arguments(scenario)
        named = f", {setting.processes} × {scenario.threads}" if more else ""
        group = Group(scenario.name, scenario.title, setting.name, scenario.rows, named)
        chosen = [each for each in self.contenders if each.name != DAFT or self.daft_runs(scenario, setting)]
        for number in range(1, rounds + 1):
            runs: dict[str, Measurement] = {}
            for contender in chosen:
                runs[contender.name] = self.measure_run(contender, scenario, url_list, more)
                say(_line(scenario, setting, number, runs[contender.name]))
            if scenario.server == "http" and setting.name == "equal":
                runs[LIMIT] = self.measure_limit(scenario)
                say(_line(scenario, setting, number, runs[LIMIT]))
            group.rounds.append(runs)
        return group

    def daft_runs(self, scenario: Scenario, setting: Setting) -> bool:
        """Daft has no processes and threads to set: it runs once, beside the equal settings."""
        return scenario.with_daft and setting.name == "equal"

    def measure_run(
        self, contender: Contender, scenario: Scenario, url_list: Path, more: list[str]
    ) -> Measurement:
        """One run of one contender, with what its server took meanwhile."""
        server = self.server(scenario)[1]
        before = cpu_seconds_of_tree(server)
        measured = run_contender(
            contender,
            url_list,
            scenario.rows,
            scenario.rows_per_shard,
            more,
            self.work / "runs",
            self.environment,
            TIME_LIMIT_S,
        )
        return replace(measured, server_cpu_seconds=cpu_seconds_of_tree(server) - before)

    def measure_limit(self, scenario: Scenario) -> Measurement:
        """The scenario's corpus from memory through the pixels alone, one process a core."""
        folder = self.work / "corpus" / scenario.recipe.name
        command = [sys.executable, "-m", "benchmarks.limit", str(folder)]
        command += [str(scenario.rows), str(usable_cores())]
        finished = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY)
        if finished.returncode:
            said = finished.stderr.strip().splitlines()[-1:]
            return Measurement(LIMIT, 0, 0, 0.0, 0.0, True, 0, 0, 0, failure=f"it ended with {said}")
        found = json.loads(finished.stdout)
        successes, seconds, cpu_seconds = found["successes"], found["seconds"], found["cpu_seconds"]
        return Measurement(LIMIT, scenario.rows, successes, seconds, cpu_seconds, True, 0, 0, 0)


def measure_start(
    bench: Bench, setting: Setting, rounds: int, say: Callable[[str], None]
) -> list[dict[str, Measurement]]:
    """Run every contender over a few rows: what starting and ending costs, which every figure contains.

    A first round is not counted: in it files get into the page cache, and .pyc files are made.
    """
    few = replace(SCENARIOS["http"], rows=START_ROWS, rows_per_shard=1)
    url_list = bench.write_scenario_list(few)
    more = setting.arguments(few)
    found = []
    for number in range(rounds + 1):
        runs = {each.name: bench.measure_run(each, few, url_list, more) for each in bench.contenders}
        if number:
            found.append(runs)
    for name, run in found[-1].items():
        say(f"start: {name}: {run.failure or f'{run.seconds:.1f} s, {run.cpu_seconds:.1f} s of CPU'}")
    return found


def _line(scenario: Scenario, setting: Setting, number: int, run: Measurement) -> str:
    if run.failure:
        return f"{scenario.name} {setting.name} round {number}: {run.contender}: {run.failure}"
    checked = "" if run.cpu_complete else " (more CPU was seen in /proc)"
    return (
        f"{scenario.name} {setting.name} round {number}: {run.contender}: {run.images_per_s:.1f} images/s,"
        f" {run.cpu_ms_per_image:.2f} ms of CPU an image{checked}, {run.successes} images in"
        f" {run.seconds:.1f} s, {run.peak_pss / 1e6:.0f} MB"
    )
