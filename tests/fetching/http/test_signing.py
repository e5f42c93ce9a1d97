"""Requests signed by Web Bot Auth, checked by a verifier of the tests' own and by a public one."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import http_message_signatures
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    load_pem_private_key,
)
from http_message_signatures import HTTPMessageVerifier, HTTPSignatureKeyResolver, algorithms

from img2dataset.errors import OptionError
from img2dataset.fetching import Access, load_access
from img2dataset.fetching.http import signing
from img2dataset.fetching.http.signing import RequestSigner, sign, signature_parameters
from img2dataset.fetching.http.signing_key import SigningIdentity, load_identity, public_jwk, thumbprint
from img2dataset.training import ImageLoader
from tests.fetching.download_all import download, download_all
from tests.fetching.http.message_signatures import Verified, Wrong, verify_request
from tests.fetching.http.signing_keys import AGENT, RFC_KEY, RFC_KEY_ID
from tests.pictures import photograph
from tests.servers import ImageServer, Nginx, Proxy, TestAuthority


@pytest.fixture
def access(key_file: str) -> Access:
    return load_access(sign_requests=key_file, signature_agent=AGENT)


@pytest.fixture
def verified(key: Ed25519PrivateKey) -> Callable[[ImageServer, str], Verified]:
    """What the signature of a server's last request for a path says."""

    def verify(server: ImageServer, path: str) -> Verified:
        head = server.last_request(path) or ""
        return verify_request(head, key.public_key(), time.time(), server.scheme)

    return verify


def identity_of(key_file: str) -> SigningIdentity:
    identity = load_identity(key_file, AGENT)
    assert identity is not None
    return identity


def rfc_key() -> Ed25519PrivateKey:
    key = load_pem_private_key(RFC_KEY, None)
    assert isinstance(key, Ed25519PrivateKey)
    return key


# What the standards print


def test_a_signature_is_that_of_the_rfc() -> None:
    # RFC 9421, B.2.6.
    components = [
        ('"date"', "Tue, 20 Apr 2021 02:07:55 GMT"),
        ('"@method"', "POST"),
        ('"@path"', "/foo"),
        ('"@authority"', "example.com"),
        ('"content-type"', "application/json"),
        ('"content-length"', "18"),
    ]
    parameters = ';created=1618884473;keyid="test-key-ed25519"'
    assert sign(rfc_key(), "sig-b26", components, parameters) == (
        'sig-b26=("date" "@method" "@path" "@authority" "content-type" "content-length")'
        ';created=1618884473;keyid="test-key-ed25519"',
        "sig-b26=:wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==:",
    )


def test_a_signature_is_that_of_the_draft() -> None:
    # draft-meunier-web-bot-auth-architecture-02, and the page of Cloudflare.
    nonce = "e8N7S2MFd/qrd6T2R3tdfAuuANngKI7LFtKYI/vowzk4lAZYadIX6wW25MwG7DCT9RUKAJ0qVkU0mEeLElW1qg=="
    parameters = (
        f';created=1735689600;keyid="{RFC_KEY_ID}";alg="ed25519";expires=1735693200;nonce="{nonce}"'
        ';tag="web-bot-auth"'
    )
    components = [('"@authority"', "example.com"), ('"signature-agent"', '"https://signature-agent.test"')]
    _, signature = sign(rfc_key(), "sig2", components, parameters)
    assert signature == (
        "sig2=:jdq0SqOwHdyHr9+r5jw3iYZH6aNGKijYp/EstF4RQTQdi5N5YYKrD+mCT1HA1nZDsi6nJKuHxUi/5Syp3rLWBA==:"
    )


def test_the_parameters_are_those_of_the_draft() -> None:
    written = signature_parameters(1, 301, "name", "web-bot-auth")
    assert written == ';created=1;expires=301;keyid="name";alg="ed25519";tag="web-bot-auth"'


# What servers see


def test_requests_are_signed_for_the_host_they_go_to(
    image_server: ImageServer,
    access: Access,
    key: Ed25519PrivateKey,
    verified: Callable[[ImageServer, str], Verified],
) -> None:
    for number in (1, 2):
        image_server.put(f"/signed{number}.jpg", b"signed")
        download(image_server.url(f"/signed{number}.jpg", host=number), access=access)
        said = verified(image_server, f"/signed{number}.jpg")
        assert said.components == ["@authority", "signature-agent"]
        assert said.agent == AGENT
        assert said.parameters["expires"] == said.parameters["created"] + 300
        told = {name: said.parameters[name] for name in ("alg", "keyid", "tag")}
        assert told == {"alg": "ed25519", "keyid": thumbprint(public_jwk(key)), "tag": "web-bot-auth"}
    head = image_server.last_request("/signed2.jpg") or ""
    elsewhere = head.replace("127.0.0.2", "127.0.0.1")
    with pytest.raises(InvalidSignature):
        verify_request(elsewhere, key.public_key(), time.time())
    with pytest.raises(Wrong):
        verify_request(head, key.public_key(), time.time() + 300)


def test_https_is_signed_and_no_proxy_of_its_tunnel_sees_it(
    https_server: ImageServer,
    certificates: TestAuthority,
    key_file: str,
    verified: Callable[[ImageServer, str], Verified],
) -> None:
    url = https_server.put("/signed.jpg", b"signed")
    with Proxy() as proxy:
        through = load_access(proxy=proxy.url("http"), sign_requests=key_file, signature_agent=AGENT)
        assert download(url, access=through, ca_bundle=certificates.authority_file).body == b"signed"
        assert proxy.heads
        assert not any("signature" in head.lower() for head in proxy.heads)
    verified(https_server, "/signed.jpg")


@pytest.mark.parametrize("scheme", ["http", "socks5"])
def test_a_request_over_a_proxy_is_signed_for_the_host_behind_it(
    image_server: ImageServer, key_file: str, verified: Callable[[ImageServer, str], Verified], scheme: str
) -> None:
    url = image_server.put(f"/signed-{scheme}.jpg", b"signed")
    with Proxy() as proxy:
        access = load_access(proxy=proxy.url(scheme), sign_requests=key_file, signature_agent=AGENT)
        download(url, access=access)
        assert len(proxy.seen) == 1
    verified(image_server, f"/signed-{scheme}.jpg")


def test_a_redirect_is_signed_anew_for_the_host_it_leads_to(
    image_server: ImageServer, key_file: str, verified: Callable[[ImageServer, str], Verified]
) -> None:
    image_server.put("/there.jpg", b"there")
    target = image_server.url("/there.jpg", host=3)
    secret = load_access(
        sign_requests=key_file, signature_agent=AGENT, extra_headers=["X-Key: t0ken", "Accept: image/webp"]
    )
    leading = image_server.url(f"/redirect?to={quote(target)}")
    assert download(leading, access=secret).body == b"there"
    verified(image_server, "/redirect")
    verified(image_server, "/there.jpg")
    head = image_server.last_request("/there.jpg") or ""
    assert "127.0.0.3" in head
    assert "t0ken" not in head
    assert "Accept: image/webp" in head


def test_files_of_sites_are_signed_too(
    access: Access, verified: Callable[[ImageServer, str], Verified]
) -> None:
    with ImageServer() as server:
        server.put("/robots.txt", b"User-agent: *\nAllow: /\n", "text/plain")
        server.put("/.well-known/tdmrep.json", b"[]", "application/json")
        url = server.put("/a.jpg", b"a")
        found = download(url, access=access, consent="strict", respect_robots_txt=True, respect_tdm=True)
        assert found.body == b"a"
        for path in ("/robots.txt", "/.well-known/tdmrep.json", "/a.jpg"):
            verified(server, path)


def test_many_requests_of_kept_connections_are_each_signed_for_their_host(
    access: Access, verified: Callable[[ImageServer, str], Verified]
) -> None:
    with ImageServer() as server:
        for number in range(40):
            server.put(f"/{number}.jpg", b"x")
        urls = [server.url(f"/{number}.jpg", host=1 + number % 4) for number in range(40)]
        assert {fetched.failure for fetched in download_all(urls, access=access, thread_count=3)} == {None}
        for number in range(40):
            verified(server, f"/{number}.jpg")


def test_without_the_option_no_header_of_a_signature_is_sent(image_server: ImageServer) -> None:
    download(image_server.put("/unsigned.jpg", b"unsigned"), access=load_access())
    assert "signature" not in (image_server.last_request("/unsigned.jpg") or "").lower()


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "localhost.", "127.1", "0x7f.1"])
def test_a_host_is_signed_as_it_is_asked(
    image_server: ImageServer, access: Access, verified: Callable[[ImageServer, str], Verified], host: str
) -> None:
    path = f"/host-{host}.jpg"
    image_server.put(path, b"host")
    assert download(image_server.url(path, host=host), access=access).body == b"host"
    verified(image_server, path)


@pytest.mark.parametrize(
    ("uri", "authority"),
    [
        ("https://Example.COM/a.jpg", "example.com"),
        ("https://example.com:443/a.jpg", "example.com"),
        ("http://example.com:080/a.jpg", "example.com"),
        ("http://example.com:443/a.jpg", "example.com:443"),
        ("https://example.com:80/a.jpg", "example.com:80"),
        ("https://user:password@example.com:8443/a.jpg", "example.com:8443"),
        ("http://[2001:DB8::1]:8080/a.jpg", "[2001:db8::1]:8080"),
        ("http://[2001:db8::1]/a.jpg", "[2001:db8::1]"),
    ],
)
def test_the_authority_is_written_as_the_rfc_says(
    key_file: str, key: Ed25519PrivateKey, uri: str, authority: str
) -> None:
    lines = RequestSigner(identity_of(key_file), lambda: 1000.0).lines_for(uri)
    head = "\n".join(["GET /a.jpg HTTP/1.1", f"Host: {authority}", *lines])
    assert verify_request(head, key.public_key(), 1000, uri.partition(":")[0]).agent == AGENT


def test_http2_is_signed(nginx: Nginx, certificates: TestAuthority, access: Access) -> None:
    (nginx.folder / "signed.jpg").write_bytes(b"signed")
    found = download(f"{nginx.http2}/signed.jpg", ca_bundle=certificates.authority_file, access=access)
    assert found.body == b"signed"


def test_a_public_verifier_says_the_same(
    image_server: ImageServer, access: Access, key: Ed25519PrivateKey
) -> None:
    url = image_server.put("/public.jpg", b"public")
    download(url, access=access)
    lines = (image_server.last_request("/public.jpg") or "").strip().splitlines()
    headers = dict(line.split(": ", 1) for line in lines[1:])

    class Resolver(HTTPSignatureKeyResolver):
        def resolve_public_key(self, key_id: str) -> Any:
            assert key_id == thumbprint(public_jwk(key))
            return key.public_key()

    verifier = HTTPMessageVerifier(signature_algorithm=algorithms.ED25519, key_resolver=Resolver())
    (result,) = verifier.verify(SimpleNamespace(method="GET", url=url, headers=headers))
    assert list(result.covered_components) == ['"@authority"', '"signature-agent"', '"@signature-params"']
    moved = SimpleNamespace(method="GET", url=url.replace("127.0.0.1", "127.0.0.2"), headers=headers)
    with pytest.raises(http_message_signatures.InvalidSignature):
        verifier.verify(moved)


# How long a signature lives


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def test_a_signature_is_kept_for_its_host_and_renewed_before_it_expires(
    key_file: str, key: Ed25519PrivateKey
) -> None:
    clock = Clock()
    signer = RequestSigner(identity_of(key_file), clock)
    first = signer.lines_for("https://a.example/1.jpg")
    other = signer.lines_for("https://b.example/1.jpg")
    assert first != other
    clock.now += 239.9
    assert signer.lines_for("https://a.example/2.jpg") is first
    clock.now += 0.1
    renewed = signer.lines_for("https://a.example/3.jpg")
    assert renewed != first
    for lines, good in ((first, [1_000_000, 1_000_299]), (renewed, [1_000_240, 1_000_539])):
        head = "\n".join(["GET / HTTP/1.1", "Host: a.example", *lines])
        for now in good:
            verify_request(head, key.public_key(), now, "https")
        with pytest.raises(Wrong):
            verify_request(head, key.public_key(), good[1] + 1, "https")


def test_a_clock_that_is_set_back_brings_no_signature_from_the_future(key_file: str) -> None:
    clock = Clock()
    signer = RequestSigner(identity_of(key_file), clock)
    signer.lines_for("https://a.example/1.jpg")
    clock.now -= 3600
    assert f"created={int(clock.now)};" in signer.lines_for("https://a.example/1.jpg")[1]


def test_signatures_of_any_number_of_hosts_take_bounded_memory(
    key_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signing, "MOST_KEPT", 3)
    signer = RequestSigner(identity_of(key_file), Clock())
    lines = [signer.lines_for(f"https://{name}.example/") for name in "abcd"]
    assert signer.lines_for("https://d.example/") is lines[3]
    assert signer.lines_for("https://b.example/") is lines[1]
    assert signer.lines_for("https://a.example/") is not lines[0]
    assert len(signer._kept) == 3


# Training


def test_the_loader_of_training_signs(
    image_server: ImageServer, key_file: str, verified: Callable[[ImageServer, str], Verified]
) -> None:
    url = image_server.put("/trained.jpg", photograph(40, 30, seed=1))
    loader = ImageLoader(sign_requests=key_file, signature_agent=AGENT)
    assert pickle.loads(pickle.dumps(loader))(url).size == (40, 30)
    verified(image_server, "/trained.jpg")


def test_the_loader_refuses_to_sign_for_a_session(key_file: str) -> None:
    import requests

    with pytest.raises(OptionError, match="session"):
        ImageLoader(sign_requests=key_file, signature_agent=AGENT, session=requests.Session())
    with pytest.raises(OptionError, match="without --signature_agent"):
        ImageLoader(sign_requests=key_file)
