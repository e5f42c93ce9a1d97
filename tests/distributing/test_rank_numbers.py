"""Which rank a program is: options, the variables of schedulers, and what they say against each other."""

from __future__ import annotations

import pytest

from img2dataset.distributing.rank_numbers import Rank, find_rank
from img2dataset.errors import OptionError
from img2dataset.options import RunOptions, resolve

ARRAY = {"SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_TASK_MIN": "0", "SLURM_ARRAY_TASK_COUNT": "8"}
STEP = {"SLURM_PROCID": "1", "SLURM_NTASKS": "4", "SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "4"}


def rank_of(environment: dict[str, str], **options: object) -> Rank:
    return find_rank(RunOptions(**options), environment)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("environment", "number", "world_size"),
    [
        ({"IMG2DATASET_RANK": "2", "IMG2DATASET_WORLD_SIZE": "3"}, 2, 3),
        (ARRAY, 3, 8),
        # --array=10-40:10
        (
            {
                **ARRAY,
                "SLURM_ARRAY_TASK_ID": "30",
                "SLURM_ARRAY_TASK_MIN": "10",
                "SLURM_ARRAY_TASK_STEP": "10",
            },
            2,
            8,
        ),
        ({**ARRAY, "SLURM_ARRAY_TASK_ID": "5", "SLURM_ARRAY_TASK_MIN": "5"}, 0, 8),
        # The batch script of an array has a process number too, and is no step.
        ({**ARRAY, "SLURM_PROCID": "0", "SLURM_NTASKS": "4"}, 3, 8),
        (STEP, 1, 4),
        ({**ARRAY, **STEP}, 13, 32),
        ({"JOB_COMPLETION_INDEX": "4", "IMG2DATASET_WORLD_SIZE": "5"}, 4, 5),
        ({"AWS_BATCH_JOB_ARRAY_INDEX": "0", "AWS_BATCH_JOB_ARRAY_SIZE": "2"}, 0, 2),
        ({"RANK": "6", "WORLD_SIZE": "7"}, 6, 7),
        # torchrun in a job of Slurm, one rank a task: both say the same.
        ({**STEP, "RANK": "1", "WORLD_SIZE": "4"}, 1, 4),
        # The own variables come before all.
        (
            {**STEP, "RANK": "5", "WORLD_SIZE": "8", "IMG2DATASET_RANK": "5", "IMG2DATASET_WORLD_SIZE": "8"},
            5,
            8,
        ),
        ({"RANK": " 6 ", "WORLD_SIZE": "7", "SLURM_PROCID": ""}, 6, 7),
    ],
)
def test_what_schedulers_say(environment: dict[str, str], number: int, world_size: int) -> None:
    assert rank_of(environment) == Rank(number, world_size)
    # Options that say the same are welcome.
    assert rank_of(environment, rank=number, world_size=world_size) == Rank(number, world_size)


def test_options_complete_and_replace_the_environment() -> None:
    assert rank_of({}, rank=0, world_size=1) == Rank(0, 1)
    assert rank_of({"JOB_COMPLETION_INDEX": "4"}, world_size=6) == Rank(4, 6)
    assert rank_of({"IMG2DATASET_WORLD_SIZE": "6"}, rank=2) == Rank(2, 6)
    off = {"ranks_from_environment": False}
    assert rank_of({**ARRAY, "RANK": "x"}, rank=7, world_size=9, **off) == Rank(7, 9)


@pytest.mark.parametrize(
    ("environment", "options", "said"),
    [
        ({}, {"rank": 4, "world_size": 4}, ["--rank is 4 and --world_size is 4", "from 0 to 3"]),
        (
            {**ARRAY, "SLURM_ARRAY_TASK_ID": "8"},
            {},
            ["SLURM_ARRAY_TASK_ID is 8", "SLURM_ARRAY_TASK_COUNT is 8"],
        ),
        ({"RANK": "7"}, {"world_size": 2}, ["RANK is 7 and --world_size is 2"]),
        (
            ARRAY,
            {"rank": 4},
            ["--rank is 4 and SLURM_ARRAY_TASK_ID says 3", "--ranks_from_environment False"],
        ),
        (ARRAY, {"world_size": 4}, ["--world_size is 4 and SLURM_ARRAY_TASK_COUNT says 8"]),
        (
            {"AWS_BATCH_JOB_ARRAY_INDEX": "0", "AWS_BATCH_JOB_ARRAY_SIZE": "2"},
            {"rank": 1, "world_size": 2},
            ["--rank is 1 and AWS_BATCH_JOB_ARRAY_INDEX says 0"],
        ),
        (
            {**STEP, "RANK": "5", "WORLD_SIZE": "8"},
            {},
            [
                "SLURM_PROCID says rank 1 of 4 and RANK says rank 5 of 8",
                "set IMG2DATASET_RANK",
                "--ranks_from_environment False with --rank and --world_size",
            ],
        ),
        (
            {"JOB_COMPLETION_INDEX": "1", "RANK": "0", "WORLD_SIZE": "2"},
            {},
            ["JOB_COMPLETION_INDEX says rank 1 and RANK says rank 0 of 2"],
        ),
        (
            {**ARRAY, "IMG2DATASET_WORLD_SIZE": "9"},
            {},
            ["IMG2DATASET_WORLD_SIZE is 9 and SLURM_ARRAY_TASK_COUNT"],
        ),
        ({}, {}, ["needs --rank and --world_size"]),
        ({}, {"world_size": 3}, ["needs --rank: give it, set IMG2DATASET_RANK, or"]),
        (
            {"JOB_COMPLETION_INDEX": "1"},
            {},
            ["needs --world_size, beside JOB_COMPLETION_INDEX 1: give it, set IMG2DATASET_WORLD_SIZE, or"],
        ),
        (ARRAY, {"ranks_from_environment": False}, ["needs --rank and --world_size"]),
        ({"RANK": "-1", "WORLD_SIZE": "2"}, {}, ["RANK is '-1', which is no number of ranks"]),
        ({"RANK": "1.5", "WORLD_SIZE": "2"}, {}, ["RANK is '1.5'"]),
        ({"RANK": "²", "WORLD_SIZE": "2"}, {}, ["RANK is '²'"]),
        ({"RANK": "0", "WORLD_SIZE": "0"}, {}, ["WORLD_SIZE is 0"]),
        (
            {**ARRAY, "SLURM_ARRAY_TASK_ID": "4", "SLURM_ARRAY_TASK_MIN": "1", "SLURM_ARRAY_TASK_STEP": "2"},
            {},
            ["SLURM_ARRAY_TASK_ID is 4", "--array=0-N"],
        ),
    ],
)
def test_what_cannot_be_is_one_line(
    environment: dict[str, str], options: dict[str, object], said: list[str]
) -> None:
    with pytest.raises(OptionError) as raised:
        rank_of(environment, **options)
    text = str(raised.value)
    assert "\n" not in text
    for part in said:
        assert part in text


def test_settings_of_a_cluster_have_no_effect_on_ranks_and_that_is_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings = {"distributor": "ranks", "rank": 0, "world_size": 1, "distributor_config": ["a.b=hidden"]}
    resolve({"url_list": "a.txt", **settings})
    assert "--distributor_config has no effect" in caplog.text
    assert "hidden" not in caplog.text
