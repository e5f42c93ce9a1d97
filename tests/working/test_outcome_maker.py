"""What becomes of a row's download: its own failure and nobody else's."""

from __future__ import annotations

import hashlib
import logging
import time
from typing import Any

import pytest

from img2dataset import failures
from img2dataset.imaging import ImageProcessor
from img2dataset.options import ImageOptions
from img2dataset.types import FAILED_TO_DOWNLOAD, FAILED_TO_RESIZE, SUCCESS, ConsentSignal, Fetched, Row
from img2dataset.working import outcome_maker
from img2dataset.working.outcome_maker import OutcomeMaker
from img2dataset.working.outcomes import Outcome, RowTask
from tests.imaging.consent.builders import box_segments, jpeg, saying, training, xmp_segment
from tests.pictures import photograph

IN_HEADER = ConsentSignal("content-usage", "header", "train-ai=y", "yes", True, 1.0)


class FaultyProcessor(ImageProcessor):
    """Has a fault that images of one size bring out."""

    def __call__(self, body: bytes | bytearray, boxes: Any = None) -> Any:
        if body == photograph(33, 33):
            raise IndexError("list index out of range")
        return super().__call__(body, boxes)


def maker_with(processor: ImageProcessor, **settings: bool) -> OutcomeMaker:
    usual = {"verify_hash": False, "blur": False, "heeds_consent": False, "records_consent": False}
    return OutcomeMaker(processor, "sha256", **{**usual, **settings})


def made(body: bytes, tasks: list[RowTask], **settings: bool) -> list[Outcome]:
    maker = maker_with(ImageProcessor(ImageOptions()), **settings)
    return list(maker.outcomes(Fetched(Row(0, 0, ""), body, signals=(IN_HEADER,)), tasks))


def test_a_fault_of_the_program_fails_the_rows_that_bring_it_out_and_is_told_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    maker = maker_with(FaultyProcessor(ImageOptions()))
    with caplog.at_level(logging.ERROR):
        outcomes = [
            outcome
            for index, side in enumerate((32, 33, 34, 33))
            for outcome in maker.outcomes(
                Fetched(Row(0, index, ""), photograph(side, side)), [RowTask(index)]
            )
        ]
    assert [outcome.status for outcome in outcomes] == [SUCCESS, FAILED_TO_RESIZE, SUCCESS, FAILED_TO_RESIZE]
    assert outcomes[1].failure == outcomes[3].failure == "decode: internal error"
    assert outcomes[1].digest is not None
    assert len(caplog.records) == 1


def test_an_image_that_refuses_training_is_left_out_where_that_is_heeded() -> None:
    body = jpeg(xmp_segment(saying("DMI-PROHIBITED")))
    tasks = [RowTask(0), RowTask(1)]
    assert [outcome.status for outcome in made(body, tasks)] == [SUCCESS, SUCCESS]
    refused = made(body, tasks, heeds_consent=True)
    assert [(outcome.status, outcome.failure) for outcome in refused] == [
        (FAILED_TO_DOWNLOAD, failures.OPT_OUT_IPTC)
    ] * 2
    assert [outcome.downloaded for outcome in refused] == [len(body), 0]
    assert all(outcome.image is None and outcome.digest is None for outcome in refused)
    assert all(outcome.signals == (IN_HEADER,) for outcome in refused)


@pytest.mark.parametrize("heeds", [False, True])
def test_what_it_says_is_recorded_behind_what_was_said_before_it_was_there(heeds: bool) -> None:
    body = jpeg(xmp_segment(saying("DMI-ALLOWED")), *box_segments(training("notAllowed")))
    before = time.time()
    (outcome,) = made(body, [RowTask(0)], heeds_consent=heeds, records_consent=True)
    assert outcome.status == (FAILED_TO_DOWNLOAD if heeds else SUCCESS)
    first, *in_bytes = outcome.signals
    assert first == IN_HEADER
    assert [(each.signal, each.where, each.value, each.says, each.is_honoured) for each in in_bytes] == [
        ("c2pa", "c2pa manifest", "ai_training=notAllowed", "no", heeds),
        ("iptc-data-mining", "xmp", "DMI-ALLOWED", "yes", heeds),
    ]
    assert all(before <= each.seen_at <= time.time() for each in in_bytes)


def test_other_bytes_than_expected_are_told_before_what_they_say() -> None:
    body = jpeg(*box_segments(training("notAllowed")))
    right = hashlib.sha256(body).hexdigest()
    tasks = [RowTask(0, expected_hash="00"), RowTask(1, expected_hash=right)]
    outcomes = made(body, tasks, heeds_consent=True, verify_hash=True)
    assert [outcome.failure for outcome in outcomes] == [failures.HASH_MISMATCH, failures.OPT_OUT_C2PA]


def test_bytes_are_not_looked_at_where_nobody_asks_what_they_say(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(body: bytes) -> list[Any]:
        raise IndexError("looked at")

    monkeypatch.setattr(outcome_maker, "signals_in", fail)
    body, tasks = photograph(32, 32), [RowTask(0)]
    assert made(body, tasks)[0].status == SUCCESS
    # A fault of the search: whether it may be taken is not known.
    assert made(body, tasks, records_consent=True)[0].status == SUCCESS
    (outcome,) = made(body, tasks, heeds_consent=True)
    assert (outcome.status, outcome.failure) == (FAILED_TO_DOWNLOAD, failures.INTERNAL_ERROR)
