"""Names, reach, consent and access, each option through the whole program and against real servers."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow.parquet as pq
import pytest

from img2dataset.version import __version__
from tests.fetching.dns_server import DnsServer
from tests.fetching.own_network import PRIVATE, PUBLIC, Visit, visit
from tests.pictures import photograph
from tests.program.runs import run, run_here
from tests.servers import ImageServer, Proxy, TestAuthority

PICTURE = photograph(160, 120, seed=6)
PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


class Runs:
    """Runs the command over a few addresses; each run gets a folder of its own under ``folder``.

    ``said`` is what the last one said; what its workers said is in it only where ``run`` is a program's.
    """

    def __init__(self, folder: Path, run: Callable[..., subprocess.CompletedProcess[str]]) -> None:
        self.folder = folder
        self._run = run
        self.count = 0
        self.said = ""

    def __call__(self, urls: list[str], **options: Any) -> list[str | None]:
        """The failure of each row, None for those that became an image."""
        done = self.run(urls, **options)
        assert done.returncode == 0, self.said
        table = pq.read_table(self.folder / f"out{self.count}" / "00000.parquet")
        return list(table["error_message"].to_pylist())

    def run(self, urls: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        self.count += 1
        url_list = self.folder / f"list{self.count}.txt"
        url_list.write_text("".join(f"{url}\n" for url in urls))
        chosen = {"processes_count": 1, "output_format": "webdataset", **options}
        done = self._run(url_list=url_list, output_folder=self.folder / f"out{self.count}", **chosen)
        self.said = done.stdout + done.stderr
        return done


@pytest.fixture
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXY_VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def runs(tmp_path: Path, no_proxies: None) -> Runs:
    return Runs(tmp_path, run_here)


@pytest.fixture
def programs(tmp_path: Path, no_proxies: None) -> Runs:
    return Runs(tmp_path, run)


@pytest.fixture
def site() -> Iterator[ImageServer]:
    """A server of its own, with a picture at /a.jpg that takes a moment."""
    with ImageServer() as server:
        server.put("/a.jpg", PICTURE, latency_s=0.2)
        yield server


@pytest.fixture
def dns() -> Iterator[DnsServer]:
    with DnsServer() as server:
        yield server


def request_for(server: ImageServer, path: str) -> str:
    return server.last_request(path) or ""


# Names


def test_dns_servers_are_asked(runs: Runs, site: ImageServer, dns: DnsServer) -> None:
    assert runs([f"http://a127-0-0-1.test:{site.port}/a.jpg"], dns_servers=dns.address) == [None]
    assert dns.questions("a127-0-0-1.test") > 0


@pytest.mark.parametrize(
    ("name", "options", "asked_again"),
    [
        ("a127-0-0-1.ttl0.test", {}, False),
        ("a127-0-0-1.ttl0.test", {"dns_max_ttl": 0}, True),
        ("a127-0-0-1.ttl300.test", {"dns_max_ttl": 0.1}, True),
    ],
)
def test_answers_are_kept_as_long_as_the_options_say(
    runs: Runs, site: ImageServer, dns: DnsServer, name: str, options: dict[str, float], asked_again: bool
) -> None:
    urls = [f"http://{name}:{site.port}/a.jpg?{n}" for n in range(4)]
    assert runs(urls, dns_servers=dns.address, thread_count=1, **options) == [None] * 4
    # One row after the other, 0.2 s each. A machine with IPv6 asks for both kinds of addresses, and a busy
    # one asks once more when no answer has come in time.
    assert dns.questions(name) >= 4 if asked_again else dns.questions(name) < 4


def test_dns_system_asks_the_systems_resolver() -> None:
    # Names under .invalid are nobody's, so this program does not ask for them; the system's resolver does.
    url = f"http://a{PUBLIC.replace('.', '-')}.invalid/a.jpg"
    internal, system = visit(Visit([url], command={}), Visit([url], command={"dns": "system"}))
    assert (internal.failures, internal.connections) == (["DNS: name not found"], {})
    assert (system.failures, system.connections) == ([None], {PUBLIC: 1})


# Reach


def test_private_addresses_are_fetched_from_unless_denied() -> None:
    urls = [f"http://{PRIVATE}/a.jpg", "http://127.0.0.1/a.jpg", f"http://{PUBLIC}/a.jpg"]
    allowed, denied = visit(Visit(urls, command={}), Visit(urls, command={"private_addresses": "deny"}))
    assert allowed.failures == [None, None, None]
    assert denied.failures == ["address: private", "address: loopback", None]
    assert denied.connections == {PUBLIC: 1}


def test_the_clouds_metadata_is_out_of_reach_whatever_is_allowed() -> None:
    urls = ["http://169.254.169.254/a.jpg", f"http://{PUBLIC}/to?http://169.254.169.254/a.jpg"]
    (seen,) = visit(Visit(urls, command={"private_addresses": "allow"}))
    assert [str(failure).split(":")[0] for failure in seen.failures] == ["address", "address"]
    assert seen.connections == {PUBLIC: 1}


def test_other_schemes_are_read_only_when_allowed(runs: Runs, tmp_path: Path) -> None:
    picture = tmp_path / "picture.jpg"
    picture.write_bytes(PICTURE)
    assert runs([picture.as_uri()]) == ["scheme: file not allowed"]
    assert runs([picture.as_uri()], allow_schemes="file") == [None]


# Consent


def test_robots_txt_is_respected_when_asked_for(runs: Runs, site: ImageServer) -> None:
    site.put("/robots.txt", b"User-agent: mybot\nDisallow: /\n", "text/plain")
    assert runs([site.url("/a.jpg")], user_agent_token="mybot") == [None]
    assert site.count("/robots.txt") == 0
    refused = runs([site.url("/a.jpg")], user_agent_token="mybot", respect_robots_txt=True)
    assert refused == ["opt-out: robots.txt"]
    assert runs([site.url("/a.jpg")], respect_robots_txt=True) == [None]
    assert site.count("/robots.txt") == 2
    assert site.count("/a.jpg") == 2


def test_a_tdm_reservation_is_respected_when_asked_for(runs: Runs, site: ImageServer) -> None:
    url = site.put("/reserved.jpg", PICTURE, headers=[("tdm-reservation", "1")])
    assert runs([url]) == [None]
    assert runs([url], respect_tdm=True) == ["opt-out: TDM reservation"]


def test_the_directives_that_exclude_an_image_can_be_chosen(runs: Runs, site: ImageServer) -> None:
    urls = [
        site.put(f"/{tag}.jpg", PICTURE, headers=[("X-Robots-Tag", value)])
        for tag, value in (("general", "noai"), ("named", "mybot: noai"), ("other", "noarchive"))
    ]
    excluded = "opt-out: X-Robots-Tag"
    assert runs(urls) == [excluded, None, None]
    assert runs(urls, user_agent_token="mybot") == [excluded, excluded, None]
    assert runs(urls, disallowed_header_directives="[noarchive]") == [None, None, excluded]
    assert runs(urls, disallowed_header_directives="[]") == [None, None, None]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({}, f"img2dataset/{__version__} (+https://github.com/rom1504/img2dataset)"),
        (
            {"contact": "me@mail.example", "user_agent_token": "mybot"},
            f"img2dataset/{__version__} "
            "(mybot; contact: me@mail.example; +https://github.com/rom1504/img2dataset)",
        ),
        ({"user_agent": "something else/1"}, "something else/1"),
    ],
)
def test_the_user_agent_says_who_asks(
    runs: Runs, site: ImageServer, options: dict[str, str], told: str
) -> None:
    assert runs([site.url("/a.jpg")], **options) == [None]
    assert f"User-Agent: {told}" in request_for(site, "/a.jpg").splitlines()


# Access


def test_proxies_are_used_in_turn(programs: Runs, site: ImageServer) -> None:
    urls = [f"{site.url('/a.jpg')}?{n}" for n in range(8)]
    with Proxy() as one, Proxy(user="me", password="pr0xy") as other:
        proxies = [one.url("http"), other.url("socks5h")]
        assert programs(urls, proxy=json.dumps(proxies)) == [None] * 8
        assert len(one.seen) + len(other.seen) == 8
        assert one.seen
        assert other.seen
    assert "pr0xy" not in programs.said


def test_without_an_option_the_environment_names_the_proxy(
    runs: Runs, site: ImageServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Proxy() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url("http"))
        assert runs([site.url("/a.jpg")]) == [None]
        assert len(proxy.seen) == 1


def test_extra_headers_cookies_and_credentials_reach_their_host_and_no_text(
    programs: Runs, site: ImageServer, tmp_path: Path
) -> None:
    cookies, credentials = tmp_path / "cookies.txt", tmp_path / "credentials.json"
    cookies.write_text("127.0.0.1\tFALSE\t/\tFALSE\t0\tid\tc00kie\n")
    credentials.write_text(json.dumps({f"127.0.0.1:{site.port}": {"bearer": "t0ken"}}))
    site.put("/b.jpg", PICTURE)
    urls = [site.url("/a.jpg"), site.url(f"/redirect?to={quote(site.url('/b.jpg', host=2))}")]
    options = {
        "extra_headers": '["X-Api-Key: s3cret", "Accept-Language: de"]',
        "cookies": cookies,
        "credentials_file": credentials,
    }
    assert programs(urls, **options) == [None, None]
    told = request_for(site, "/a.jpg")
    for line in ("X-Api-Key: s3cret", "Cookie: id=c00kie", "Authorization: Bearer t0ken"):
        assert line in told
        assert line in request_for(site, "/redirect")
        assert line.partition(":")[0] not in request_for(site, "/b.jpg")
    assert "Accept-Language: de" in request_for(site, "/b.jpg")
    written = b"".join(path.read_bytes() for path in (tmp_path / "out1").rglob("*") if path.is_file())
    for secret in ("s3cret", "c00kie", "t0ken"):
        assert secret not in programs.said
        assert secret.encode() not in written


def test_the_environment_names_the_file_of_credentials(
    runs: Runs, site: ImageServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text(f"machine 127.0.0.1:{site.port} login me password hunter2\n")
    monkeypatch.setenv("IMG2DATASET_CREDENTIALS", str(netrc))
    assert runs([site.url("/a.jpg")]) == [None]
    assert "Authorization: Basic bWU6aHVudGVyMg==" in request_for(site, "/a.jpg")


# TLS


def test_certificates_are_verified_with_the_bundle_that_is_given(
    runs: Runs, certificates: TestAuthority, https_server: ImageServer
) -> None:
    url = https_server.put("/verified.jpg", PICTURE)
    assert runs([url]) == ["TLS: issuer neither sent nor known"]
    assert runs([url], ca_bundle=certificates.authority_file) == [None]
    assert runs([url], ignore_ssl_certificate=True) == [None]


def test_a_server_that_wants_a_certificate_is_shown_it_with_its_key(
    runs: Runs, certificates: TestAuthority, tmp_path: Path
) -> None:
    both = Path(certificates.certificate("client.example")).read_text()
    place = both.index("-----BEGIN CERTIFICATE")
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    key.write_text(both[:place])
    certificate.write_text(both[place:])
    options = {"ca_bundle": certificates.authority_file}
    with ImageServer(certificates.certificate(), certificates.authority_file) as server:
        url = server.put("/strict.jpg", PICTURE)
        (refused,) = runs([url], **options)
        assert str(refused).startswith(("TLS: ", "connection: "))
        shown = {"client_certificate": certificate, "client_key": key}
        assert runs([url], **options, **shown) == [None]
        # Without the option for the key it is looked for in the certificate's file, and is not there.
        without = runs.run([url], **options, client_certificate=certificate)
        assert without.returncode == 2
        assert "client_certificate" in runs.said
        assert str(certificate) in runs.said
