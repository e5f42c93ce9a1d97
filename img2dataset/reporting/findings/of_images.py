"""What findings say of rows whose answer is not stored, and of shards. One function a finding."""

from __future__ import annotations

from img2dataset import failures
from img2dataset.counted import counted
from img2dataset.reporting.facts import Facts
from img2dataset.reporting.findings.counting import (
    finding_of_rows,
    rows_beginning,
    rows_with,
)
from img2dataset.reporting.findings.finding import Finding, FindingKind, Rule
from img2dataset.reporting.surroundings import Surroundings

# Fewer rows say nothing.
LEAST_ROWS = 20


def not_images(facts: Facts, surroundings: Surroundings) -> Finding | None:
    rows = rows_with(facts, (failures.NOT_AN_IMAGE,))
    pages = facts.not_images.get("HTML", 0)
    if pages > rows / 2:
        cause = "they are web pages: hosts that show a page in place of an image that is gone, or that wants"
        cause += " a login or a referer; or the URLs are of pages"
    else:
        kinds = ", ".join(f"{name} ({n:,})" for name, n in facts.not_images.most_common(3))
        cause = f"their hosts send something else: {kinds or 'not known what'}"
    found = finding_of_rows(
        facts,
        FindingKind.NOT_IMAGES,
        rows,
        "were answered with something that is no image",
        cause,
        "see that the column has the URLs of images; the metadata names the rows (decode: not an image)",
    )
    if found is not None:
        found.evidence["looks_like"] = dict(facts.not_images)
    return found


def unreadable(facts: Facts, surroundings: Surroundings) -> Finding | None:
    rows = rows_with(facts, (failures.TRUNCATED, failures.CORRUPT)) + rows_beginning(
        facts, failures.UNSUPPORTED
    )
    return finding_of_rows(
        facts,
        FindingKind.UNREADABLE,
        rows,
        "are images that cannot be decoded",
        "they are cut short, broken, or of a format that is not read (SVG, HEIC, …)",
        "nothing brings them back",
    )


def filtered(facts: Facts, surroundings: Surroundings) -> Finding | None:
    kinds = (failures.TOO_SMALL, failures.AREA_TOO_LARGE, failures.ASPECT_RATIO_TOO_LARGE)
    rows = rows_with(facts, kinds)
    names = ("min_image_size", "max_image_area", "max_aspect_ratio")
    set_to = ", ".join(
        f"--{name} {surroundings.options[name]:g}" for name in names if name in surroundings.options
    )
    return finding_of_rows(
        facts,
        FindingKind.FILTERED,
        rows,
        "were downloaded and left out by your filters",
        f"{set_to or 'the filters'} leave them out",
        "other values of --min_image_size, --max_image_area and --max_aspect_ratio, if that is too many",
    )


def hashes(facts: Facts, surroundings: Surroundings) -> Finding | None:
    rows = rows_with(facts, (failures.HASH_MISMATCH,))
    return finding_of_rows(
        facts,
        FindingKind.HASHES,
        rows,
        "are other bytes than the list says",
        "the image behind the URL has been replaced, or the list's hash is of another kind",
        "--verify_hash names the column and the kind of hash; without it, what is there now is taken",
    )


def too_large(facts: Facts, surroundings: Surroundings) -> Finding | None:
    rows = rows_beginning(facts, "too large: ")
    return finding_of_rows(
        facts,
        FindingKind.TOO_LARGE,
        rows,
        "are larger than the bounds",
        "their body or their pixels are beyond what one image may take",
        "a higher --max_download_bytes or --max_decoded_pixels",
    )


def own_errors(facts: Facts, surroundings: Surroundings) -> Finding | None:
    rows = rows_with(facts, (failures.INTERNAL_ERROR, failures.OUT_OF_MEMORY, failures.OUT_OF_RESOURCES))
    rows += rows_beginning(facts, "internal:")
    return finding_of_rows(
        facts,
        FindingKind.OWN_ERRORS,
        rows,
        "failed by an error of this program or this machine",
        "a fault of this program, or not enough memory or descriptors",
        "the log has the error: report it; --incremental_mode retry_failed tries them again",
    )


# Beginnings of failures that are rare, and that no other finding is about.
_OTHERS = (
    *(
        "invalid source: ",
        "invalid bbox",
        "invalid row: ",
        "encode: ",
        failures.OF_SESSION,
        failures.NOT_TRIED,
    ),
    failures.TOO_SMALL_FOR_BUCKETS,
)


def other_failures(facts: Facts, surroundings: Surroundings) -> Finding | None:
    rows = rows_beginning(facts, *_OTHERS)
    messages = [message for message in facts.messages if message.startswith(_OTHERS)]
    return finding_of_rows(
        facts,
        FindingKind.OTHER_FAILURES,
        rows,
        "failed for other reasons",
        ", ".join(messages[:5]),
        "docs/failures.md has each of them, and what can be done",
    )


def shards_failed(facts: Facts, surroundings: Surroundings) -> Finding | None:
    if not facts.failed_shards:
        return None
    reason = facts.errors.most_common(1)[0][0] if facts.errors else "not known"
    share = facts.failed_shards / (facts.shards + facts.failed_shards)
    return Finding(
        FindingKind.SHARDS_FAILED,
        max(0.5, share),
        f"{counted(facts.failed_shards, 'shard')} could not be made",
        f"most often: {reason}",
        "the same command tries them again, once the reason is mended",
        {"shards": facts.failed_shards, "errors": dict(facts.errors.most_common(5))},
    )


def duplicates(facts: Facts, surroundings: Surroundings) -> Finding | None:
    share = facts.repeated / facts.measured if facts.measured else 0.0
    if facts.measured < LEAST_ROWS:
        return None
    return Finding(
        FindingKind.DUPLICATES,
        share / 2,
        f"{facts.repeated:,} of {counted(facts.measured, 'row')} ({share:.0%}) repeat a URL of their shard",
        "the list has rows twice; each URL of a shard is downloaded once, and stored for all of its rows",
        "take repeated URLs out of the list, if each image is to be there once",
        {"rows": facts.repeated, "share": round(share, 4)},
    )


RULES: tuple[Rule, ...] = (
    not_images,
    unreadable,
    filtered,
    hashes,
    too_large,
    own_errors,
    other_failures,
    shards_failed,
    duplicates,
)
