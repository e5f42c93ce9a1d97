"""What becomes of a row's download: its own failure and nobody else's."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from img2dataset.imaging import ImageProcessor
from img2dataset.options import ImageOptions
from img2dataset.types import FAILED_TO_RESIZE, SUCCESS, Fetched, Row
from img2dataset.working.outcome_maker import OutcomeMaker
from img2dataset.working.outcomes import RowTask
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
    maker = OutcomeMaker(FaultyProcessor(ImageOptions()), "sha256", verify_hash=False, blur=False)
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
