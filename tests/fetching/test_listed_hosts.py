"""The host of a URL as it stands in a list is the one that is asked."""

from __future__ import annotations

import pytest

from img2dataset.fetching.listed_hosts import _of_authority, listed_host
from img2dataset.fetching.urls import host_and_port, to_uri

# What browsers read too, and with it the program.
ASKED = {
    "http://Example.org/a.jpg": "example.org",
    "HTTPS://user:secret@example.org:8443/a.jpg": "example.org",
    "https://example.org?size=large": "example.org",
    "https://example.org#top": "example.org",
    "https://example.org./a.jpg": "example.org",
    "http:\\\\example.org\\a.jpg": "example.org",
    "http:///example.org/a.jpg": "example.org",
    "http:example.org/a.jpg": "example.org",
    " http://example.org/a.jpg ": "example.org",
    "http://example.org \n": "example.org",
    "http://example.org?a ": "example.org",
    "http://example.org\\a.jpg": "example.org",
    "http://b\u00fccher.example/a.jpg": "xn--bcher-kva.example",
    "http://exa%6Dple.org/a.jpg": "example.org",
    "http://0x7f.1/a.jpg": "127.0.0.1",
    "http://[2001:DB8::1]:80/a.jpg": "[2001:db8::1]",
}
NOT_ASKED = {
    "http://exa mple.org:80/a.jpg": "exa mple.org",
    "ftp://Example.org/a.jpg": "example.org",
    "http://" + "a" * 3000 + "/a.jpg": "a" * 253,
    "data:image/png;base64,aa//bb://cc/dd": "",
    "http://": "",
    "a.jpg": "",
    "": "",
    None: "",
}


@pytest.mark.parametrize(("url", "host"), ASKED.items())
def test_the_host_of_a_listed_url_is_the_one_that_is_asked(url: str, host: str) -> None:
    assert listed_host(url) == host
    assert host_and_port(to_uri(url))[0].removesuffix(".").lower() == host


def test_what_is_long_before_the_first_slash_is_not_remembered() -> None:
    remembered = _of_authority.cache_info().currsize
    for number in range(3):
        assert listed_host(f"http://example.org?{number}{'a' * 10_000}") == "example.org"
    assert _of_authority.cache_info().currsize == remembered


@pytest.mark.parametrize(("url", "host"), NOT_ASKED.items())
def test_of_a_url_that_is_not_asked_it_is_what_stands_there(url: str | None, host: str) -> None:
    assert listed_host(url) == host
