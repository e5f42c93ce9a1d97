"""What the EU's AI Act asks to be told of crawled data, as far as a folder knows it: Markdown.

Article 53(1)(d) of Regulation (EU) 2024/1689 asks providers of general-purpose AI models for a public summary
of the content used for training, after a template of the AI Office (annex to C(2025) 5235, 24 July 2025).
The headings and their numbers are the template's. What a folder of images cannot know is left to the
provider.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from img2dataset.consenting.asking_options import logs_of
from img2dataset.consenting.counting import ConsentCounts, count
from img2dataset.consenting.crawlers import Crawler, crawlers_of
from img2dataset.consenting.domains import Contents, contents_of
from img2dataset.consenting.folder import Problems, open_output
from img2dataset.consenting.lines import signals_in_words
from img2dataset.consenting.removal_notes import RemovalNote, removals_of
from img2dataset.counted import counted
from img2dataset.errors import OutputError, one_line
from img2dataset.formats.dataset import METADATA_ENDING
from img2dataset.formats.json_text import json_text
from img2dataset.printable import printable
from img2dataset.reporting.report.folder import Folder
from img2dataset.storage.locations import locate
from img2dataset.storage.putting import check_named_file, put_named_file
from img2dataset.work_line import work_line

if TYPE_CHECKING:
    from img2dataset.consenting.command import Asked

TO_BE_FILLED_IN = "*To be filled in by the provider.*"
# The ranges of section 1.3 for images.
_IMAGE_RANGES = (
    (1_000_000, "less than 1 million images"),
    (1_000_000_001, "1 million to 1 billion images"),
)
_MOST_IMAGES = "more than 1 billion images"


@dataclass(frozen=True)
class Known:
    """What a folder knows. ``stored_bytes`` is None where the sizes of its images are not at hand.

    ``removals``: what was taken out of it later. ``problems``: what could not be read of it.
    """

    counts: ConsentCounts
    contents: Contents
    crawlers: list[Crawler]
    removals: list[RemovalNote]
    stored_bytes: int | None
    of_sme: bool
    problems: list[str]

    @property
    def period(self) -> tuple[str, str] | None:
        """The first and the last month of the downloads, as the template writes them."""
        times = [(stats.start_time, stats.end_time) for stats in self.counts.statistics.each]
        if not times:
            return None
        first, last = min(start for start, _ in times), max(end for _, end in times)
        return _month(first), _month(last)


def make_summary(asked: Asked, problems: Problems) -> str:
    """Write the summary; what is printed of it.

    Raises:
        OutputError: the folder cannot be read, or the file cannot be written.
    """
    assert asked.eu_summary is not None
    target = locate(asked.eu_summary, "--eu_summary", OutputError)
    folder = open_output(asked.output)
    with _told_of_file(asked.eu_summary):
        check_named_file(target)
    with work_line("counting", "shards", 2 * len(folder.shards)) as line:
        counts = count(folder, problems, line.advance)
        contents = contents_of(folder, problems, line.advance)
    crawlers = crawlers_of(logs_of(folder.location), asked.options)
    try:
        removals = removals_of(folder.location)
    except Exception as error:  # every file system has its own errors
        raise OutputError(
            f"what was taken out of {asked.output!r} cannot be read: {one_line(error)}"
        ) from error
    of_sme, stored_bytes = "sme" in asked.flags, _stored_bytes(folder)
    known = Known(counts, contents, crawlers, removals, stored_bytes, of_sme, problems.told)
    with _told_of_file(asked.eu_summary):
        put_named_file(target, ("\n".join(lines_of_summary(known)) + "\n").encode())
    listed = contents.top(of_sme=known.of_sme)
    if asked.as_json:
        return json_text(
            {
                **counts.to_document(),
                "eu_summary": asked.eu_summary,
                "domains": contents.domains_count,
                "domains_listed": len(listed),
            }
        )
    return (
        f"summary: {asked.eu_summary}\n"
        f"  it lists {len(listed):,} of {counted(contents.domains_count, 'domain name')};\n"
        f"  what it cannot know says: {TO_BE_FILLED_IN.strip('*')}"
    )


@contextlib.contextmanager
def _told_of_file(name: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # every file system has its own errors
        raise OutputError(f"--eu_summary {name!r} cannot be written: {one_line(error)}") from error


def lines_of_summary(known: Known) -> list[str]:
    """The summary, line by line."""
    return [
        "# Public summary of training content: crawled images",
        "",
        "Article 53(1)(d) of Regulation (EU) 2024/1689 (AI Act), after the template of the AI Office of July"
        " 2025.",
        f"Drafted by img2dataset on {time.strftime('%Y-%m-%d', time.gmtime())} from the dataset"
        f" {_code(os.path.basename(known.counts.folder.location.name.rstrip('/')))}.",
        "What it cannot know is marked; what it says is of this dataset alone.",
        *[f"**Not all is counted:** {_cell(problem)}." for problem in known.problems],
        *_open("Version of the summary", "Last update", "Earlier versions"),
        *_general(known),
        *_sources(known),
        *_processing(known),
    ]


def _general(known: Known) -> Iterable[str]:
    images = known.counts.images
    size = next((name for limit, name in _IMAGE_RANGES if images < limit), _MOST_IMAGES)
    yield from _headed("## 1. General information")
    yield from _headed("### 1.1. Provider identification")
    yield from _open("Name and contact of the provider", "Name and contact of the authorised representative")
    yield from _headed("### 1.2. Model identification")
    yield from _open(
        "Models, with their versions", "Models that they depend on", "Placed on the Union market on"
    )
    yield from _headed("### 1.3. Modalities, overall training data size and other characteristics")
    yield from ("", "| modality | size | types of content |", "| --- | --- | --- |")
    yield f"| image | {size} ({images:,}{_bytes(known.stored_bytes)}) | {TO_BE_FILLED_IN} |"
    if known.contents.captions:
        captions = f"{known.contents.captions:,} captions of these images; in tokens: {TO_BE_FILLED_IN}"
        yield f"| text | {captions} | {TO_BE_FILLED_IN} |"
    period = known.period
    yield from ("", f"- Latest date of data acquisition: {period[1] if period else TO_BE_FILLED_IN}")
    yield f"- Linguistic characteristics: {_scripts(known.contents)}"
    yield f"- Other characteristics: {TO_BE_FILLED_IN}"


def _sources(known: Known) -> Iterable[str]:
    yield from _headed("## 2. List of data sources")
    yield from _headed("### 2.1. Publicly available datasets", TO_BE_FILLED_IN)
    yield "Name the list of URLs here if it is a published dataset."
    yield from _headed("### 2.2. Private non-publicly available datasets obtained from third parties")
    yield from _open(
        "2.2.1. Datasets commercially licensed by rightsholders or their representatives",
        "2.2.2. Private datasets obtained from other third parties",
    )
    yield from _headed("### 2.3. Data crawled and scraped from online sources")
    period = known.period
    yield from ("", "- Crawlers were used by the provider or on its behalf: yes")
    yield "- Crawler names or identifiers:"
    yield from [f"  - {crawler.shown_name}" for crawler in known.crawlers] or [f"  - {TO_BE_FILLED_IN}"]
    yield (
        "- Purposes of the crawlers: to download the images of a list of URLs into a dataset; its use:"
        f" {TO_BE_FILLED_IN}"
    )
    yield (
        "- Behaviour of the crawlers: no links are followed but redirects; no captcha is solved, no payment"
        " is made; connections to one host are bounded unless that is turned off, and 429 and Retry-After are"
        " kept. Signals that are honoured: section 3.1."
    )
    yield f"- Period of data collection: {f'{period[0]} to {period[1]}' if period else TO_BE_FILLED_IN}"
    yield (
        "- Type of content and online sources: images of"
        f" {counted(known.contents.domains_count, 'domain name')}; {TO_BE_FILLED_IN}"
    )
    yield f"- Modalities: image{', text (captions)' if known.contents.captions else ''}"
    yield from _domains(known)
    for heading in ("2.4. User data", "2.5. Synthetic data", "2.6. Other sources of data"):
        yield from _headed(f"### {heading}", TO_BE_FILLED_IN)


def _domains(known: Known) -> Iterable[str]:
    contents = known.contents
    listed = contents.top(of_sme=known.of_sme)
    share = "5 %, at most 1,000 (small and medium-sized providers)" if known.of_sme else "10 %"
    yield from _headed("#### Most relevant domain names crawled")
    yield ""
    yield (
        f"The top {share} of {counted(contents.domains_count, 'domain name')} by the size of their content,"
        " which is the pixels of their images as they were downloaded. A domain name stands for all hosts"
        " below it, by the Public Suffix List."
    )
    if contents.without_size:
        yield f"Of {contents.without_size:,} images the size is not known; they count as images alone."
    if contents.without_domain:
        yield f"{contents.without_domain:,} images come from no domain name, such as those of data: URLs."
    if contents.given_up:
        yield f"{contents.given_up:,} domain names with least content were not kept apart."
    yield from ("", "| domain name | images | megapixels |", "| --- | ---: | ---: |")
    for name, domain in listed:
        yield f"| {_cell(name)} | {domain.images:,} | {domain.pixels / 1e6:,.1f} |"


def _processing(known: Known) -> Iterable[str]:
    counts = known.counts
    yield from _headed("## 3. Data processing aspects")
    yield from _headed(
        "### 3.1. Respect of reservation of rights from text and data mining exception or limitation"
    )
    yield from ("", f"- Signatory of the code of practice: {TO_BE_FILLED_IN}")
    yield "- Measures during the collection:"
    yield from [f"  - {crawler.measures}" for crawler in known.crawlers] or [f"  - {TO_BE_FILLED_IN}"]
    yield f"- Images left out for a reservation: {sum(counts.left_out.values()):,}"
    yield from (f"  - {_cell(failure)}: {rows:,}" for failure, rows in counts.left_out.items())
    yield f"- Images left out since their site asks to be paid (status 402): {counts.unpaid:,}"
    if counts.columns.signals:
        yield "- Signals that were seen, by rows:"
        for signal, rows in signals_in_words(counts.columns.signals):
            yield f"  - {_cell(signal)}: {rows:,}"
    if counts.columns.with_column:
        yield f"- Images in the dataset of which a signal says no or sets conditions: {counts.columns.kept:,}"
    shards = counts.columns.shards
    if unknown := shards - counts.columns.with_column:
        of = f"{unknown:,} of {counted(shards, 'shard')}"
        yield f"- Signals that were seen are not known of {of}, made without --save_consent"
    if known.removals:
        yield "- Measures after the collection:"
        yield from (f"  - {_removal(note)}" for note in known.removals)
    yield f"- Further measures before and after the collection: {TO_BE_FILLED_IN}"
    yield from _headed("### 3.2. Removal of illegal content", TO_BE_FILLED_IN)
    yield from _headed("### 3.3. Other information (optional)", TO_BE_FILLED_IN)


def _removal(note: RemovalNote) -> str:
    return (
        f"{_cell(note.day)}: {counted(note.asked, 'image')} asked for again, {note.removed:,} taken out as"
        f" reserved now, {note.not_known:,} kept without an answer; {note.crawler.measures}"
    )


def _open(*names: str) -> list[str]:
    """What the provider fills in, one below the other."""
    return ["", *(f"- {name}: {TO_BE_FILLED_IN}" for name in names)]


def _headed(heading: str, *lines: str) -> list[str]:
    return ["", heading, *(["", *lines] if lines else [])]


def _scripts(contents: Contents) -> str:
    if not contents.captions:
        return "there are no captions"
    found = contents.scripts.most_common(10)
    shares = (f"{name} {captions / contents.captions:.1%}" for name, captions in found)
    return f"scripts of the captions: {', '.join(shares)}; languages: {TO_BE_FILLED_IN}"


def _stored_bytes(folder: Folder) -> int | None:
    """The bytes of the data of the shards, where each shard's are one file."""
    ending = folder.format.ending if folder.format is not None and not folder.format.is_folder else None
    if ending is None:
        return None
    found = [folder.sizes.get(shard + (ending or METADATA_ENDING), 0) for shard in folder.shards]
    return sum(found) or None


def _bytes(stored: int | None) -> str:
    if stored is None:
        return ""
    size = f"{stored / 1e9:,.2f} GB" if stored >= 1e9 else f"{stored / 1e6:,.2f} MB"
    return f"; {size} as they are stored"


def _month(seconds: float) -> str:
    return time.strftime("%m/%Y", time.gmtime(seconds))


def _cell(text: str) -> str:
    """A text of strangers in a line or cell of Markdown: as it reads, and nothing of a page or a terminal."""
    safe = printable(text).replace("\n", " ").replace("\t", " ")
    return "".join(f"\\{each}" if each in "\\`*_{}[]<>()#|!" else each for each in safe)


def _code(text: str) -> str:
    return f"`{printable(text).replace('`', ' ')}`"
