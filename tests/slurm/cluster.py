"""A real Slurm of two nodes on this machine: munged, slurmctld and two slurmd, as processes of their own.

Needs Debian's slurm-wlm and munge, and root. All that it writes is in one folder, and it uses no settings of
the machine.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

NODES = 2
PROGRAMS = ("slurmctld", "slurmd", "sbatch", "munged")
CONFIGURATION = """
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
MinJobAge=600
KillWait=30
OverTimeLimit=0
JobRequeue=1
SchedulerParameters=batch_sched_delay=0,sched_interval=2
NodeName=node[1-{nodes}] NodeHostname={host} NodeAddr=127.0.0.1 Port=[{first}-{last}] CPUs=2 RealMemory=16000
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def missing_programs() -> list[str]:
    """What is not installed."""
    return [name for name in PROGRAMS if shutil.which(name) is None]


def _free_ports(count: int) -> int:
    """The first of so many free ports in a row."""
    for first in range(23000, 30000, count):
        try:
            for port in range(first, first + count):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        return first
    raise OSError("no free ports")


class Cluster:
    """Starts on creation; ``close`` ends it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._processes: list[subprocess.Popen[bytes]] = []
        # munged wants its folder to be written to by nobody else.
        os.chmod(folder, 0o755)
        key = folder / "munge.key"
        key.write_bytes(secrets.token_bytes(128))
        key.chmod(0o600)
        first = _free_ports(NODES + 1)
        (folder / "state").mkdir()
        self.configuration = folder / "slurm.conf"
        self.configuration.write_text(
            CONFIGURATION.format(
                host=socket.gethostname(),
                port=first,
                folder=folder,
                nodes=NODES,
                first=first + 1,
                last=first + NODES,
            )
        )
        self.environment = {**os.environ, "SLURM_CONF": str(self.configuration)}
        try:
            self._start_all(key)
        except BaseException:
            self._end_all()
            raise

    def _start_all(self, key: Path) -> None:
        folder = self.folder
        files = {"key-file": key, "seed-file": folder / "munge.seed", "pid-file": folder / "munged.pid"}
        files |= {"socket": folder / "munge.socket", "log-file": folder / "munged.log"}
        self._start(
            "munged", "--foreground", "--force", *(f"--{name}={path}" for name, path in files.items())
        )
        self._wait(lambda: (folder / "munge.socket").exists())
        self._start("slurmctld", "-D", "-f", str(self.configuration))
        for number in range(1, NODES + 1):
            (folder / f"spool-node{number}").mkdir()
            self._start("slurmd", "-D", "-f", str(self.configuration), "-N", f"node{number}")
        self._wait(lambda: self.run("sinfo", "--noheader", "--format=%T %D").strip() == f"idle {NODES}")

    def run(self, *command: str, **environment: str) -> str:
        """What one of Slurm's commands prints."""
        result = subprocess.run(
            command, env={**self.environment, **environment}, capture_output=True, text=True, timeout=60
        )
        if result.returncode and command[0] != "sinfo":
            raise AssertionError(f"{command}: {result.stdout}{result.stderr}")
        return result.stdout

    def states(self, job: str) -> dict[str, str]:
        """The state and the exit status of each task of a job, by its number in the array."""
        found = {}
        for line in self.run("scontrol", "show", "job", job, "--oneliner").splitlines():
            fields = dict(field.split("=", 1) for field in line.split() if "=" in field)
            found[fields.get("ArrayTaskId", "")] = f"{fields['JobState']} {fields['ExitCode']}"
        return found

    def close(self) -> None:
        """End all of it; the jobs that are left first."""
        self.run("scancel", "--user=root", "--full")
        self._end_all()

    def _end_all(self) -> None:
        for process in reversed(self._processes):
            process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _start(self, *command: str) -> None:
        log = open(self.folder / f"{command[0]}.out", "ab")  # noqa: SIM115
        self._processes.append(
            subprocess.Popen(command, env=self.environment, stdout=log, stderr=log, start_new_session=True)
        )

    def _wait(self, condition: Callable[[], bool]) -> None:
        until = time.monotonic() + 60
        while not condition():
            ended = [process.args for process in self._processes if process.poll() is not None]
            assert not ended, (ended, self._logs())
            assert time.monotonic() < until, self._logs()
            time.sleep(0.1)

    def _logs(self) -> str:
        return "\n".join(path.read_text(errors="replace")[-2000:] for path in self.folder.glob("*.out"))
