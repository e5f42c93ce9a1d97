"""The servers do what their documentation says, seen by another client than the one under test."""

from __future__ import annotations

import http.client
import ssl
import urllib.error
import urllib.request

import pytest

from tests.pictures import photograph
from tests.servers import ImageServer, Nginx, TestAuthority


def test_what_is_put_is_served_counted_and_reachable_as_many_hosts(image_server: ImageServer) -> None:
    url = image_server.put("/servers/a.jpg", photograph(64, 48), headers=[("X-Own", "yes")])
    for address in (url, url + "?query", image_server.url("/servers/a.jpg", host=1)):
        with urllib.request.urlopen(address, timeout=60) as answer:
            assert answer.read() == photograph(64, 48)
            assert answer.headers["X-Own"] == "yes"
    assert image_server.count("/servers/a.jpg") == 3
    assert "User-Agent: Python-urllib" in (image_server.last_request("/servers/a.jpg") or "")


def test_one_connection_carries_many_requests(image_server: ImageServer) -> None:
    image_server.put("/servers/kept.jpg", b"kept")
    before = image_server.statistics()["connections"]
    connection = http.client.HTTPConnection("127.0.0.1", image_server.port, timeout=60)
    for _ in range(3):
        connection.request("GET", "/servers/kept.jpg")
        assert connection.getresponse().read() == b"kept"
    connection.close()
    assert image_server.statistics()["connections"] == before + 1


def test_https_is_proven_by_the_test_authority_only(
    https_server: ImageServer, certificates: TestAuthority
) -> None:
    url = https_server.put("/servers/secret.jpg", b"secret")
    trusting = ssl.create_default_context(cafile=certificates.authority_file)
    with urllib.request.urlopen(url, timeout=60, context=trusting) as answer:
        assert answer.read() == b"secret"
    with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
        urllib.request.urlopen(url, timeout=60)


def test_a_flaky_resource_fails_the_asked_number_of_times(image_server: ImageServer) -> None:
    url = image_server.url("/flaky/servers?fail=1&status=500")
    with pytest.raises(urllib.error.HTTPError, match="500"):
        urllib.request.urlopen(url, timeout=60)
    with urllib.request.urlopen(url, timeout=60) as answer:
        assert answer.read()


def test_nginx_serves_its_folder(nginx: Nginx, certificates: TestAuthority) -> None:
    (nginx.folder / "a.jpg").write_bytes(b"file")
    trusting = ssl.create_default_context(cafile=certificates.authority_file)
    for address in (nginx.http, nginx.https, nginx.http2):
        context = trusting if address.startswith("https") else None
        with urllib.request.urlopen(f"{address}/a.jpg", timeout=60, context=context) as answer:
            assert answer.read() == b"file"
