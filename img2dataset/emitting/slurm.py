"""An array of ranks for Slurm: ``img2dataset emit slurm … > job.sh``, then ``sbatch job.sh``.

Near its time limit a task is told to stop, and queues itself again; a node that fails, or a task that is
preempted, is queued again by Slurm. ``scancel`` cancels: what is under way is kept, and nothing is queued.
"""

from __future__ import annotations

from img2dataset.emitting.job import Job
from img2dataset.stopping import RUN_ME_AGAIN


def job_file(job: Job) -> str:
    """The batch script.

    Raises:
        OptionError: how many ranks there are to be was not given.
    """
    last = job.ranks("slurm") - 1
    to_set = "".join(
        f': "${{{variable}:?set it to what --{name} takes, before sbatch}}"\n'
        for name, variable in job.secrets.items()
    )
    command = job.command("ranks", '--processes_count="$SLURM_CPUS_PER_TASK"')
    return f"""\
#!/bin/bash
# sbatch THIS_FILE starts the ranks of one dataset; the same again goes on where they stopped.
# Add what your cluster asks for, such as --partition, --account and --time.
#SBATCH --job-name=img2dataset
#SBATCH --array=0-{last}
#SBATCH --nodes=1
#SBATCH --ntasks=1
#SBATCH --cpus-per-task={job.cores}
#SBATCH --mem={job.memory_mb}M
#SBATCH --output=img2dataset-%A_%a.log
#SBATCH --open-mode=append
#SBATCH --requeue
# So long before the time limit the script is told.
#SBATCH --signal=B:USR1@{job.stopping_s}

{to_set}out_of_time=
stopping=
rank=
stop() {{
    stopping=yes
    [ -z "$rank" ] || kill -TERM "$rank"
}}
# The time is nearly up: to be queued again.
trap 'out_of_time=yes; stop' USR1
# It is cancelled or preempted; in the second case Slurm queues it again itself.
trap stop TERM
{command} &
rank=$!
# A signal may have come before its number was known.
[ -z "$stopping" ] || stop
wait "$rank"
status=$?
# A signal ends the waiting, and not the program.
while kill -0 "$rank" 2>/dev/null; do
    wait "$rank"
    status=$?
done
# {RUN_ME_AGAIN}: stopped, and to be run again. 143: stopped before it had begun. 1: some shards failed. 2: an
# option is wrong, and stays so.
if [ "$out_of_time" ] && {{ [ "$status" -eq {RUN_ME_AGAIN} ] || [ "$status" -eq 143 ]; }}; then
    scontrol requeue "${{SLURM_ARRAY_JOB_ID}}_${{SLURM_ARRAY_TASK_ID}}"
fi
exit "$status"
"""
