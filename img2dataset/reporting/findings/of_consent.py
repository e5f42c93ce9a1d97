"""What findings say of rows that their sites do not give away. One function a finding."""

from __future__ import annotations

from img2dataset.failures import PAYMENT_REQUIRED
from img2dataset.reporting.facts import Facts
from img2dataset.reporting.findings.counting import finding_of_rows, hosts_with, rows_beginning
from img2dataset.reporting.findings.finding import Finding, FindingKind, Rule
from img2dataset.reporting.surroundings import Surroundings


def opt_outs(facts: Facts, surroundings: Surroundings) -> Finding | None:
    rows = rows_beginning(facts, "opt-out: ")
    return finding_of_rows(
        facts,
        FindingKind.OPT_OUTS,
        rows,
        "are not to be used, by their sites or by what stands in them",
        "the answers, files of their sites (robots.txt, tdmrep.json) or the images themselves say so",
        "nothing: it is their right",
        hosts_with(facts, "opt-out: "),
    )


def sold(facts: Facts, surroundings: Surroundings) -> Finding | None:
    return finding_of_rows(
        facts,
        FindingKind.SOLD,
        rows_beginning(facts, PAYMENT_REQUIRED),
        "are for sale (402)",
        "their sites want to be paid by programs; nothing was paid",
        "ask the owners of the sites for a licence; img2dataset consent adds up the prices that they named",
        hosts_with(facts, PAYMENT_REQUIRED),
    )


RULES: tuple[Rule, ...] = (opt_outs, sold)
