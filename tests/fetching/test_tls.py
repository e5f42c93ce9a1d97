"""Certificates are verified, against a bundle that is read once."""

from __future__ import annotations

import shutil
from pathlib import Path

import certifi
import pytest

from img2dataset.errors import OptionError
from img2dataset.fetching import Fetcher, FetchSettings
from img2dataset.fetching.certificates import find_ca_bundle
from img2dataset.types import Fetched, Row
from tests.fetching.download_all import HANG_GUARD_S, download, failure_of
from tests.servers import ImageServer, TestAuthority
from tests.servers.misbehaviours import SMALL_BODY

PATH = "/chunked"


def test_a_certificate_of_a_trusted_authority_is_accepted(
    https_server: ImageServer, certificates: TestAuthority
) -> None:
    assert download(https_server.url(PATH), ca_bundle=certificates.authority_file).body == SMALL_BODY


def test_a_certificate_of_an_unknown_authority_is_refused_by_default(https_server: ImageServer) -> None:
    assert failure_of(https_server.url(PATH)) == "TLS: unknown issuer"


def test_any_certificate_is_accepted_when_asked(https_server: ImageServer) -> None:
    assert download(https_server.url(PATH), verify_certificates=False).body == SMALL_BODY


def test_an_expired_certificate_and_one_for_another_host_are_named(certificates: TestAuthority) -> None:
    bundle = certificates.authority_file
    with ImageServer(certificates.certificate(expired=True)) as expired:
        assert failure_of(expired.url(PATH), ca_bundle=bundle) == "TLS: certificate expired"
    with ImageServer(certificates.certificate("other.example")) as other:
        assert failure_of(other.url(PATH), ca_bundle=bundle) == "TLS: wrong host"


def test_a_server_that_speaks_plain_http_on_https_is_a_handshake_failure(image_server: ImageServer) -> None:
    url = image_server.url(PATH).replace("http://", "https://")
    assert failure_of(url, timeout_s=0.5) in {"timeout: connect", "TLS: handshake"}


def test_the_environment_names_the_bundle_in_a_fixed_order(tmp_path: Path) -> None:
    files = {}
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        files[name] = str(shutil.copy(certifi.where(), tmp_path / name))
    assert find_ca_bundle(str(files["CURL_CA_BUNDLE"]), files) == files["CURL_CA_BUNDLE"]
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        assert find_ca_bundle(None, files) == files.pop(name)
    assert find_ca_bundle(None, {"SSL_CERT_FILE": ""}) == certifi.where()


def test_the_environments_bundle_is_used(
    https_server: ImageServer, certificates: TestAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", certificates.authority_file)
    assert download(https_server.url(PATH)).body == SMALL_BODY


def test_a_bundle_that_cannot_be_used_is_one_clear_error_at_the_start(tmp_path: Path) -> None:
    missing, wrong = tmp_path / "missing.pem", tmp_path / "wrong.pem"
    wrong.write_text("not a certificate")
    for path, reason in ((missing, "cannot be read"), (wrong, "holds no certificate")):
        with pytest.raises(OptionError, match=reason) as refused:
            Fetcher(FetchSettings(ca_bundle=str(path)), print)
        assert str(path) in str(refused.value)
    with pytest.raises(OptionError, match="SSL_CERT_FILE"):
        find_ca_bundle(None, {"SSL_CERT_FILE": str(missing)})


def test_the_bundle_is_read_once_for_all_connections(certificates: TestAuthority, tmp_path: Path) -> None:
    import queue

    bundle = Path(shutil.copy(certificates.authority_file, tmp_path / "bundle.pem"))
    delivered: queue.SimpleQueue[Fetched] = queue.SimpleQueue()
    with Fetcher(FetchSettings(ca_bundle=str(bundle)), delivered.put) as fetcher:
        for start in range(3):
            # A new server each time: no connection and no TLS session is there to be used again.
            with ImageServer(certificates.certificate()) as server:
                fetcher.submit(Row(0, n, server.url(PATH, host=n)) for n in range(1, 9))
                for _ in range(8):
                    fetched = delivered.get(timeout=HANG_GUARD_S)
                    assert fetched.failure is None, f"failed after {start} rounds without the file"
                    fetcher.release(fetched.size)
            bundle.unlink(missing_ok=True)
