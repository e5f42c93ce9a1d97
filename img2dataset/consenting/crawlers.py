"""As whom the images of a folder were asked for, and what was honoured: the logs of its runs say it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from img2dataset.fetching import FetchSettings
from img2dataset.fetching.consent import wanted_files, wanted_headers
from img2dataset.printable import printable
from img2dataset.reporting.events import RunLog
from img2dataset.version import __version__

# What options say of a crawler: who it is, and what it honours.
_OF_CRAWLER = (
    *("user_agent", "user_agent_token", "contact", "consent", "respect_robots_txt", "respect_tdm"),
    *("disallowed_header_directives",),
)

_ROBOTS = "/robots.txt"


@dataclass(frozen=True, slots=True)
class Crawler:
    """One that the images were asked for by: its User-Agent, and the signals that it honoured.

    ``heeds_pictures``: those in the bytes of the pictures too. ``added``: those of other packages, by name,
    which need not be installed here.
    """

    user_agent: str
    headers: tuple[str, ...]
    files: tuple[str, ...]
    heeds_pictures: bool
    added: tuple[str, ...] = ()

    @property
    def shown_name(self) -> str:
        """As Markdown."""
        return f"`{printable(self.user_agent).replace('`', ' ')}`"

    @property
    def measures(self) -> str:
        """What it honoured, in words."""
        headers = f"the headers {', '.join(self.headers)} of answers" if self.headers else "no headers"
        asked = f"; {' and '.join(self.files)} of each site" if self.files else ""
        unasked = "" if self.files else f"; files of sites, such as {_ROBOTS}, were not asked for"
        pictures = "; IPTC data mining and C2PA in the pictures" if self.heeds_pictures else ""
        added = f"; {printable(', '.join(self.added))}, of other packages" if self.added else ""
        unheeded = "" if self.heeds_pictures else "; what pictures say themselves was not heeded"
        return f"{self.shown_name} honoured {headers}{asked}{pictures}{added}{unasked}{unheeded}"


def crawlers_of(logs: Sequence[RunLog], given: Mapping[str, Any]) -> list[Crawler]:
    """The crawlers of a folder's runs, each once; the one that options name, where they are given."""
    if not logs:
        return [_crawler(given, __version__)] if given else []
    found = (
        _crawler({**log.run.surroundings.options, **given}, log.run.surroundings.version) for log in logs
    )
    return list(dict.fromkeys(found))


def _crawler(options: Mapping[str, Any], version: str) -> Crawler:
    values = {name: options[name] for name in _OF_CRAWLER if options.get(name) is not None}
    if "disallowed_header_directives" in values:
        values["disallowed_header_directives"] = tuple(values["disallowed_header_directives"])
    if values.get("consent") == "strict":
        values.setdefault("respect_robots_txt", True)
        values.setdefault("respect_tdm", True)
    added = tuple(options.get("consent_signals") or ())
    return dataclasses.replace(crawler_with(FetchSettings(**values), version), added=added)


def crawler_with(settings: FetchSettings, version: str = __version__) -> Crawler:
    """The crawler of a fetcher.

    Args:
        settings: of the fetcher.
        version: of this program, that the fetcher was of.
    """
    added, settings = settings.consent_signals, dataclasses.replace(settings, consent_signals=())
    return Crawler(
        settings.user_agent_header.replace(f"img2dataset/{__version__}", f"img2dataset/{version}", 1),
        tuple(signal.name for signal in wanted_headers(settings)),
        tuple(file.path for file in wanted_files(settings)),
        settings.consent == "strict",
        tuple(added),
    )
