"""Whether a request goes through a proxy is decided for each, and with it what is checked of its address."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from img2dataset.fetching import load_access
from img2dataset.fetching.http.destinations import Proxies
from tests.fetching.download_all import download, failure_of
from tests.servers import ImageServer, Proxy

VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with Proxy() as proxy:
        yield proxy


P = "http://proxy:1"


@pytest.mark.parametrize(
    ("environment", "uri", "expected"),
    [
        ({}, "http://a/x", ""),
        ({"http_proxy": P}, "http://a/x", P),
        ({"http_proxy": P}, "https://a/x", ""),
        ({"HTTP_PROXY": P}, "http://a/x", ""),
        ({"https_proxy": P}, "http://a/x", ""),
        ({"HTTPS_PROXY": P}, "https://a/x", P),
        ({"all_proxy": P}, "http://a/x", P),
        ({"ALL_PROXY": P}, "https://a/x", P),
        ({"http_proxy": P, "no_proxy": "*"}, "http://a/x", ""),
        ({"http_proxy": P, "no_proxy": "a.example"}, "http://a.example/x", ""),
        ({"http_proxy": P, "no_proxy": "a.example"}, "http://b.A.example:81/x", ""),
        ({"http_proxy": P, "no_proxy": ".a.example"}, "http://a.example/x", ""),
        ({"http_proxy": P, "no_proxy": "a.example"}, "http://aa.example/x", P),
        ({"http_proxy": P, "NO_PROXY": "x, b.example c.example"}, "http://c.example./x", ""),
        ({"http_proxy": P, "no_proxy": "127.0.0.0/8"}, "http://127.3.2.1/x", ""),
        ({"http_proxy": P, "no_proxy": "127.0.0.1"}, "http://127.0.0.2/x", P),
        ({"http_proxy": P, "no_proxy": "::1"}, "http://[::1]:80/x", ""),
    ],
)
def test_the_environment_is_read_as_curl_reads_it(
    environment: dict[str, str], uri: str, expected: str
) -> None:
    assert Proxies(load_access(environment={}), environment).of(uri) == expected


@pytest.mark.parametrize(
    ("name", "value"),
    [("https_proxy", "proxy"), ("no_proxy", "127.0.0.1"), ("no_proxy", "*"), ("HTTPS_PROXY", "proxy")],
)
def test_a_direct_request_is_checked_though_there_is_a_proxy_for_others(
    name: str, value: str, image_server: ImageServer, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, proxy.url("http") if value == "proxy" else value)
    if name == "no_proxy":
        monkeypatch.setenv("http_proxy", proxy.url("http"))
    url = image_server.put("/direct/a.jpg", b"picture")
    assert failure_of(url, private_addresses="deny") == "address: loopback"
    assert download(url).body == b"picture"
    assert not proxy.seen


def test_the_users_own_proxy_leaves_out_what_no_proxy_names(
    image_server: ImageServer, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    access = load_access(proxy=proxy.url("http"))
    url = image_server.put("/own/a.jpg", b"picture")
    assert download(url, access=access).body == b"picture"
    assert len(proxy.seen) == 1
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert download(url, access=access).body == b"picture"
    assert failure_of(url, access=access, private_addresses="deny") == "address: loopback"
    assert len(proxy.seen) == 1


def test_names_of_direct_requests_are_found_here(
    image_server: ImageServer, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", proxy.url("http"))
    image_server.put("/name/a.jpg", b"picture")
    assert download(image_server.url("/name/a.jpg", "localhost")).body == b"picture"
