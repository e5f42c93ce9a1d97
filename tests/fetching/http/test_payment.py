"""402: what a site sells is not asked for again, and the price it names is kept."""

from __future__ import annotations

import pickle

import pytest

from img2dataset.failures import PASSING, PAYMENT_REQUIRED, is_retried, of_payment, of_status, of_text
from tests.fetching.download_all import failure_of
from tests.servers import ImageServer


@pytest.mark.parametrize(
    ("headers", "failure"),
    [
        ([("crawler-price", "USD 0.01")], "HTTP 402: USD 0.01"),
        ([("Crawler-Price", " eur  12 ")], "HTTP 402: EUR 12"),
        ([("crawler-price", "USD 0.01"), ("crawler-price", "USD 5")], "HTTP 402: USD 0.01"),
        ([("crawler-price", "USD")], "HTTP 402"),
        ([("crawler-price", "USD 0.01; call me")], "HTTP 402"),
        ([("crawler-price", "USD -1")], "HTTP 402"),
        ([("crawler-price", "USD " + "9" * 10)], "HTTP 402"),
        ([("crawler-price", "")], "HTTP 402"),
        ([("Retry-After", "0")], "HTTP 402"),
        ([], "HTTP 402"),
    ],
)
def test_the_price_is_kept_and_nothing_is_asked_again(headers: list[tuple[str, str]], failure: str) -> None:
    with ImageServer() as server:
        url = server.put("/sold.jpg", b"pay", "text/plain", status=402, headers=headers)
        assert failure_of(url, retries=3) == failure
        assert server.count("/sold.jpg") == 1


@pytest.mark.parametrize("price", [None, "USD 0.01", "no price"])
def test_it_is_a_kind_of_its_own_that_does_not_pass(price: str | None) -> None:
    failure = of_payment(price)
    assert of_status(402) == PAYMENT_REQUIRED
    assert failure.kind.failure_class == "HTTP 402"
    assert (failure.kind.again, failure.kind.later, is_retried(failure, PASSING)) == (False,) * 3
    for same in (of_text(failure), pickle.loads(pickle.dumps(failure))):
        assert (same, same.kind) == (failure, failure.kind)
