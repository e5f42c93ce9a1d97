"""``img2dataset consent OUTPUT --recheck [--remove]``: rows are listed shard by shard, then the counts."""

from __future__ import annotations

import contextlib
import json
import shlex
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from img2dataset.consenting.asking_options import asking_options, logs_of
from img2dataset.consenting.crawlers import Crawler, crawler_with
from img2dataset.consenting.folder import OnProblem, Problems, all_statistics, open_output
from img2dataset.consenting.lines import table
from img2dataset.consenting.rechecking import Finding, RecheckedShard, Verdict, recheck
from img2dataset.consenting.removal_notes import KeptRemoval, RemovalNote
from img2dataset.counted import counted
from img2dataset.errors import OutputError, one_line
from img2dataset.printable import printable
from img2dataset.stopping import StopRequest, end_on_signals, exit_status_of, stop_on_signals
from img2dataset.work_line import say_beside_line, work_line

if TYPE_CHECKING:
    from img2dataset.consenting.command import Asked
    from img2dataset.consenting.removing import Remover

_STOPPED = "img2dataset: stopped"
_STOPPING = b"\nimg2dataset: stopping: what was found so far is told; a second signal ends it at once\n"


def run_recheck(asked: Asked, tell: OnProblem) -> int:
    """Ask again, list what is reserved, and take it out if that is asked for.

    Args:
        asked: by the words.
        tell: told what cannot be read or done.

    Returns:
        The exit status: 0, 1 where a shard could not be read or rewritten, 130 or 143 after a signal.

    Raises:
        Img2datasetError: the folder cannot be read or written to, or the fetcher cannot be set up.
    """
    problems = Problems(tell)
    with end_on_signals(_STOPPED):
        folder = open_output(asked.output)
        if folder.format is None:
            raise OutputError(
                f"{asked.output!r} keeps no rows that could be asked for again, as of --output_format dummy"
            )
        options, settings = asking_options(asked.output, asked.options, logs_of(folder.location))
        statistics = all_statistics(folder, problems)
    told = _Told(asked.output, as_json=asked.as_json, is_removing="remove" in asked.flags)
    stop = StopRequest()
    stop.stopping_line = _STOPPING
    stop.listen(None)  # from here on it is asked whether to stop
    images = sum(stats.successes for stats in statistics.each)
    with contextlib.ExitStack() as stack:
        stack.enter_context(stop_on_signals(stop))
        remover = None
        if told.is_removing:
            from img2dataset.consenting.removing import removing_from

            remover = stack.enter_context(removing_from(options))
        crawler, kept = crawler_with(settings), KeptRemoval(folder.location)

        def note() -> None:
            try:
                kept.put(told.removal_note(crawler))
            except Exception as error:  # every file system has its own errors
                problems(f"what was taken out is not noted in the folder: {one_line(error)}")

        line = stack.enter_context(work_line("asking again", "rows", images))
        for shard in recheck(folder, settings, lambda: stop.made or told.is_in_vain, problems, line.advance):
            told.shard(shard)
            if remover is not None and (rows := _removed(remover, shard, problems)):
                told.removed(rows)
                note()
        if remover is not None:
            note()
    told.end(is_stopped=stop.made)
    if stop.signal_number is not None:
        return exit_status_of(stop.signal_number)
    return 1 if problems.told else 0


def _removed(remover: Remover, shard: RecheckedShard, on_problem: Callable[[str], None]) -> int:
    """How many rows were taken out of a shard; of one that was not asked to its end, none."""
    reserved = [finding for finding in shard.findings if finding.verdict == "reserved"]
    if not reserved or not shard.is_whole:
        return 0
    try:
        return remover.remove(shard.shard, reserved)
    except Exception as error:  # every file system has its own errors
        on_problem(f"shard {shard.shard} stays as it is: {one_line(error)}")
        return 0


class _Told:
    """What is told while it goes on, so that memory does not grow with the number of rows that are listed."""

    def __init__(self, output: str, *, as_json: bool, is_removing: bool) -> None:
        self.is_removing = is_removing
        self._output = output
        self._as_json = as_json
        self._verdicts: Counter[Verdict] = Counter()
        self._signals: Counter[str] = Counter()
        self._unknown: Counter[str] = Counter()
        self._removed = self._rewritten = 0
        self._is_read = True
        # Of the JSON that is not printed yet.
        self._head = f'{{"output": {json.dumps(output)}, "rows": ['

    @property
    def is_in_vain(self) -> bool:
        """Whether nobody reads what is listed, and nothing else is to be done: sites are asked no more."""
        return not self._is_read and not self.is_removing

    def shard(self, shard: RecheckedShard) -> None:
        """List the rows of a shard."""
        self._verdicts.update(shard.verdicts)
        for finding in shard.findings:
            by = self._unknown if finding.verdict == "not known" else self._signals
            by[str(finding.failure)] += 1
            self._say(self._json_row(finding) if self._as_json else _line(finding))

    def removed(self, rows: int) -> None:
        """So many rows were taken out of a shard."""
        self._removed += rows
        self._rewritten += 1

    def removal_note(self, crawler: Crawler) -> RemovalNote:
        """What is kept of this in the folder."""
        verdicts = self._verdicts
        return RemovalNote(
            time.strftime("%Y-%m-%d", time.gmtime()),
            crawler,
            verdicts.total(),
            verdicts["reserved"],
            verdicts["not known"],
            self._removed,
        )

    def end(self, *, is_stopped: bool) -> None:
        """Tell the counts."""
        if self._as_json:
            counts = json.dumps(self._document(is_stopped))
            self._say(f"{self._take_head()}], {counts[1:]}")
        else:
            self._say(printable("\n".join(self._lines())))
        if is_stopped:
            with contextlib.suppress(OSError):
                print("img2dataset: stopped; rows that are not counted were not asked", file=sys.stderr)

    def _say(self, text: str) -> None:
        self._is_read = self._is_read and say_beside_line(text)

    def _json_row(self, finding: Finding) -> str:
        names = ("key", "url", "verdict", "signal", "value")
        row: dict[str, Any] = {name: getattr(finding, name) for name in names}
        separator = self._take_head() or ","
        return f"{separator}{json.dumps({**row, 'failure': str(finding.failure)})}"

    def _take_head(self) -> str:
        head, self._head = self._head, ""
        return head

    def _document(self, is_stopped: bool) -> dict[str, Any]:
        return {
            "asked": self._verdicts.total(),
            "reserved": self._verdicts["reserved"],
            "sold": self._verdicts["sold"],
            "not_known": self._verdicts["not known"],
            "free": self._verdicts["free"],
            "by_signal": dict(self._signals.most_common()),
            "by_failure": dict(self._unknown.most_common()),
            "removed": self._removed if self.is_removing else None,
            "stopped": is_stopped,
        }

    def _lines(self) -> list[str]:
        verdicts = self._verdicts
        lines = [
            f"asked again: {counted(verdicts.total(), 'row')} with an image",
            f"reserved now: {verdicts['reserved']:,}; for sale: {verdicts['sold']:,}",
            *table(self._signals.most_common()),
            f"not known: {verdicts['not known']:,}",
            *table(self._unknown.most_common()),
        ]
        if self.is_removing:
            shards = counted(self._rewritten, "shard")
            lines.append(f"taken out: {counted(self._removed, 'row')} of {shards}")
            if self._removed:
                lines.append("report.html tells of the folder as it was:")
                lines.append(f"  img2dataset report {shlex.quote(self._output)} makes it anew")
        return lines


def _line(finding: Finding) -> str:
    """One row, its parts parted by tabs, with no tab or line end of strangers in them."""
    parts = (finding.key, finding.url, finding.signal or finding.verdict, finding.value)
    return "\t".join(printable(part).replace("\t", "\\t").replace("\n", "\\n") for part in parts)
