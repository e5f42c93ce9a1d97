"""An estimate as people read it, in a terminal of 80 columns."""

from __future__ import annotations

import textwrap

from img2dataset.counted import counted
from img2dataset.estimating.reckoning import ANSWER_S, Estimate
from img2dataset.estimating.sampled_list import HOW_READ
from img2dataset.printable import printable
from img2dataset.reporting.findings import Finding

WIDTH = 80
SHOWN_FINDINGS, SHOWN_FAILURES, SHOWN_HOSTS = 3, 8, 5
_LIMITS = {
    "cores": "the cores: the workers had work nearly all of the time",
    "crowded": "not to be told: the workers had work nearly all of the time, but a core for little of it;"
    " others use the cores, or the start took most of the time",
    "network": "the network: the workers waited for downloads, with as many under way as may be",
    "names": "name servers: the workers waited for names",
    "hosts": "the manners: the workers waited for hosts that take no more requests at once",
    "store": "the disk: the workers waited for what they had written",
}


def lines_of_estimate(
    estimate: Estimate, how_read: str, findings: list[Finding], *, remote_output: bool
) -> list[str]:
    """The whole estimate.

    Args:
        estimate: what was reckoned.
        how_read: a key of ``HOW_READ``.
        findings: of the download of the sample.
        remote_output: whether the dataset would go to another machine, which the sample did not.
    """
    found = [
        *_wrapped(
            f"list: {counted(estimate.rows_of_list, 'row')}; {HOW_READ[how_read]}",
        ),
        *_wrapped(f"sample: {counted(estimate.rows_of_sample, 'row')}, downloaded for real"),
        *_success(estimate),
        *_speed(estimate),
        *_size(estimate),
        *_limit(estimate),
        *_failures(estimate),
        *_hosts(estimate),
    ]
    for finding in findings[:SHOWN_FINDINGS]:
        found += ["findings:"] if finding is findings[0] else []
        found += _wrapped(f"- {finding.title}: {finding.cause}")
        found += _wrapped(f"  -> {finding.remedy}", "     ")
    return [*found, "what a sample cannot tell:", *_caveats(estimate, remote_output)]


def _success(estimate: Estimate) -> list[str]:
    low, high = estimate.success_interval
    rows = estimate.rows_of_list
    return _wrapped(
        f"success: {estimate.success_share:.1%}, and with 95 % certainty from {low:.1%} to {high:.1%}:"
        f" {_rounded(rows * low)} to {_rounded(rows * high)} images"
    )


def _speed(estimate: Estimate) -> list[str]:
    low, high = estimate.images_per_second
    of = "the middle of the sample" if estimate.rate_is_settled else "the whole of a short sample"
    rates = f"{_number(estimate.rate_seen)} seen in {of}"
    if estimate.rate_of_cores is not None:
        rates += f", {_number(estimate.rate_of_cores)} where the cores are full"
    shortest, longest = estimate.hours
    longer = "; longer by a host that LIMITS the run, below" if any(h.limits for h in estimate.hosts) else ""
    return [
        *_wrapped(f"speed: {_number(low)} to {_number(high)} images/s; rows/s: {rates}"),
        *_wrapped(f"time: {_duration(shortest)} to {_duration(longest)}{longer}"),
    ]


def _size(estimate: Estimate) -> list[str]:
    return _wrapped(
        f"bytes: {_bytes(estimate.bytes_in)} in ({_bytes(estimate.bytes_in_per_row)} a row),"
        f" {_bytes(estimate.bytes_out)} out ({_bytes(estimate.bytes_out_per_row)} a row)"
    )


def _limit(estimate: Estimate) -> list[str]:
    said = _LIMITS.get(estimate.limit or "", "the sample is too short to tell")
    found = _wrapped(f"what limits: {said}")
    if estimate.rate_of_cores is None or estimate.line_needed is None:
        return found
    cores = min(estimate.processes, estimate.cores)
    needed, seen = _line(estimate.line_needed), _line(estimate.line_seen)
    each = f"{estimate.cpu_ms_per_row:.1f} ms of CPU a row"
    if estimate.limit == "cores":
        found += _wrapped(
            f"  {each}: twice the cores ({2 * cores}) do up to {_number(2 * estimate.rate_of_cores)} rows/s,"
            f" for which a line of {_line(2 * estimate.line_needed)} is needed; more bandwidth alone changes"
            " nothing"
        )
    else:
        found += _wrapped(
            f"  {each}: {counted(cores, 'core')} can do {_number(estimate.rate_of_cores)} rows/s, for which a"
            f" line of {needed} is needed, and {seen} was seen; more cores change nothing before that"
        )
    return found


def _failures(estimate: Estimate) -> list[str]:
    found = ["failures, of all rows, with their 95 % intervals:"] if estimate.failures else []
    for failure in estimate.failures[:SHOWN_FAILURES]:
        low, high = failure.interval
        found += _wrapped(
            f"  {failure.share:>6.1%} ({low:.1%} to {high:.1%}), {_rounded(failure.rows_of_list)}"
            f" {'row' if round(failure.rows_of_list) == 1 else 'rows'}: {failure.message}",
            " " * 9,
        )
    return found


def _hosts(estimate: Estimate) -> list[str]:
    found = ["hosts with most rows:"] if estimate.hosts else []
    for host in estimate.hosts[:SHOWN_HOSTS]:
        text = f"  {host.host or 'none named'}: {host.share:.1%} of the list"
        if host.failures:
            shown = ", ".join(f"{message} ({rows:,})" for message, rows in list(host.failures.items())[:2])
            text += f"; failed in the sample: {shown}"
        if host.limits and host.hours is not None:
            text += (
                f"; it LIMITS the run: by the bounds of a host its rows take {_duration(host.hours)}, if an"
                f" answer takes {ANSWER_S:g} s"
            )
        found += _wrapped(text, "    ")
    return found


def _caveats(estimate: Estimate, remote_output: bool) -> list[str]:
    found = [
        "hosts that slow down, or refuse, when they are asked for thousands of images",
        "links that die before the run comes to them",
    ]
    if estimate.sample_fits_in_flight:
        found.append(
            "the speed of a long run, by its seconds: the sample is not larger than what is downloaded at"
            " once; a higher --sample_rows tells more"
        )
    if estimate.design_effect > 1.5:
        found.append(
            "as much as so many rows could: those of one part of the list are alike, so that it says"
            f" {estimate.design_effect:.1f} times less; the intervals are wider for it"
        )
    if remote_output:
        found.append("the time that uploads to the output folder take: the sample was kept on this machine")
    return [line for each in found for line in _wrapped(f"- {each}")]


def _wrapped(text: str, indent: str = "  ") -> list[str]:
    return textwrap.wrap(printable(text), WIDTH, subsequent_indent=indent, break_on_hyphens=False)


def _rounded(count: float) -> str:
    """A number to three digits: a sample tells no more."""
    whole = round(count)
    digits = len(str(whole))
    return f"{round(whole, 3 - digits) if digits > 3 else whole:,}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


def _bytes(count: float) -> str:
    for unit in ("B", "KB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 100 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:,.1f} TB"


def _line(bytes_per_second: float) -> str:
    megabits = bytes_per_second * 8 / 1e6
    return f"{megabits / 1000:,.1f} Gbit/s" if megabits >= 1000 else f"{megabits:,.1f} Mbit/s"


def _duration(hours: float) -> str:
    if hours >= 48:
        return f"{hours / 24:,.1f} days"
    if hours >= 1:
        return f"{hours:.1f} hours"
    return f"{hours * 60:.1f} minutes" if hours * 60 >= 1 else f"{hours * 3600:.1f} seconds"
