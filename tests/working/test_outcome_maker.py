"""What becomes of a row's download: its own failure and nobody else's."""

from __future__ import annotations

import hashlib
import logging
from typing import Any

import pytest

from img2dataset import failures
from img2dataset.imaging import ImageProcessor
from img2dataset.options import ImageOptions
from img2dataset.types import FAILED_TO_DOWNLOAD, FAILED_TO_RESIZE, SUCCESS
from img2dataset.working import outcome_maker
from img2dataset.working.outcome_maker import OutcomeMaker
from img2dataset.working.outcomes import Outcome, RowTask
from tests.imaging.consent.builders import box_segments, jpeg, saying, training, xmp_segment
from tests.pictures import photograph


class FaultyProcessor(ImageProcessor):
    """Has a fault that images of one size bring out."""

    def __call__(self, body: bytes | bytearray, boxes: Any = None) -> Any:
        if body == photograph(33, 33):
            raise IndexError("list index out of range")
        return super().__call__(body, boxes)


def test_a_fault_of_the_program_fails_the_rows_that_bring_it_out_and_is_told_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    maker = OutcomeMaker(
        FaultyProcessor(ImageOptions()), "sha256", verify_hash=False, blur=False, heeds_consent_in_bytes=False
    )
    with caplog.at_level(logging.ERROR):
        outcomes = [
            outcome
            for index, side in enumerate((32, 33, 34, 33))
            for outcome in maker.outcomes(photograph(side, side), None, [RowTask(index)])
        ]
    assert [outcome.status for outcome in outcomes] == [SUCCESS, FAILED_TO_RESIZE, SUCCESS, FAILED_TO_RESIZE]
    assert outcomes[1].failure == outcomes[3].failure == "decode: internal error"
    assert outcomes[1].digest is not None
    assert len(caplog.records) == 1


def made(body: bytes, tasks: list[RowTask], heeds: bool, verify_hash: bool = False) -> list[Outcome]:
    maker = OutcomeMaker(
        ImageProcessor(ImageOptions()),
        "sha256",
        verify_hash=verify_hash,
        blur=False,
        heeds_consent_in_bytes=heeds,
    )
    return list(maker.outcomes(body, None, tasks))


def test_an_image_that_refuses_training_is_left_out_where_that_is_heeded() -> None:
    body = jpeg(xmp_segment(saying("DMI-PROHIBITED")))
    tasks = [RowTask(0), RowTask(1)]
    assert [outcome.status for outcome in made(body, tasks, heeds=False)] == [SUCCESS, SUCCESS]
    refused = made(body, tasks, heeds=True)
    assert [(outcome.status, outcome.failure) for outcome in refused] == [
        (FAILED_TO_DOWNLOAD, failures.OPT_OUT_IPTC)
    ] * 2
    assert [outcome.downloaded for outcome in refused] == [len(body), 0]
    assert all(outcome.image is None and outcome.digest is None for outcome in refused)


def test_other_bytes_than_expected_are_told_before_what_they_say() -> None:
    body = jpeg(*box_segments(training("notAllowed")))
    right = hashlib.sha256(body).hexdigest()
    tasks = [RowTask(0, expected_hash="00"), RowTask(1, expected_hash=right)]
    outcomes = made(body, tasks, heeds=True, verify_hash=True)
    assert [outcome.failure for outcome in outcomes] == [failures.HASH_MISMATCH, failures.OPT_OUT_C2PA]


def test_bytes_are_not_looked_at_where_that_is_not_heeded(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(body: bytes) -> list[Any]:
        raise IndexError("looked at")

    monkeypatch.setattr(outcome_maker, "signals_in", fail)
    assert made(photograph(32, 32), [RowTask(0)], heeds=False)[0].status == SUCCESS
    # Where it is, a fault of the search is that row's failure: whether it may be taken is not known.
    (outcome,) = made(photograph(32, 32), [RowTask(0)], heeds=True)
    assert (outcome.status, outcome.failure) == (FAILED_TO_DOWNLOAD, failures.INTERNAL_ERROR)
