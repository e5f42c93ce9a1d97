"""Scripts that hand a run to a Ray or a Spark cluster: ``img2dataset emit ray … > submit.sh``."""

from __future__ import annotations

import shlex

from img2dataset.emitting.job import Job


def ray_script(job: Job) -> str:
    """A script that submits the run to a Ray cluster."""
    more = _processes(job)
    words = [*job.words("ray"), *more]
    note = ""
    if job.secrets:
        # Not expanded here: the entrypoint of a job is shown on the dashboard.
        words = ["bash", "-c", shlex.quote(" ".join(["exec", *words]))]
        note = f"# In the environment of the cluster's nodes: {', '.join(job.secrets.values())}.\n"
    entrypoint = " \\\n    ".join(words)
    return f"""\
#!/bin/bash
# Submits the run to the Ray cluster at RAY_ADDRESS; the same again goes on where it stopped.
# Every node needs img2dataset of this version; to submit, this machine and the head need ray[default].
# ray job stop JOB_ID ends it.
{note}set -euo pipefail
: "${{RAY_ADDRESS:?set it to the address of the dashboard, such as http://head:8265}}"
exec ray job submit --address "$RAY_ADDRESS" -- {entrypoint}
"""


def spark_script(job: Job) -> str:
    """A script that hands the run to ``spark-submit``."""
    to_set = "".join(
        f': "${{{variable}:?set it to what --{name} takes}}"\n' for name, variable in job.secrets.items()
    )
    words = " \\\n    ".join([*job.words("pyspark")[1:], *_processes(job)])
    return f"""\
#!/bin/bash
# Hands the run to Spark; the same again goes on where it stopped. Its own words go to spark-submit:
#     bash THIS_FILE --master spark://head:7077 --conf spark.executor.memory=8g
# The driver and every executor need img2dataset of this version; PYSPARK_PYTHON names their Python.
set -euo pipefail
{to_set}script=$(mktemp -d)/run_img2dataset.py
trap 'rm -r "$(dirname "$script")"' EXIT
cat > "$script" <<'PYTHON'
from img2dataset.cli import main

main()
PYTHON
spark-submit "$@" "$script" \\
    {words}
"""


def _processes(job: Job) -> list[str]:
    """On a cluster, the engine itself knows best how many processes a machine is to have."""
    return [f"--processes_count={job.cores}"] if job.options.processes_count is not None else []
