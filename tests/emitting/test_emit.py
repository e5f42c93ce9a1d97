"""``img2dataset emit``: job files that are accepted, and that start the run that was asked for."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from img2dataset.options import Options, from_texts, read_words, resolve
from tests.program.runs import COMMAND

ASKED = {
    "url_list": "s3://bucket/it's a list.parquet",
    "output_folder": 's3://bucket/out $(id) `id` "x"',
    "input_format": "parquet",
    "save_additional_columns": ["a b", 'c"d'],
    "input_delimiter": ";",
    "image_size": 512,
    "max_image_area": float("inf"),
    "compute_hash": None,
    "grace_s": 61.5,
    "disallowed_header_directives": [],
}
HEADERS = ["X-Key: s3cret-of-mine"]
KINDS = ["slurm", "kubernetes", "ray", "spark"]
OF_RANKS = {"slurm": "ranks", "kubernetes": "ranks", "ray": "ray", "spark": "pyspark"}
# Says what it was started with; what ray is given behind -- is started as Ray would.
STUB = """#!/usr/bin/env python3
import json, os, sys
words = sys.argv[1:]
name = os.path.basename(sys.argv[0])
if name == "ray":
    import shlex
    entrypoint = shlex.join(words[words.index("--") + 1:])
    os.execvp("bash", ["bash", "-c", entrypoint])
if name == "spark-submit":
    script = next(word for word in words if word.endswith(".py"))
    compile(open(script).read(), script, "exec")
    words = words[words.index(script) + 1:]
open(os.environ["SAID"], "w").write(json.dumps(words))
sys.exit(int(os.environ.get("STATUS", "0")))
"""


def emit(*words: str, config: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([COMMAND, "emit", *words], capture_output=True, text=True, timeout=60)


def emitted(kind: str, tmp_path: Path, **more: Any) -> str:
    """The job file for what is asked for in the file of options."""
    config = tmp_path / "run.yaml"
    config.write_text(yaml.safe_dump({**ASKED, "extra_headers": HEADERS}))
    ranks = ["--world_size=4"] if OF_RANKS[kind] == "ranks" else []
    result = emit(
        kind, "--config", str(config), *ranks, *(f"--{name}={value}" for name, value in more.items())
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """One in which the programs that job files start only say what they were given."""
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    for name in ("img2dataset", "ray", "spark-submit", "scontrol"):
        path = bin_folder / name
        path.write_text(STUB.replace('os.environ["SAID"]', f'os.environ["SAID"] + "-{name}"'))
        path.chmod(0o755)
    return {
        **os.environ,
        "PATH": f"{bin_folder}:{os.environ['PATH']}",
        "SAID": str(tmp_path / "said"),
        "IMG2DATASET_EXTRA_HEADERS": json.dumps(HEADERS),
        "SLURM_CPUS_PER_TASK": "3",
        "RAY_ADDRESS": "http://127.0.0.1:8265",
    }


def started_options(text: str, kind: str, environment: dict[str, str], tmp_path: Path) -> tuple[Options, str]:
    """The options of the run that a job file starts, and its distributor."""
    if kind == "kubernetes":
        container = yaml.safe_load(text)["spec"]["template"]["spec"]["containers"][0]
        # As Kubernetes has it: $$ stands for $.
        command = [word.replace("$$(", "$(") for word in container["command"]]
    else:
        (tmp_path / "job.sh").write_text(text)
        command = ["bash", str(tmp_path / "job.sh")]
    subprocess.run(command, env=environment, check=True, timeout=60)
    name = "spark-submit" if kind == "spark" else "img2dataset"
    words = json.loads(Path(f"{environment['SAID']}-{name}").read_text())
    started = resolve(from_texts(read_words(words).texts))
    return started, started.distributor


@pytest.mark.parametrize("kind", KINDS)
def test_a_job_file_starts_the_run_that_was_asked_for(
    kind: str, environment: dict[str, str], tmp_path: Path
) -> None:
    text = emitted(kind, tmp_path)
    started, distributor = started_options(text, kind, environment, tmp_path)
    assert distributor == OF_RANKS[kind]
    cores = {"slurm": 3, "kubernetes": 8}.get(kind)
    ranks = {"world_size": started.world_size} if distributor == "ranks" else {}
    assert started == resolve(
        {**ASKED, **ranks, "distributor": distributor, "extra_headers": HEADERS, "processes_count": cores}
    )


@pytest.mark.parametrize("kind", ["ray", "spark"])
def test_settings_of_a_cluster_are_passed_on(kind: str, tmp_path: Path) -> None:
    """They may be passwords, so they are not printed either."""
    result = emit(
        kind, "--url_list=s3://a/b", "--output_folder=s3://a/c", "--distributor_config=[a.b=hidden]"
    )
    assert '--distributor_config="$IMG2DATASET_DISTRIBUTOR_CONFIG"' in result.stdout
    assert "hidden" not in result.stdout
    assert result.stderr == ""


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_secret_is_printed(kind: str, tmp_path: Path) -> None:
    list_with_key = "https://user:hidden-word@host/list.csv"
    output_with_signature = "https://host/out?signature=hidden-word"
    text = emitted(
        kind,
        tmp_path,
        url_list=list_with_key,
        output_folder=output_with_signature,
        proxy="[http://a:hidden-word@b]",
    )
    assert "s3cret" not in text
    assert "hidden-word" not in text
    for name in ("EXTRA_HEADERS", "URL_LIST", "OUTPUT_FOLDER", "PROXY"):
        assert f"IMG2DATASET_{name}" in text


@pytest.mark.parametrize("kind", ["slurm", "ray", "spark"])
def test_scripts_are_scripts(kind: str, tmp_path: Path) -> None:
    subprocess.run(["bash", "-n"], input=emitted(kind, tmp_path), text=True, check=True)


def test_an_indexed_job_is_one_to_kubernetes(tmp_path: Path) -> None:
    document = yaml.safe_load(emitted("kubernetes", tmp_path, processes_count=6, image="registry/i2d:1"))
    kubernetes_validate.validate(document, "1.37", strict=True)
    spec = document["spec"]
    assert (spec["completionMode"], spec["completions"], spec["parallelism"]) == ("Indexed", 4, 4)
    pod = spec["template"]["spec"]
    assert pod["restartPolicy"] == "Never"  # as podFailurePolicy asks
    assert pod["terminationGracePeriodSeconds"] >= ASKED["grace_s"]
    (container,) = pod["containers"]
    assert container["image"] == "registry/i2d:1"
    assert {"name": "IMG2DATASET_WORLD_SIZE", "value": "4"} in container["env"]
    assert container["resources"]["requests"]["cpu"] == "6"
    actions = {
        status: rule["action"]
        for rule in spec["podFailurePolicy"]["rules"]
        for status in rule.get("onExitCodes", {}).get("values", [])
    }
    assert actions == {2: "FailJob", 75: "Ignore", 143: "Ignore"}
    assert all(
        rule["onExitCodes"]["containerName"] == container["name"]
        for rule in spec["podFailurePolicy"]["rules"]
        if "onExitCodes" in rule
    )
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(
            {**document, "spec": {**spec, "completions": "four"}}, "1.37", strict=True
        )


def test_paths_that_are_no_stores_are_mounted(tmp_path: Path) -> None:
    text = emitted("kubernetes", tmp_path, url_list="/data/lists/a.parquet", output_folder="/data/out")
    document = yaml.safe_load(text)
    kubernetes_validate.validate(document, "1.37", strict=True)
    pod = document["spec"]["template"]["spec"]
    assert {"name": "data", "mountPath": "/data"} in pod["containers"][0]["volumeMounts"]
    assert "volume claim 'img2dataset'" in text


def started_by_slurm(waits: str, environment: dict[str, str], tmp_path: Path) -> subprocess.Popen[bytes]:
    """A task of the job file, whose program does what is given."""
    (tmp_path / "bin" / "img2dataset").write_text(f"#!/bin/bash\n{waits}\n")
    (tmp_path / "job.sh").write_text(emitted("slurm", tmp_path))
    array = {"SLURM_ARRAY_JOB_ID": "17", "SLURM_ARRAY_TASK_ID": "3"}
    return subprocess.Popen(["bash", str(tmp_path / "job.sh")], env={**environment, **array})


def queued_again(environment: dict[str, str]) -> bool:
    asked = Path(f"{environment['SAID']}-scontrol")
    return asked.exists() and json.loads(asked.read_text()) == ["requeue", "17_3"]


# Much longer than any test waits for its end.
LOOP = "for i in {1..6000}; do sleep 0.1; done"


@pytest.mark.parametrize(
    ("status", "out_of_time", "again"),
    [(75, True, True), (0, True, False), (75, False, False), (2, True, False)],
)
def test_a_task_of_slurm_is_queued_again_where_its_time_was_up(
    status: int, out_of_time: bool, again: bool, environment: dict[str, str], tmp_path: Path
) -> None:
    waits = f"trap 'exit {status}' TERM\ntouch {tmp_path}/started\n{LOOP}"
    process = started_by_slurm(waits, environment, tmp_path)
    while not (tmp_path / "started").exists():
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(10 if out_of_time else 15)
    assert process.wait(timeout=120) == status
    assert queued_again(environment) == again


@pytest.mark.parametrize("before", ["img2dataset*", "rank=?!", "wait*"])
@pytest.mark.parametrize(("name", "again"), [("USR1", True), ("TERM", False)])
def test_a_task_of_slurm_hears_a_signal_from_its_first_moment(
    before: str, name: str, again: bool, environment: dict[str, str], tmp_path: Path
) -> None:
    hook = tmp_path / "hook.sh"
    # Bash reads it first: the signal comes before that command of the job file.
    hook.write_text(
        f"unset BASH_ENV\ntrap 'case $BASH_COMMAND in {before}) trap - DEBUG; kill -{name} $$;; esac' DEBUG\n"
    )
    process = started_by_slurm(LOOP, {**environment, "BASH_ENV": str(hook)}, tmp_path)
    assert process.wait(timeout=120) == 143
    assert queued_again(environment) == again


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["pbs", "--url_list=a"], "emit takes slurm, kubernetes, ray, spark, and was given 'pbs'"),
        (["slurm", "--url_list=s3://b/a"], "emit slurm needs --world_size"),
        (["slurm", "--url_list=a", "--image_sise=3"], "did you mean --image_size?"),
        (["kubernetes", "--url_list=a", "--world_size=2"], "--url_list 'a' is relative"),
        (["kubernetes", "--url_list=/a/b", "--output_folder=/c/d", "--world_size=2"], "no folder in common"),
        (["slurm", "--url_list=a", "--world_size=2", "--rank=1"], "leave out --rank"),
        (["ray", "--url_list=a", "--world_size=2"], "leave out --world_size"),
        (["spark", "--url_list=a", "--distributor=ray"], "leave out --distributor"),
        (["slurm", "--world_size=2"], "--url_list is required"),
    ],
)
def test_wrong_words_are_one_line(words: list[str], said: str) -> None:
    result = emit(*words)
    assert result.returncode == 2
    assert said in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


def test_the_page_of_emit() -> None:
    for words in ([], ["--help"]):
        result = emit(*words)
        assert result.returncode == 0
        assert "slurm|kubernetes|ray|spark" in result.stdout
