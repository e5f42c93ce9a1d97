"""What one shard says of its rows."""

from __future__ import annotations

import pytest

from img2dataset.working.open_shard import host_named_by


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://Example.org/a.jpg", "example.org"),
        ("https://user:secret@example.org:8443/a.jpg", "example.org"),
        ("https://example.org?size=large", "example.org"),
        ("https://example.org#top", "example.org"),
        ("http:\\\\example.org\\a.jpg", ""),
        ("http://[2001:db8::1]:80/a.jpg", "[2001:db8::1]"),
        ("a.jpg", ""),
        (None, ""),
    ],
)
def test_the_host_that_a_url_names(url: str | None, host: str) -> None:
    assert host_named_by(url) == host
