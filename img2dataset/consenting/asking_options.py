"""With which options sites are asked again: those given, else those of the last run, and consent strict.

In: the options that words give, and the logs of runs in the folder. Out: checked ``Options``, and what the
fetcher is told.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from img2dataset.errors import MissingDependency, OptionError
from img2dataset.fetching import FetchSettings
from img2dataset.options import Options, option_specs, resolve
from img2dataset.options.downloads import DOWNLOADS, MANNERS
from img2dataset.reporting.event_log import read_logs
from img2dataset.reporting.events import RunLog
from img2dataset.settings import fetch_settings
from img2dataset.storage.locations import Location

# Of a run, and not of asking again: what is taken of a body, and what is kept of it.
_OF_DOWNLOADS = ("max_download_bytes", "body_memory", "save_consent")
# What a run did not honour is asked all the same, unless that is given.
_NOT_TAKEN_OVER = (*_OF_DOWNLOADS, "consent", "respect_robots_txt", "respect_tdm")
# Where shards are made before they are uploaded, and how long a store is waited for.
_OF_REMOVAL = ("spool_folder", "store_patience")


def asking_options(
    output: str, given: Mapping[str, Any], logs: list[RunLog]
) -> tuple[Options, FetchSettings]:
    """The options of asking again, and what a fetcher is told by them.

    Args:
        output: the folder.
        given: by name.
        logs: of the runs in it, the latest last.

    Raises:
        OptionError, MissingDependency: one of those given is wrong, or one of the last run is now, such as a
            file that is gone. Left out, it would let sites be asked under another name, or faster.
    """
    allowed = names_of_options()
    of_run = logs[-1].run.surroundings.options if logs else {}
    taken_over = {
        name: value for name, value in of_run.items() if name in allowed and name not in _NOT_TAKEN_OVER
    }
    base = {"url_list": output, "output_folder": output, "processes_count": 1, "consent": "strict"}
    try:
        options = resolve({**base, **taken_over, **given})
        return options, fetch_settings(options)
    except (OptionError, MissingDependency) as error:
        fetch_settings(resolve({**base, **given}))  # raises where it is one of those given
        raise type(error)(
            f"{error}. So it was in the folder's last run: give this option anew, or as None to leave it out"
        ) from error


def check_names(given: Iterable[str]) -> None:
    """Refuse options of a run that this command does not take.

    Raises:
        OptionError: there is one.
    """
    allowed = names_of_options()
    for name in given:
        if name not in allowed:
            raise OptionError(
                f"--{name} is no option of consent: it takes those of downloads, names, manners and access"
                f" but {', '.join(_OF_DOWNLOADS)}; img2dataset consent --help says how it is used"
            )


def names_of_options() -> set[str]:
    """The options of a run that this command takes."""
    specs = option_specs().values()
    of_asking = {spec.name for spec in specs if spec.group in (DOWNLOADS, MANNERS)}
    return of_asking.difference(_OF_DOWNLOADS).union(_OF_REMOVAL)


def logs_of(location: Location) -> list[RunLog]:
    """The logs of the runs in a folder; none where they cannot be read."""
    try:
        return read_logs(location)
    except Exception:  # every file system has its own errors
        return []
