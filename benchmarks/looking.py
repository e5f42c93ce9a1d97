"""What looking costs: one list, in turn without and with what shows a run at work and ended.

    python -m benchmarks.looking [--rows 12000] [--rounds 3] [--before PYTHON]

``none`` makes no report. ``report`` is the default: the event log and the report. ``all`` adds the live page
and Weights & Biases, offline; it needs the extra ``wandb``. ``--before`` takes an older version beside them:
the interpreter of an environment that has one. The time and CPU are those of the whole command.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import run
from benchmarks.contenders import Contender
from benchmarks.machine import describe_machine, load_warning
from benchmarks.scenarios import SCENARIOS

OPTIONS = {
    "before": [],
    "none": ["--report", "False"],
    "report": [],
    "all": ["--enable_wandb", "True", "--dashboard", "True"],
}
ROWS_A_SHARD = 1000


@dataclass(frozen=True)
class Looked(Contender):
    """This program, with the options of one way of looking."""

    def command(self, url_list: Path, output: Path, rows_per_shard: int, more: Sequence[str]) -> list[str]:
        """The command of a run."""
        return [*super().command(url_list, output, rows_per_shard, more), *OPTIONS[self.name]]


def parse(arguments: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.looking", description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=12_000, help="of the list (default: 12000)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is run (default: 3)")
    parser.add_argument("--before", type=Path, help="interpreter of an environment with an older version")
    return parser.parse_args(arguments)


def main() -> int:
    chosen = parse(sys.argv[1:])
    warning = load_warning()
    pythons = {name: Path(sys.executable) for name in OPTIONS} | {"before": chosen.before}
    contenders: list[Contender] = [Looked(name, python) for name, python in pythons.items() if python]
    scenario = dataclasses.replace(SCENARIOS["http"], rows=chosen.rows, rows_per_shard=ROWS_A_SHARD)
    plan = run.parse(["--scenario", "http", "--setting", "equal", "--no-peer", "--no-daft"])
    found: dict[str, list[tuple[float, float]]] = {each.name: [] for each in contenders}
    with run.prepared_bench(plan) as prepared:
        environment = {
            **prepared.environment,
            "WANDB_MODE": "offline",
            "WANDB_SILENT": "true",
            "WANDB_DIR": str(prepared.work),
        }
        bench = dataclasses.replace(prepared, contenders=contenders, environment=environment)
        url_list = bench.write_scenario_list(scenario)
        for number in range(chosen.rounds):
            # Turned each round: who comes first finds another machine than who comes last.
            for contender in (contenders, contenders[::-1])[number % 2]:
                measured = bench.measure_run(contender, scenario, url_list, [])
                if measured.failure:
                    raise RuntimeError(f"{contender.name}: {measured.failure}")
                found[contender.name].append((measured.images_per_s, measured.cpu_ms_per_image))
                print(
                    f"{contender.name:8} {measured.images_per_s:6.0f} images/s,"
                    f" {measured.cpu_ms_per_image:5.2f} ms of CPU an image",
                    flush=True,
                )
    print(f"\n{describe_machine()}; {chosen.rows} rows; medians of {chosen.rounds} rounds")
    if warning:
        print(f"Caution: {warning}.")
    print("\n| | images/s | CPU an image |\n| --- | ---: | ---: |")
    for name, runs in found.items():
        rate, cpu_ms = (statistics.median(each) for each in zip(*runs, strict=True))
        print(f"| {name} | {rate:.0f} | {cpu_ms:.2f} ms |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
