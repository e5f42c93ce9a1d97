"""Can the machines of a cluster do a run? Asked before its first shard, so that the answer is one clear line.

The program puts a note with random content into the output folder. Each machine says whether it has the same
version of this package, reads that note, writes one of its own, opens the list, and has what else the run
needs (``machine_needs``). Used by ``spark`` and ``ray_cluster``.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
import secrets
import socket
from collections.abc import Iterable, Iterator
from typing import Any

from img2dataset.distributing.machine_needs import check_needs, needs_of
from img2dataset.distributing.member import MemberTask
from img2dataset.errors import Img2datasetError, InputError, OutputError, RunFailed, one_line
from img2dataset.formats.dataset import RUNS_FOLDER
from img2dataset.options import InputOptions
from img2dataset.reading import ShardReader
from img2dataset.storage.folders import remove
from img2dataset.storage.locations import Location, locate
from img2dataset.storage.moving import make_folder
from img2dataset.storage.notes import read_note, write_note
from img2dataset.types import PlannedShard, ShardSpec, spec_of_json
from img2dataset.version import __version__

_SAME_PLACE = (
    "give a path that every machine sees under the same name: on a shared file system, or in a store"
)

# What Python says where the modules of this package are others than those of the program, or are not there.
OTHER_VERSION = re.compile(
    r"No module named 'img2dataset|attribute 'answer'|cannot import name '\w+' from [\w ]*'img2dataset"
)


@contextlib.contextmanager
def asking(task: MemberTask, first: PlannedShard | None) -> Iterator[str]:
    """What the machines are asked, as text for ``answer``; the note lies in the folder meanwhile.

    Args:
        task: what the members will be told.
        first: a shard of the list.
    """
    location = task.work.write.locate()
    token = secrets.token_hex(8)
    name = f"{RUNS_FOLDER}/reach-{token}"
    _put(location, name, token)
    spec = first.to_json() if isinstance(first, ShardSpec) else None
    try:
        # Of plain texts alone: a machine that has another version must be able to read it.
        yield json.dumps(
            {
                "version": __version__,
                "folder": task.work.write.output_folder,
                "name": name,
                "token": token,
                "spec": spec,
                "list": str(task.engine.list.url_list),
                "needs": needs_of(task.work),
            }
        )
    finally:
        with contextlib.suppress(Exception):  # it costs only its room
            remove(location, f"{location.path}/{name}")


def answer(question: str) -> str:
    """What this machine answers: its host and version, and what it lacks, as text for ``refuse``."""
    asked = json.loads(question)
    problem = None
    if asked["version"] == __version__:
        with contextlib.suppress(StopIteration):
            problem = next(_problems(asked))
    return json.dumps({"host": socket.gethostname(), "version": __version__, "problem": problem})


def _problems(asked: dict[str, Any]) -> Iterator[str]:
    try:
        import pyarrow  # noqa: F401  # else it is missed only when a shard is begun
    except ImportError as error:
        yield _without(error.name or "pyarrow")
        return
    try:
        check_needs(asked["needs"])
    except Img2datasetError as error:
        yield f"{error} (every machine must have what options name)"
    folder = asked["folder"]
    try:
        location = locate(folder, "output_folder", OutputError)
        found = read_note(location, asked["name"])
    except Img2datasetError as error:
        yield str(error)
        return
    except Exception as error:  # every file system has its own errors
        yield f"output_folder {folder!r} cannot be read: {one_line(error)}"
        return
    if found != asked["token"]:
        yield (
            f"output_folder {folder!r} is not the folder that the program sees, whose note is not in it;"
            f" {_SAME_PLACE}"
        )
        return
    own = f"{asked['name']}-{secrets.token_hex(4)}"
    try:
        write_note(location, own, asked["token"])
        remove(location, f"{location.path}/{own}")
    except Exception as error:
        yield f"output_folder {folder!r} cannot be written to: {one_line(error)}; change its permissions"
    if asked["spec"] is not None:
        yield from _problem_of_list(asked)


def _problem_of_list(asked: dict[str, Any]) -> Iterator[str]:
    spec = spec_of_json(asked["spec"])
    assert isinstance(spec, ShardSpec)
    try:
        ShardReader(InputOptions(url_list=asked["list"])).check(spec)
    except InputError as error:
        yield f"url_list: {error}; {_SAME_PLACE}"
    except Img2datasetError as error:  # a package is missing there
        yield str(error)
    except Exception as error:  # every file system has its own errors
        yield f"url_list {asked['list']!r} cannot be read: {one_line(error)}; {_SAME_PLACE}"


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """What a machine has answered; ``problem`` is None where it can do the run."""

    host: str
    problem: str | None


def read_answer(text: str) -> Answer:
    """What ``answer`` has made of a question, on another machine."""
    fields = json.loads(text)
    problem = fields["problem"]
    if fields["version"] != __version__:
        problem = f"{other_version(fields['version'])}, {__version__}"
    return Answer(fields["host"], problem)


def other_version(theirs: str) -> str:
    """What is said of a machine that has another version of this package."""
    return f"img2dataset {theirs} is installed there: install the version of the driver on all machines"


def refuse(answers: Iterable[Answer]) -> None:
    """Raise what the machines lack.

    Raises:
        RunFailed: one cannot do the run; the message names it, and says what to do.
    """
    unable = [found for found in answers if found.problem is not None]
    if unable:
        others = len({found.host for found in unable}) - 1
        more = f" (and {others} more)" if others else ""
        raise RunFailed(f"machine {unable[0].host}{more} cannot do this run: {unable[0].problem}")


def unable_to_answer(error: BaseException) -> RunFailed | None:
    """What a machine lacks that could not even run ``answer``; None where the error has another reason."""
    text = str(error)
    if OTHER_VERSION.search(text):
        whole = "No module named 'img2dataset'" in text
        have = "img2dataset is not installed" if whole else "another version of img2dataset is installed"
        return RunFailed(
            f"on the machines of the cluster {have}: install {__version__} in the Python that runs there"
        )
    for package in ("pyarrow", "pandas"):
        if f"No module named '{package}'" in text:
            return RunFailed(f"on the machines of the cluster {_without(package)}")
    return None


def _without(package: str) -> str:
    return f"{package} is not installed: install img2dataset {__version__} there, with what it needs"


def _put(location: Location, name: str, text: str) -> None:
    try:
        make_folder(location, f"{location.path}/{RUNS_FOLDER}")
        write_note(location, name, text)
    except Exception as error:
        raise RunFailed(f"output_folder {location.name!r} cannot be written to: {one_line(error)}") from error
