"""Proxies, headers, cookies, credentials and client certificates, against real servers and proxies."""

from __future__ import annotations

import contextlib
import json
import pickle
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from img2dataset.errors import OptionError
from img2dataset.fetching import (
    FetchSettings,
    load_access,
    masked_header,
    masked_proxy,
)
from img2dataset.fetching.http.cookies import CookieJar, load_cookies
from tests.fetching.download_all import download, download_all, failure_of
from tests.servers import ImageServer, Proxy, TestAuthority

SECRETS = ("hunter2", "t0ken", "s3cret", "c00kie", "pr0xy")


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with Proxy() as proxy:
        yield proxy


@pytest.fixture
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "http_proxy",
        "https_proxy",
        "HTTPS_PROXY",
        "all_proxy",
        "ALL_PROXY",
        "no_proxy",
        "NO_PROXY",
    ):
        monkeypatch.delenv(name, raising=False)


def seen_by(server: ImageServer, path: str) -> str:
    return server.last_request(path) or ""


# Proxies


@pytest.mark.parametrize("scheme", ["http", "socks5", "socks5h"])
def test_http_goes_through_each_kind_of_proxy(image_server: ImageServer, proxy: Proxy, scheme: str) -> None:
    url = image_server.put("/proxied.jpg", b"proxied")
    assert download(url, access=load_access(proxy=proxy.url(scheme))).body == b"proxied"
    assert len(proxy.seen) == 1
    assert proxy.seen[0].startswith("GET http://127.0.0.1" if scheme == "http" else "SOCKS5 127.0.0.1")


@pytest.mark.parametrize("scheme", ["http", "socks5h"])
def test_https_goes_through_a_tunnel_and_is_verified_as_ever(
    https_server: ImageServer, certificates: TestAuthority, proxy: Proxy, scheme: str
) -> None:
    url = https_server.put("/tunnel.jpg", b"tunnel")
    access = load_access(proxy=proxy.url(scheme))
    assert download(url, access=access, ca_bundle=certificates.authority_file).body == b"tunnel"
    assert failure_of(url, access=access) == "TLS: issuer neither sent nor known"
    assert proxy.seen[0].startswith("CONNECT 127.0.0.1" if scheme == "http" else "SOCKS5")


@pytest.mark.parametrize("scheme", ["http", "socks5"])
def test_a_proxy_may_want_a_login(image_server: ImageServer, scheme: str) -> None:
    url = image_server.put("/login.jpg", b"login")
    with Proxy("me", "pr0xy") as proxy:
        assert download(url, access=load_access(proxy=proxy.url(scheme))).body == b"login"
        refused = failure_of(url, access=load_access(proxy=proxy.url(scheme, with_login=False)))
        assert refused == ("HTTP 407" if scheme == "http" else "connection: proxy")
    assert "roxy-" not in seen_by(image_server, "/login.jpg")


def test_a_proxy_that_refuses_a_tunnel_is_named_as_the_cause(https_server: ImageServer) -> None:
    with Proxy("me", "pr0xy") as proxy:
        access = load_access(proxy=proxy.url("http", with_login=False))
        assert failure_of(https_server.url("/chunked"), access=access) == "connection: proxy"


def test_several_proxies_are_used_in_turn(image_server: ImageServer, proxy: Proxy) -> None:
    url = image_server.put("/turn.jpg", b"turn")
    with Proxy() as other:
        access = load_access(proxy=[proxy.url("http"), other.url("http")])
        download_all([url] * 20, access=access)
        assert len(proxy.seen) == len(other.seen) == 10


def test_a_dead_proxy_is_not_held_against_the_hosts(image_server: ImageServer) -> None:
    with socket.socket() as held:  # bound, so that nobody else can listen there
        held.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{held.getsockname()[1]}"
        outcomes = download_all([image_server.url("/chunked")] * 30, access=load_access(proxy=dead))
    assert {outcome.failure for outcome in outcomes} == {"connection: proxy"}


@pytest.mark.usefixtures("no_environment")
def test_without_an_option_the_environment_names_the_proxy(
    image_server: ImageServer, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = image_server.put("/environment.jpg", b"environment")
    monkeypatch.setenv("http_proxy", proxy.url("http"))
    assert download(url).body == b"environment"
    assert len(proxy.seen) == 1
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert download(url).body == b"environment"
    assert len(proxy.seen) == 1
    monkeypatch.delenv("no_proxy")
    with Proxy() as other:
        assert download(url, access=load_access(proxy=other.url("http"))).body == b"environment"
        assert (len(proxy.seen), len(other.seen)) == (1, 1)


# What is sent with a request, and to whom


def test_extra_headers_reach_the_hosts_of_the_list(image_server: ImageServer) -> None:
    url = image_server.put("/extra.jpg", b"extra")
    download(url, access=load_access(extra_headers=["X-Api-Key: t0ken", "Accept: image/webp"]))
    assert "X-Api-Key: t0ken" in seen_by(image_server, "/extra.jpg")
    assert "Accept: image/webp" in seen_by(image_server, "/extra.jpg")


def redirect_elsewhere(server: ImageServer, path: str) -> str:
    """An address of host 1 that leads to ``path`` of host 2."""
    server.put(path, b"there")
    return server.url(f"/redirect?to={quote(server.url(path, host=2))}")


def test_nothing_secret_goes_to_another_host_with_a_redirect(
    image_server: ImageServer, tmp_path: Path
) -> None:
    credentials, cookies = tmp_path / "credentials.json", tmp_path / "cookies.txt"
    # The other host's own credentials stay behind too: the list did not name it.
    credentials.write_text(
        json.dumps({f"127.0.0.{n}:{image_server.port}": {"bearer": "t0ken"} for n in (1, 2)})
    )
    cookies.write_text("127.0.0.1\tFALSE\t/\tFALSE\t0\tid\tc00kie\n")
    access = load_access(
        extra_headers=["X-Api-Key: s3cret", "Accept-Language: de"],
        credentials_file=str(credentials),
        cookies=str(cookies),
    )
    # One handle for all: what was set for one request must be gone for the next.
    urls = [redirect_elsewhere(image_server, "/leak.jpg"), image_server.url("/leak.jpg", host=3)] * 3
    assert {bytes(outcome.body or b"") for outcome in download_all(urls, access=access, thread_count=1)} == {
        b"there"
    }
    first = seen_by(image_server, "/redirect")
    assert all(
        text in first for text in ("Authorization: Bearer t0ken", "X-Api-Key: s3cret", "Cookie: id=c00kie")
    )
    download(urls[0], access=access)
    second = seen_by(image_server, "/leak.jpg")
    assert "Accept-Language: de" in second
    assert not [name for name in ("Authorization", "X-Api-Key", "Cookie") if name in second]
    download(urls[1], access=access)
    third = seen_by(image_server, "/leak.jpg")
    assert "X-Api-Key: s3cret" in third
    assert not [name for name in ("Authorization", "Cookie") if name in third]


def test_a_redirect_within_the_host_keeps_its_credentials(image_server: ImageServer, tmp_path: Path) -> None:
    credentials = tmp_path / "credentials.json"
    credentials.write_text(json.dumps({f"127.0.0.1:{image_server.port}": {"bearer": "t0ken"}}))
    image_server.put("/within.jpg", b"within")
    access = load_access(credentials_file=str(credentials))
    download(image_server.url("/redirect?to=/within.jpg"), access=access)
    assert "Authorization: Bearer t0ken" in seen_by(image_server, "/within.jpg")


@pytest.mark.parametrize(
    ("text", "header"),
    [
        ("machine 127.0.0.1 login me password hunter2\n", "Basic bWU6aHVudGVyMg=="),
        ('{"127.0.0.1:PORT": {"user": "me", "password": "hunter2"}}', "Basic bWU6aHVudGVyMg=="),
        ('{"http://127.0.0.1:PORT": {"bearer": "t0ken"}}', "Bearer t0ken"),
        ('{"https://127.0.0.1:PORT": {"bearer": "t0ken"}}', None),
        ('{"other.example": {"bearer": "t0ken"}}', None),
    ],
)
def test_credentials_are_for_the_host_they_name(
    image_server: ImageServer, tmp_path: Path, text: str, header: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    image_server.put("/named.jpg", b"named")
    file = tmp_path / "credentials"
    file.write_text(
        text.replace("PORT", str(image_server.port)).replace(
            "machine 127.0.0.1", f"machine 127.0.0.1:{image_server.port}"
        )
    )
    monkeypatch.setenv("IMG2DATASET_CREDENTIALS", str(file))
    download(image_server.url("/named.jpg"), access=load_access())
    request = seen_by(image_server, "/named.jpg")
    assert (f"Authorization: {header}" in request) if header else ("Authorization" not in request)


def test_credentials_go_in_clear_text_only_where_the_file_says_so(tmp_path: Path) -> None:
    from img2dataset.fetching.http.credentials import Credentials, load_credentials

    file = tmp_path / "credentials"
    file.write_text(
        '{"a.example": {"bearer": "one"}, "http://b.example": {"bearer": "two"}, "nas": {"bearer": "three"}}'
    )
    credentials = Credentials(load_credentials(str(file)))
    assert credentials.header_for("https://a.example/x") == "Bearer one"
    assert credentials.header_for("http://a.example/x") is None
    assert credentials.header_for("http://b.example/x") == "Bearer two"
    assert credentials.header_for("https://b.example/x") is None
    assert credentials.header_for("http://nas/x") == "Bearer three"
    assert credentials.header_for("https://sub.a.example/x") is None
    assert credentials.header_for("https://a.example.evil/x") is None
    assert credentials.header_for("https://me:mine@a.example/x") is None


def test_cookies_match_as_browsers_match_them(tmp_path: Path) -> None:
    file = tmp_path / "cookies.txt"
    later, past = int(time.time()) + 1000, int(time.time()) - 1000
    file.write_text(
        "# Netscape HTTP Cookie File\n\n"
        f".a.example\tTRUE\t/\tFALSE\t{later}\tall\t1\n"
        "#HttpOnly_a.example\tFALSE\t/in\tFALSE\t0\tin\t2\n"
        "a.example\tFALSE\t/\tTRUE\t0\tsafe\t3\n"
        f"a.example\tFALSE\t/\tFALSE\t{past}\told\t4\n"
    )
    jar = CookieJar(load_cookies(str(file)))
    now = time.time()
    assert jar.header_for("http://a.example/x", now) == "all=1"
    assert jar.header_for("https://a.example/in/x", now) == "in=2; all=1; safe=3"
    assert jar.header_for("http://a.example/inside", now) == "all=1"
    assert jar.header_for("http://sub.a.example/x", now) == "all=1"
    assert jar.header_for("http://nota.example/x", now) is None


def test_cookies_of_servers_are_not_kept(image_server: ImageServer) -> None:
    url = image_server.put("/setter.jpg", b"setter", headers=[("Set-Cookie", "track=1")])
    download_all([url] * 3, thread_count=1)
    assert "Cookie" not in seen_by(image_server, "/setter.jpg")


# Client certificates


@pytest.fixture(scope="module")
def strict_server(certificates: TestAuthority) -> Iterator[ImageServer]:
    with ImageServer(certificates.certificate(), certificates.authority_file) as server:
        yield server


def refused_without_certificate(failure: str | None) -> bool:
    # The server of these tests closes without a word, as many do.
    return (failure or "").startswith(("TLS: ", "connection: "))


def test_a_server_that_wants_a_client_certificate_gets_it(
    strict_server: ImageServer, certificates: TestAuthority
) -> None:
    url = strict_server.put("/strict.jpg", b"strict")
    bundle = certificates.authority_file
    access = load_access(client_certificate=certificates.certificate("client.example"))
    assert download(url, ca_bundle=bundle, access=access).body == b"strict"
    assert refused_without_certificate(failure_of(url, ca_bundle=bundle))


def test_the_client_certificate_is_not_shown_after_a_redirect_to_another_host(
    strict_server: ImageServer, certificates: TestAuthority
) -> None:
    target = strict_server.put("/mine.jpg", b"mine").replace("127.0.0.1", "127.0.0.2")
    access = load_access(client_certificate=certificates.certificate("client.example"))
    settings: dict[str, Any] = {"ca_bundle": certificates.authority_file, "access": access}
    assert download(target, **settings).body == b"mine"
    leading = strict_server.url(f"/redirect?to={quote(target)}")
    assert refused_without_certificate(failure_of(leading, **settings))
    assert download(strict_server.url("/redirect?to=/mine.jpg"), **settings).body == b"mine"


def test_a_server_that_says_why_it_refuses_is_understood(certificates: TestAuthority) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=certificates.authority_file)
    context.load_cert_chain(certificates.certificate())
    context.verify_mode = ssl.CERT_REQUIRED
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def refuse() -> None:
            raw = listener.accept()[0]
            with raw, contextlib.suppress(OSError), raw.dup() as wire:
                with contextlib.suppress(OSError):
                    context.wrap_socket(wire, server_side=True)
                while raw.recv(1000):
                    pass  # closing with something unread would take the alert back

        thread = threading.Thread(target=refuse)
        thread.start()
        url = f"https://127.0.0.1:{listener.getsockname()[1]}/a.jpg"
        assert failure_of(url, ca_bundle=certificates.authority_file) == "TLS: client certificate"
        thread.join()


# Nothing shows


def test_no_secret_is_in_any_text_of_the_settings_yet_workers_get_them(tmp_path: Path) -> None:
    credentials, cookies = tmp_path / "netrc", tmp_path / "cookies"
    credentials.write_text("machine a.example login me password hunter2\n")
    cookies.write_text("a.example\tFALSE\t/\tFALSE\t0\tid\tc00kie\n")
    access = load_access(
        proxy="http://me:pr0xy@proxy.example:3128",
        extra_headers="X-Api-Key: t0ken",
        credentials_file=str(credentials),
        cookies=str(cookies),
    )
    settings = FetchSettings(access=access, adaptive_thread_count=False)
    shown = f"{settings} {settings!r} {access.proxies[0]} {access.cookies[0].pair:}"
    assert not [secret for secret in (*SECRETS, "aHVudGVyMg") if secret in shown]
    with pytest.raises(TypeError):
        json.dumps(access.proxies[0])
    assert (
        pickle.loads(pickle.dumps(settings)).access.proxies[0].reveal()
        == "http://me:pr0xy@proxy.example:3128"
    )


def test_masks_keep_what_may_be_written_down() -> None:
    assert masked_proxy("socks5://me:pr0xy@host:1") == "socks5://***@host:1"
    assert masked_proxy("http://host:1") == "http://host:1"
    assert masked_header("X-Api-Key: t0ken") == "X-Api-Key: ***"
    assert masked_header("Accept: image/png") == "Accept: image/png"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"proxy": "ftp://me:pr0xy@host:1"}, "ftp://"),
        ({"proxy": "proxy.example:3128"}, "http://host:port"),
        ({"proxy": "http://host:99999"}, "99999"),
        ({"proxy": "http://host:1/path"}, "path"),
        ({"extra_headers": "X-Api-Key"}, "Name: value"),
        ({"extra_headers": ["X-Api-Key: s3cret\r\nX-Other: 1"]}, "X-Api-Key"),
        ({"extra_headers": ["Host: a.example"]}, "Host"),
        ({"extra_headers": ["User-Agent: me"]}, "user_agent"),
        ({"extra_headers": ["Cookie: id=c00kie"]}, "cookies"),
        ({"cookies": "/nowhere/cookies.txt"}, "/nowhere/cookies.txt"),
        ({"credentials_file": "/nowhere/netrc"}, "/nowhere/netrc"),
        ({"client_certificate": "/nowhere/me.pem"}, "/nowhere/me.pem"),
        ({"client_key": str(Path(__file__).with_name("__init__.py"))}, "not PEM"),
    ],
)
def test_a_wrong_value_is_refused_with_the_way_out_and_without_the_secret(
    arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(OptionError) as refused:
        load_access(**arguments)
    assert message in str(refused.value)
    assert not [secret for secret in SECRETS if secret in str(refused.value)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("machine a.example login me passwort hunter2\n", "line 1"),
        ("default login me password hunter2\n", "every host"),
        ('{"a.example": {"bearer": "t0ken"', "JSON"),
        ('{"a.example": {"token": "t0ken"}}', "a.example"),
        ('{"a.example/path": {"bearer": "t0ken"}}', "a.example/path"),
        ('{"ftp://a.example": {"bearer": "t0ken"}}', "ftp://a.example"),
        ('{"a.example": {"bearer": "t0ken\\n"}}', "printable"),
        ('{"a.example": {"bearer": "t0ken\\ud800"}}', "printable"),
        ('{"a.example": {"user": "me", "password": "hunter2\\ud800"}}', "UTF-8"),
        ('{"a.example": {"user": "\\udfff", "password": "hunter2"}}', "UTF-8"),
        ('{"a.example": ' * 100_000, "JSON"),
    ],
)
def test_a_wrong_credentials_file_is_refused_without_quoting_it(
    tmp_path: Path, text: str, message: str
) -> None:
    file = tmp_path / "credentials"
    file.write_text(text)
    with pytest.raises(OptionError, match=str(file)) as refused:
        load_access(credentials_file=str(file))
    assert message in str(refused.value)
    assert not [secret for secret in SECRETS if secret in str(refused.value)]


def test_a_file_without_a_cookie_is_refused_without_quoting_it(tmp_path: Path) -> None:
    file = tmp_path / "cookies"
    file.write_text("# good\nid=c00kie\n")
    with pytest.raises(OptionError, match="has no cookie") as refused:
        load_access(cookies=str(file))
    assert "c00kie" not in str(refused.value)


def test_lines_that_are_no_cookies_are_left_out_and_told_of_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A mark at the beginning, expiries as some programs write them, text that no header takes, one twice."""
    file = tmp_path / "cookies"
    lines = [
        "a.example\tTRUE\t/\tFALSE\t0\tfirst\t1",
        "a.example\tTRUE\t/\tFALSE\t\tnever\t2",
        "a.example\tTRUE\t/\tFALSE\t4102444800.25\tlater\t3",
        "a.example\tTRUE\t/\tFALSE\t0\ttwice\told",
        "a.example\tTRUE\t/\tFALSE\t0\ttwice\tnew",
        "a.example\tTRUE\t/\tFALSE\t0\tnäme\t4",
        "a.example\tTRUE\t/\tFALSE\tsoon\twrong\t5",
        "a.example\tTRUE\t/\tFALSE\t.\tdot\t6",
        "no cookie",
    ]
    file.write_bytes(b"\xef\xbb\xbf" + "\n".join(lines).encode())
    jar = CookieJar(load_access(cookies=str(file)).cookies)
    sent = jar.header_for("http://a.example/x.jpg", 1e9)
    assert sent is not None
    assert sorted(sent.split("; ")) == ["first=1", "later=3", "never=2", "twice=new"]
    (record,) = caplog.records
    assert "4 lines of the cookie file" in record.getMessage()


@pytest.mark.parametrize(
    ("expiry", "expires"), [("", 0.0), ("0", 0.0), ("12.", 12.0), ("12.5", 12.5), (".5", 0.5)]
)
def test_an_expiry_may_be_written_in_several_ways(tmp_path: Path, expiry: str, expires: float) -> None:
    file = tmp_path / "cookies"
    file.write_text(f"a.example\tTRUE\t/\tFALSE\t{expiry}\tname\t1\n")
    (cookie,) = load_access(cookies=str(file)).cookies
    assert cookie.expires == expires


def test_one_line_that_is_no_cookie_is_said_in_the_singular(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "cookies"
    file.write_text("a.example\tTRUE\t/\tFALSE\t0\tname\t1\nno cookie\n")
    load_access(cookies=str(file))
    assert caplog.messages == [f"1 line of the cookie file {file} left out, being no cookie"]


def test_a_certificate_without_its_key_is_refused_at_the_start(
    tmp_path: Path, certificates: TestAuthority
) -> None:
    with pytest.raises(OptionError, match="client_key"):
        load_access(client_certificate=certificates.authority_file)
    locked = tmp_path / "locked.pem"
    locked.write_text("-----BEGIN ENCRYPTED PRIVATE KEY-----\n")
    with pytest.raises(OptionError, match="openssl"):
        load_access(client_certificate=str(locked))
