"""What sites say about being taken for training: one signal a file, all of them named here.

A signal speaks at one of two moments, and is made from the settings, or not at all where they do not want it:

- in the headers of an answer, as a ``HeaderSignal``: judged before any of the body is taken;
- in a file of the site, as a ``SiteFile``: judged before the request. ``site_files`` keeps what it says.

With ``save_consent`` each signal that was seen is recorded too, whether the settings honour it or not.

A new signal is a new file here, and its line in ``_IN_HEADERS`` or ``_IN_FILES``. Other packages add theirs
by an entry point of ``img2dataset.signals``: an object with one of these functions or both, whose failures
are made by ``failures.of_signal``. ``consent_signals`` names those that a run asks for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from img2dataset.failures import Failure
from img2dataset.plugins import SIGNALS, load_plugin
from img2dataset.types import Says

if TYPE_CHECKING:
    from img2dataset.fetching.settings import FetchSettings

# Files of this folder with a function ``header_signal``, and with one ``site_file``; the first that refuses
# counts.
_IN_HEADERS = ("x_robots_tag", "content_usage", "tdm_reservation", "rsl_license", "crawler_price")
_IN_FILES = ("robots_txt", "tdmrep_json")


@dataclass(frozen=True, slots=True)
class HeaderSignal:
    """One header by which an answer may say that its image is not to be taken.

    Args:
        name: of the header, in any case.
        says: what one of its values says; None: it is not of this signal, and not recorded.
        is_honoured: whether the settings want its no to count.
        failure: of the rows that it refuses; None: it refuses none by itself.
        only_with: the one status of an answer that it means something with; None: any.
        refuses: whether its values say no to the settings; one text for each header of that name, at least
            one. By default, if any says no.
    """

    name: str
    says: Callable[[str], Says | None]
    is_honoured: bool
    failure: Failure | None = None
    only_with: int | None = None
    refuses: Callable[[Sequence[str]], bool] | None = None

    line_start: bytes = field(init=False)
    """What a line of it begins with, in lower case, after the end of the line before."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "line_start", b"\n" + self.name.lower().encode("ascii") + b":")

    def refusal(self, values: Sequence[str]) -> Failure | None:
        """The failure of an answer with these values; None: it may be taken."""
        if not self.is_honoured or self.failure is None:
            return None
        refuses = self.refuses or (lambda values: any(self.says(value) == "no" for value in values))
        return self.failure if refuses(values) else None


class Said(NamedTuple):
    """What one line of a site's file says of a URI: ``value`` is the line, or what came in its place."""

    signal: str
    value: str
    says: Says
    is_honoured: bool = True


class SiteRules(Protocol):
    """What the file of one site says."""

    delay_s: float
    """The seconds between requests that the site wishes; 0: none."""

    more_files: tuple[str, ...]
    """URIs of further files that speak of its rows, each a licence of RSL."""

    def refusal(self, uri: str) -> Failure | None:
        """The failure of a row that may not be fetched from ``uri``; None: it may."""

    def said(self, uri: str) -> Iterable[Said]:
        """Every line that speaks of ``uri``, those that say nothing known included; for the record."""


class SiteFile(Protocol):
    """One file in which a site may say what is not to be taken."""

    path: str
    """Where each site has it, from the slash."""

    def parse(self, body: bytes) -> SiteRules:
        """The rules in ``body``, of which no more than ``answers.LARGEST_BYTES`` were read."""

    def refusal_without(self, failure: Failure) -> Failure | None:
        """The failure of all rows of a site whose file ended with ``failure``; None: they are allowed."""


def wanted_headers(settings: FetchSettings) -> tuple[HeaderSignal, ...]:
    """Those that ``settings`` honour, looked for in every answer with a body."""
    return tuple(signal for signal in known_headers(settings) if signal.is_honoured and signal.failure)


def known_headers(settings: FetchSettings) -> tuple[HeaderSignal, ...]:
    """All of them, for the record."""
    return tuple(_made("header_signal", _IN_HEADERS, settings))


def wanted_files(settings: FetchSettings) -> tuple[SiteFile, ...]:
    """Those that ``settings`` want asked for, before anything else of a site.

    Raises:
        OptionError: no package adds one of ``consent_signals``.
        MissingDependency: the package that adds one cannot be imported.
    """
    return tuple(_made("site_file", _IN_FILES, settings))


def _made(function: str, own: Iterable[str], settings: FetchSettings) -> Iterator[Any]:
    """What the files here and the packages that ``settings`` name make, where they make one."""
    makers = [getattr(import_module(f"{__name__}.{name}"), function) for name in own]
    makers += [getattr(load_plugin(SIGNALS, name), function, None) for name in settings.consent_signals]
    for maker in makers:
        if maker is not None and (made := maker(settings)) is not None:
            yield made
