"""The benchmark: ``python -m benchmarks.run``, or ``make bench``. README.md says how to read its results.

Prepares what is missing (corpora, environments, certificates), starts the servers, runs the contenders in
turn for several rounds, and prints the tables. A whole run also writes ``benchmarks/results.md`` and
``docs/benchmark.svg``; ``--quick`` and chosen scenarios only print, and leave them under ``work/``.
"""

from __future__ import annotations

import argparse
import datetime
import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import HERE, REPOSITORY, WORK
from benchmarks.contenders import DAFT, PEER, PROJECT, Contender
from benchmarks.corpus import RECIPES, make_corpus
from benchmarks.environments import (
    DAFT_REQUIREMENT,
    PEER_REQUIREMENT,
    contender_environment,
    make_authority,
    make_environment,
    peer_python,
    versions,
)
from benchmarks.machine import describe_machine, load_warning, usable_cores
from benchmarks.plot import draw
from benchmarks.results import Group, page, save, starts
from benchmarks.rounds import Bench, measure_start
from benchmarks.scenarios import BEHAVIOUR, SCENARIOS, Scenario, Setting
from benchmarks.servers import Nginx, SimulatedWeb

ROUNDS = 3


@dataclass(frozen=True)
class Plan:
    """What this run measures."""

    scenarios: list[Scenario]
    settings: list[Setting]
    rounds: int
    with_peer: bool
    with_daft: bool
    whole: bool  # all of it, so that its results may stand in the repository


def parse(arguments: list[str]) -> Plan:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--scenario", action="append", choices=sorted(SCENARIOS), help="only this; repeatable"
    )
    parser.add_argument("--setting", choices=("equal", "defaults"), help="only this (default: both)")
    parser.add_argument("--rounds", type=int, help=f"how often each is run (default: {ROUNDS})")
    parser.add_argument("--rows", type=int, help="rows of every list instead of each scenario's own")
    parser.add_argument("--processes", type=int, default=usable_cores(), help="for equal settings")
    parser.add_argument("--quick", action="store_true", help="a fifth of the rows, one round, no Daft")
    parser.add_argument("--no-peer", action="store_true", help="without img2dataset 1.47.0")
    parser.add_argument("--no-daft", action="store_true", help="without Daft")
    chosen = parser.parse_args(arguments)
    for name in ("rounds", "rows", "processes"):
        value = getattr(chosen, name)
        if value is not None and value < 1:
            parser.error(f"--{name} must be at least 1, not {value}")
    scenarios = [each for name, each in SCENARIOS.items() if not chosen.scenario or name in chosen.scenario]
    if chosen.quick:
        scenarios = [each.quick() for each in scenarios]
    if chosen.rows:
        scenarios = [each.with_rows(chosen.rows) for each in scenarios]
    settings = [Setting("equal", chosen.processes), Setting("defaults", chosen.processes)]
    partial = chosen.scenario or chosen.setting or chosen.rows or chosen.quick or chosen.no_peer
    return Plan(
        scenarios=scenarios,
        settings=[each for each in settings if chosen.setting in (None, each.name)],
        rounds=chosen.rounds or (1 if chosen.quick else ROUNDS),
        with_peer=not chosen.no_peer,
        with_daft=not (chosen.no_daft or chosen.quick),
        whole=not (partial or chosen.no_daft),
    )


def prepare_contenders(plan: Plan) -> list[Contender]:
    """This project first; the environments of the others are made where they are missing."""
    contenders = [Contender(PROJECT, Path(sys.executable))]
    environments = WORK / "environments"
    if plan.with_peer:
        _say(f"environment of {PEER_REQUIREMENT}")
        python = make_environment(environments / "peer", PEER_REQUIREMENT, peer_python())
        contenders.append(Contender(PEER, python))
    if plan.with_daft and any(scenario.with_daft for scenario in plan.scenarios):
        _say(f"environment of {DAFT_REQUIREMENT}")
        python = make_environment(environments / "daft", DAFT_REQUIREMENT, sys.executable)
        contenders.append(Contender(DAFT, python))
    return contenders


@contextmanager
def prepared_bench(plan: Plan) -> Iterator[Bench]:
    """Everything the rounds need: corpora, certificates and running servers; ended afterwards."""
    corpora: dict[str, dict[str, Any]] = {}
    for recipe in RECIPES.values():
        _say(f"corpus of {recipe.name}")
        corpora[recipe.name] = make_corpus(recipe, WORK / "corpus" / recipe.name, WORK / "photographs")
    bundle, certificate = make_authority(WORK / "authority")
    contenders = prepare_contenders(plan)
    with ExitStack() as running:
        nginx = {}
        for recipe in RECIPES.values():
            home = WORK / "servers" / recipe.name
            nginx[recipe.name] = Nginx(home, WORK / "corpus" / recipe.name, certificate)
            running.callback(nginx[recipe.name].close)
        web = None
        if any(scenario.server == "web" for scenario in plan.scenarios):
            web = SimulatedWeb(WORK / "servers" / "simulated", WORK / "corpus" / "web", BEHAVIOUR)
            running.callback(web.close)
        yield Bench(WORK, corpora, contenders, contender_environment(bundle), nginx, web)


def measure_all(plan: Plan, bench: Bench) -> list[Group]:
    """Every scenario under every setting, each contender in turn, round after round."""
    groups = []
    for setting in plan.settings:
        for scenario in plan.scenarios:
            # With defaults 1.47.0 takes twice as long (one process): one round less keeps it near 40 minutes.
            rounds = plan.rounds if setting.name == "equal" else max(1, plan.rounds - 1)
            groups.append(bench.measure_group(scenario, setting, rounds, _say))
    return groups


def head_lines(plan: Plan, bench: Bench, warning: str | None) -> list[str]:
    """When, on what, with which versions, over which corpora."""
    lines = [
        f"Measured {datetime.date.today().isoformat()} by `make bench`: medians of {plan.rounds} rounds.",
        f"Machine: {describe_machine()}.",
    ]
    if warning:
        lines.append(f"Caution: {warning}.")
    for contender in bench.contenders:
        named = ", ".join(f"{name} {version}" for name, version in versions(contender.python).items())
        lines.append(f"{contender.name}: {named}.")
    for name, made in bench.corpora.items():
        lines.append(
            f"Corpus {name}: {made['count']} photographs, {made['average_bytes'] / 1000:.0f} KB and"
            f" {made['average_megapixels']:.2f} megapixels on average, {made['jpeg']:.0%} JPEG,"
            f" {made['progressive']:.0%} of these progressive."
        )
    return [line for each in lines for line in (each, "")][:-1]


def main() -> int:
    plan = parse(sys.argv[1:])
    warning = load_warning()
    try:
        with prepared_bench(plan) as bench:
            start = starts(measure_start(bench, plan.settings[0], plan.rounds, _say))
            groups = measure_all(plan, bench)
            text = page(groups, head_lines(plan, bench, warning), start)
    except RuntimeError as error:
        print(f"benchmark: {error}", file=sys.stderr)
        return 1
    print("\n" + text)
    folder = WORK / "results"
    results = HERE / "results.md" if plan.whole else folder / "results.md"
    plot = REPOSITORY / "docs" / "benchmark.svg" if plan.whole else folder / "benchmark.svg"
    save(text, results)
    save(draw(groups), plot)
    raw = [{**group.__dict__, "rounds": _raw_rounds(group)} for group in groups]
    save(json.dumps(raw, indent=1), folder / "results.json")
    print(f"written: {results}, {plot}, {folder / 'results.json'}")
    return 1 if any(group.failures() for group in groups) else 0


def _raw_rounds(group: Group) -> list[dict[str, Any]]:
    return [{name: run.as_json() for name, run in each.items()} for each in group.rounds]


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
