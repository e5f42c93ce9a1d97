"""``img2dataset emit slurm|kubernetes|ray|spark …options…``: a job file for the run with these options.

Called by the command line. The options are checked as for a run; nothing is opened, and nothing secret shown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from img2dataset.emitting.job import Job
from img2dataset.errors import OptionError
from img2dataset.options import read_words, refuse_unknown_names, resolve
from img2dataset.version import __version__

IMAGE = "image"
OF_THE_SCHEDULER = ("rank", "ranks_from_environment")
OF_RANKS = (*OF_THE_SCHEDULER, "world_size", "lease_s")

PAGE = f"""\
usage: img2dataset emit slurm|kubernetes|ray|spark [--image IMAGE]
                        [--OPTION VALUE ...]

Print a job file for a run with these options, which are those of a run and are
checked as for one. Secrets are not printed: the file says where to put them.

  slurm       a script for sbatch: an array of --world_size ranks
  kubernetes  an Indexed Job of --world_size ranks, in containers of --image
              [img2dataset:{__version__}]
  ray         a script with ray job submit
  spark       a script with spark-submit

--processes_count is the cores of a rank, and --grace_s what it has to stop in."""


def emit(words: list[str], given_by: Callable[[list[str]], Mapping[str, Any]]) -> str:
    """The text of a job file.

    Args:
        words: those after ``emit``.
        given_by: the options that words give, by name.

    Raises:
        OptionError: the scheduler is none that is known, or an option is wrong.
    """
    makers = _makers()
    if not words or words[0] not in makers:
        asked = repr(words[0]) if words else "nothing"
        raise OptionError(f"emit takes {', '.join(makers)}, and was given {asked}; img2dataset emit --help")
    scheduler, rest = words[0], words[1:]
    image, rest = _image(rest)
    refuse_unknown_names(read_words(rest), "emit", ("image",))
    given = dict(given_by(rest))
    distributor, make = makers[scheduler]
    if given.pop("distributor", distributor) != distributor:
        raise OptionError(
            f"emit {scheduler} makes a run of --distributor {distributor}; leave out --distributor"
        )
    for name in OF_THE_SCHEDULER if distributor == "ranks" else OF_RANKS:
        if name in given:
            raise OptionError(
                f"emit {scheduler}: leave out --{name}; {scheduler} says which machine does what"
            )
    job = Job(resolve({**given, "distributor": distributor}), given, image)
    if not isinstance(job.options.url_list, str):
        raise OptionError(f"emit {scheduler} needs a list that other machines can open")
    return make(job)


def _makers() -> dict[str, tuple[str, Callable[[Job], str]]]:
    from img2dataset.emitting import clusters, kubernetes, slurm

    return {
        "slurm": ("ranks", slurm.job_file),
        "kubernetes": ("ranks", kubernetes.job_file),
        "ray": ("ray", clusters.ray_script),
        "spark": ("pyspark", clusters.spark_script),
    }


def _image(words: list[str]) -> tuple[str, list[str]]:
    """The image of the containers, and the words without it."""
    for number, word in enumerate(words):
        if word.startswith(f"--{IMAGE}="):
            return word.partition("=")[2], words[:number] + words[number + 1 :]
        if word == f"--{IMAGE}" and number + 1 < len(words):
            return words[number + 1], words[:number] + words[number + 2 :]
    return f"img2dataset:{__version__}", words
