"""What sites say about being taken for training: one signal a file, all of them named here.

A signal speaks at one of two moments, and is made from the settings, or not at all where they do not want it:

- in the headers of an answer, as a ``HeaderSignal``: judged before any of the body is taken;
- in a file of the site, as a ``SiteFile``: judged before the request. ``site_files`` keeps what it says.

A new signal is a new file here, and its line in ``_IN_HEADERS`` or ``_IN_FILES``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Protocol

from img2dataset.failures import Failure

if TYPE_CHECKING:
    from img2dataset.fetching.settings import FetchSettings

# Files of this folder with a function ``header_signal``, and with one ``site_file``; the first that refuses
# counts.
_IN_HEADERS = ("x_robots_tag", "content_usage", "tdm_reservation")
_IN_FILES = ("robots_txt", "tdmrep_json")


@dataclass(frozen=True, slots=True)
class HeaderSignal:
    """One header by which an answer may say that its image is not to be taken.

    Args:
        name: of the header, in any case.
        failure: of the rows that it refuses.
        refuses: whether its values say no; one text for each header of that name, at least one.
    """

    name: str
    failure: Failure
    refuses: Callable[[Sequence[str]], bool]

    line_start: bytes = field(init=False)
    """What a line of it begins with, in lower case, after the end of the line before."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "line_start", b"\n" + self.name.lower().encode("ascii") + b":")


class SiteRules(Protocol):
    """What the file of one site says."""

    delay_s: float
    """The seconds between requests that the site wishes; 0: none."""

    def refusal(self, uri: str) -> Failure | None:
        """The failure of a row that may not be fetched from ``uri``; None: it may."""


class SiteFile(Protocol):
    """One file in which a site may say what is not to be taken."""

    path: str
    """Where each site has it, from the slash."""

    def parse(self, body: bytes) -> SiteRules:
        """The rules in ``body``, of which no more than ``answers.LARGEST_BYTES`` were read."""

    def refusal_without(self, failure: Failure) -> Failure | None:
        """The failure of all rows of a site whose file ended with ``failure``; None: they are allowed."""


def wanted_headers(settings: FetchSettings) -> tuple[HeaderSignal, ...]:
    """Those that ``settings`` want looked for, in every answer with a body."""
    made = (import_module(f"{__name__}.{name}").header_signal(settings) for name in _IN_HEADERS)
    return tuple(signal for signal in made if signal is not None)


def wanted_files(settings: FetchSettings) -> tuple[SiteFile, ...]:
    """Those that ``settings`` want asked for, before anything else of a site.

    Raises:
        MissingDependency: what reads one of them is not installed.
    """
    made = (import_module(f"{__name__}.{name}").site_file(settings) for name in _IN_FILES)
    return tuple(file for file in made if file is not None)
