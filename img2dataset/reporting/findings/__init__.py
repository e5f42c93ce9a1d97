"""Why a run has few images, or is slow: facts of a run come in, findings with their remedies go out.

Pure: the same facts give the same findings, during the run, at its end, and years later. The files ``of_…``
have the rules; docs/findings.md has a section for each kind.
"""

from __future__ import annotations

from img2dataset.failures import URL_EMPTY, URL_MISSING
from img2dataset.reporting.facts import Facts
from img2dataset.reporting.findings import of_consent, of_images, of_requests, of_speed
from img2dataset.reporting.findings.counting import rows_with
from img2dataset.reporting.findings.finding import LEAST_WEIGHT, PAGE, Finding, FindingKind
from img2dataset.reporting.surroundings import Surroundings

__all__ = ["PAGE", "Finding", "FindingKind", "find", "hopeless"]

# So many rows, of which not one succeeded, say that none will, where the reason is on this side; and of so
# many hosts, where it may be one of them that is at fault.
ROWS_WITHOUT_HOPE, SHARE_WITHOUT_HOPE, HOSTS_WITHOUT_HOPE = 1000, 0.98, 10
ON_THIS_SIDE = frozenset(
    {
        *(FindingKind.WRONG_COLUMN, FindingKind.NO_NETWORK, FindingKind.PROXY, FindingKind.NAMES_FAIL),
        *(FindingKind.CERTIFICATES, FindingKind.CLOCK),
    }
)


def find(facts: Facts, surroundings: Surroundings) -> list[Finding]:
    """What there is to say of a run, what matters most first.

    Args:
        facts: of the run, or of what there is of it so far.
        surroundings: its machine and options.
    """
    rules = (*of_requests.RULES, *of_consent.RULES, *of_images.RULES, *of_speed.RULES)
    found = [finding for rule in rules if (finding := rule(facts, surroundings)) is not None]
    return sorted(
        (finding for finding in found if finding.weight >= LEAST_WEIGHT),
        key=lambda finding: -finding.weight,
    )


def hopeless(facts: Facts, surroundings: Surroundings) -> Finding | None:
    """Why a run that goes on would only fail row after row; None if that is not so.

    Args:
        facts, surroundings: as ``find``.
    """
    if facts.successes or facts.count < ROWS_WITHOUT_HOPE:
        return None
    first = next(iter(find(facts, surroundings)), None)
    if first is None or first.kind not in ON_THIS_SIDE or first.weight < SHARE_WITHOUT_HOPE:
        return None
    if first.kind is FindingKind.WRONG_COLUMN:
        # Rows without any URL may stand together at the beginning of a sorted list.
        return None if rows_with(facts, (URL_MISSING, URL_EMPTY)) else first
    return first if len(facts.hosts) >= HOSTS_WITHOUT_HOPE else None
