"""What a download does when servers behave, against real ones."""

from __future__ import annotations

import urllib.parse

import pytest

from img2dataset.version import __version__
from tests.fetching.download_all import download, download_all, failure_of
from tests.pictures import photograph
from tests.servers import ImageServer, Nginx, TestAuthority
from tests.servers.misbehaviours import SMALL_BODY


def test_many_bodies_arrive_whole_each_under_its_own_row(image_server: ImageServer) -> None:
    pictures = [photograph(200 + 50 * n, 150, seed=n) for n in range(10)]
    urls = [image_server.put(f"/many/{n}.jpg", picture) for n, picture in enumerate(pictures)]
    outcomes = download_all([f"{urls[n % 10]}?{n}" for n in range(500)], thread_count=32)
    assert [outcome.body for outcome in outcomes] == [pictures[n % 10] for n in range(500)]


@pytest.mark.parametrize("size", [1, 16_384, 65_536, 65_537, 1_000_000, 20_000_001])
@pytest.mark.parametrize("kind", ["long-body", "unsized"])
def test_a_body_of_any_size_arrives_whole(image_server: ImageServer, kind: str, size: int) -> None:
    expected = (bytes(range(256)) * (size // 256 + 1))[:size]
    assert download(image_server.url(f"/{kind}?size={size}")).body == expected


def test_connections_are_kept_and_used_again(image_server: ImageServer) -> None:
    url = image_server.put("/kept.jpg", b"kept")
    before = image_server.statistics()["connections"]
    download_all([f"{url}?{n}" for n in range(200)], thread_count=4)
    assert image_server.statistics()["connections"] - before <= 4


def test_a_short_error_page_does_not_cost_the_connection(image_server: ImageServer) -> None:
    before = image_server.statistics()["connections"]
    outcomes = download_all([image_server.url(f"/status/404?{n}") for n in range(20)], thread_count=1)
    assert {outcome.failure for outcome in outcomes} == {"HTTP 404"}
    assert image_server.statistics()["connections"] - before == 1


def test_no_more_transfers_than_asked_are_in_flight(image_server: ImageServer) -> None:
    url = image_server.put("/crowd.jpg", b"crowd", latency_s=0.05)
    image_server.reset_peak()
    before = image_server.statistics()["peak"]
    download_all([f"{url}?{n}" for n in range(60)], thread_count=7)
    assert image_server.statistics()["peak"] - before <= 7


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "identity"])
def test_content_encoding_is_undone_even_if_nobody_asked_for_it(
    image_server: ImageServer, encoding: str
) -> None:
    assert download(image_server.url(f"/encoded/{encoding}")).body == SMALL_BODY
    assert "Accept-Encoding: identity" in (image_server.last_request(f"/encoded/{encoding}") or "")


def test_chunked_bodies_are_joined(image_server: ImageServer) -> None:
    assert download(image_server.url("/chunked")).body == SMALL_BODY


def test_urls_with_spaces_and_other_scripts_reach_their_file(image_server: ImageServer) -> None:
    image_server.put("/my%20%C3%A9t%C3%A9.jpg", b"summer")
    for path in ("/my été.jpg", "/my%20%C3%A9t%C3%A9.jpg", " /my été.jpg#part ".strip()):
        assert download(f"  {image_server.url(path)}\n").body == b"summer"


def test_data_urls_are_decoded_without_a_server() -> None:
    assert download("data:image/png;base64,YWJj").body == b"abc"
    assert failure_of("data:image/png;base64,YWJj", max_download_bytes=2) == "too large: body"


def test_credentials_of_the_url_are_sent_as_basic_authentication(image_server: ImageServer) -> None:
    image_server.put("/private.jpg", b"private")
    url = image_server.url("/private.jpg").replace("http://", "http://user:p%40ss@")
    assert download(url).body == b"private"
    assert "Authorization: Basic dXNlcjpwQHNz" in (image_server.last_request("/private.jpg") or "")


@pytest.mark.parametrize(
    ("settings", "header"),
    [
        ({}, f"img2dataset/{__version__} (+https://github.com/rom1504/img2dataset)"),
        (
            {"user_agent_token": "mybot"},
            f"img2dataset/{__version__} (mybot; +https://github.com/rom1504/img2dataset)",
        ),
        ({"user_agent": "somebody/1.0"}, "somebody/1.0"),
    ],
)
def test_the_user_agent_says_who_asks(
    image_server: ImageServer, settings: dict[str, str], header: str
) -> None:
    image_server.put("/agent.jpg", b"agent")
    download(image_server.url("/agent.jpg"), **settings)
    assert f"User-Agent: {header}\r\n" in (image_server.last_request("/agent.jpg") or "") + "\r\n"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_followed_to_other_hosts(image_server: ImageServer, status: int) -> None:
    image_server.put("/target.jpg", b"target")
    target = urllib.parse.quote(image_server.url("/target.jpg", host=2))
    assert download(image_server.url(f"/redirect?status={status}&to={target}")).body == b"target"


def test_credentials_do_not_follow_a_redirect(image_server: ImageServer) -> None:
    image_server.put("/elsewhere.jpg", b"elsewhere")
    target = urllib.parse.quote(image_server.url("/elsewhere.jpg", host=2))
    url = image_server.url(f"/redirect?to={target}").replace("http://", "http://user:secret@")
    assert download(url).body == b"elsewhere"
    assert "Authorization" not in (image_server.last_request("/elsewhere.jpg") or "")


def test_redirects_end_at_the_limit(image_server: ImageServer) -> None:
    assert download(image_server.url("/redirect-chain/10")).body == SMALL_BODY
    assert failure_of(image_server.url("/redirect-chain/11")) == "redirect: too many"
    assert failure_of(image_server.url("/redirect-chain/1"), max_redirects=0) == "redirect: too many"
    assert failure_of(image_server.url("/redirect-loop")) == "redirect: too many"
    assert failure_of(image_server.url("/redirect-nowhere")) == "redirect: no location"


@pytest.mark.parametrize(
    ("target", "failure"),
    [
        ("file:///etc/passwd", "scheme: file not allowed"),
        ("ftp://127.0.0.1/a.jpg", "scheme: ftp not allowed"),
        ("data:,abc", "scheme: data not allowed"),
        ("gopher://127.0.0.1:1/x", "scheme: not allowed"),
    ],
)
def test_a_redirect_opens_no_other_scheme(image_server: ImageServer, target: str, failure: str) -> None:
    assert failure_of(image_server.url(f"/redirect?to={urllib.parse.quote(target)}")) == failure


@pytest.mark.parametrize(
    ("query", "settings", "failure"),
    [
        ("tag=noai", {}, "opt-out: X-Robots-Tag"),
        ("tag=all&tag=NoIndex", {}, "opt-out: X-Robots-Tag"),
        ("tag=nofollow", {}, None),
        ("tag=noai", {"disallowed_header_directives": ()}, None),
        ("tag=nofollow", {"disallowed_header_directives": ("NoFollow",)}, "opt-out: X-Robots-Tag"),
        ("tag=mybot:+noai", {}, None),
        ("tag=mybot:+noai", {"user_agent_token": "MyBot"}, "opt-out: X-Robots-Tag"),
    ],
)
def test_a_site_that_opts_out_is_left_out(
    image_server: ImageServer, query: str, settings: dict[str, object], failure: str | None
) -> None:
    assert failure_of(image_server.url(f"/robots?{query}"), **settings) == failure


def test_an_opt_out_is_decided_before_the_body(image_server: ImageServer) -> None:
    url = image_server.put("/out.jpg", bytes(50_000_000), headers=[("X-Robots-Tag", "noai")])
    assert failure_of(url, timeout=5) == "opt-out: X-Robots-Tag"


def test_an_interim_answer_is_skipped(image_server: ImageServer) -> None:
    assert download(image_server.url("/early-hints")).body == SMALL_BODY


def test_http2_is_spoken_where_the_server_does(nginx: Nginx, certificates: TestAuthority) -> None:
    (nginx.folder / "h2.jpg").write_bytes(photograph(300, 200))
    for base in (nginx.http, nginx.https, nginx.http2):
        urls = [f"{base}/h2.jpg?{n}" for n in range(50)]
        outcomes = download_all(urls, thread_count=16, ca_bundle=certificates.authority_file)
        assert {bytes(outcome.body or b"") for outcome in outcomes} == {photograph(300, 200)}
    assert failure_of(f"{nginx.http2}/none.jpg", ca_bundle=certificates.authority_file) == "HTTP 404"
