"""An Indexed Job of ranks for Kubernetes: ``img2dataset emit kubernetes … > job.yaml``, ``kubectl apply``."""

from __future__ import annotations

import os
from typing import Any

from img2dataset.emitting.job import Job
from img2dataset.errors import OptionError
from img2dataset.stopping import RUN_ME_AGAIN

NAME = "img2dataset"
# An index that fails so often has failed: by exit status 1, by memory, by its node.
RETRIES_PER_INDEX = 5
SIGTERM_STATUS = 143
# Where files wait for their upload; what an object store needs of it are a few shards a core.
_SPOOL = "/spool"


def job_file(job: Job) -> str:
    """The manifest of the Job.

    Raises:
        OptionError: how many ranks there are to be was not given; or a path is of one machine alone, and of
            no volume that could be mounted.
    """
    import yaml

    ranks = job.ranks("kubernetes")
    volume = _shared_folder(job)
    notes = [
        "kubectl apply -f THIS_FILE starts the ranks of one dataset; after kubectl delete, the same goes on.",
        f"Needs an image with this version of img2dataset in it, {job.image} (docs/distributed.md).",
    ]
    if job.secrets:
        keys = " ".join(f"--from-literal={_key(name)}=..." for name in job.secrets)
        notes.append(f"Make the secret first: kubectl create secret generic {NAME} {keys}")
    if volume is not None:
        notes.append(f"Needs a volume claim {NAME!r} of access mode ReadWriteMany, which is {volume} here.")
    document = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": NAME},
        "spec": {
            "completionMode": "Indexed",
            "completions": ranks,
            "parallelism": ranks,
            "backoffLimitPerIndex": RETRIES_PER_INDEX,
            "podFailurePolicy": {"rules": _failure_rules()},
            "template": {"spec": _pod(job, ranks, volume)},
        },
    }
    text: str = yaml.safe_dump(document, sort_keys=False, width=1000)
    return "".join(f"# {note}\n" for note in notes) + text


def _failure_rules() -> list[dict[str, Any]]:
    def exits_with(*statuses: int) -> dict[str, Any]:
        return {"containerName": NAME, "operator": "In", "values": list(statuses)}

    return [
        # An option is wrong, and is so for every rank and the next time.
        {"action": "FailJob", "onExitCodes": exits_with(2)},
        # Stopped, and to be run again: it counts as no failure.
        {"action": "Ignore", "onExitCodes": exits_with(RUN_ME_AGAIN, SIGTERM_STATUS)},
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
    ]


def _pod(job: Job, ranks: int, volume: str | None) -> dict[str, Any]:
    size = {"cpu": str(job.cores), "memory": f"{job.memory_mb}Mi"}
    environment: list[dict[str, Any]] = [
        {"name": "IMG2DATASET_WORLD_SIZE", "value": str(ranks)},
        {"name": "TMPDIR", "value": _SPOOL},
    ]
    for name, variable in job.secrets.items():
        reference = {"secretKeyRef": {"name": NAME, "key": _key(name)}}
        environment.append({"name": variable, "valueFrom": reference})
    mounts, volumes = [{"name": "spool", "mountPath": _SPOOL}], [{"name": "spool", "emptyDir": {}}]
    if volume is not None:
        mounts.append({"name": "data", "mountPath": volume})
        volumes.append({"name": "data", "persistentVolumeClaim": {"claimName": NAME}})
    # exec: the program itself gets SIGTERM.
    command = " ".join(["exec", *job.words("ranks"), f"--processes_count={job.cores}"])
    command = command.replace("$(", "$$(")  # which Kubernetes would take for a variable of its own
    container = {
        "name": NAME,
        "image": job.image,
        "command": ["/bin/sh", "-c", command],
        "env": environment,
        "resources": {"requests": size, "limits": {"memory": size["memory"]}},
        "volumeMounts": mounts,
    }
    return {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": job.stopping_s,
        "containers": [container],
        "volumes": volumes,
    }


def _shared_folder(job: Job) -> str | None:
    """The folder that holds what is no object store's: the list, the output, or both."""
    paths = {
        name: str(getattr(job.options, name))
        for name in ("url_list", "output_folder")
        if "://" not in str(getattr(job.options, name))
    }
    for name, path in paths.items():
        if not os.path.isabs(path):
            raise OptionError(
                f"emit kubernetes: --{name} {path!r} is relative, and pods have no common folder; give an"
                " address such as s3://bucket/name, or an absolute path on a volume that all pods mount"
            )
    if not paths:
        return None
    shared = os.path.commonpath([os.path.dirname(path.rstrip("/")) for path in paths.values()])
    if shared == "/":
        raise OptionError(
            f"emit kubernetes: {' and '.join(f'--{name} {path}' for name, path in paths.items())} have no"
            " folder in common that a volume could be; put them below one, such as /data"
        )
    return shared


def _key(name: str) -> str:
    return name.replace("_", "-")
