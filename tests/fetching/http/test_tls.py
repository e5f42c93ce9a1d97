"""Certificates are verified, against a bundle that is read once."""

from __future__ import annotations

import datetime
import shutil
import socket
import threading
from ipaddress import ip_address
from pathlib import Path

import certifi
import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from img2dataset.errors import OptionError
from img2dataset.fetching import Fetcher, FetchSettings
from img2dataset.fetching.http.access import find_ca_bundle
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
    assert failure_of(https_server.url(PATH)) == "TLS: issuer neither sent nor known"


def test_any_certificate_is_accepted_when_asked(https_server: ImageServer) -> None:
    assert download(https_server.url(PATH), ignore_ssl_certificate=True).body == SMALL_BODY


def test_an_expired_certificate_and_one_for_another_host_are_named(certificates: TestAuthority) -> None:
    bundle = certificates.authority_file
    with ImageServer(certificates.certificate(expired=True)) as expired:
        assert failure_of(expired.url(PATH), ca_bundle=bundle) == "TLS: certificate expired"
    with ImageServer(certificates.certificate("other.example")) as other:
        assert failure_of(other.url(PATH), ca_bundle=bundle) == "TLS: wrong host"


def test_a_certificate_that_is_not_valid_yet_is_told_from_one_that_has_expired(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    now = datetime.datetime.now(datetime.timezone.utc)
    in_days = [now + datetime.timedelta(days=days) for days in (10, 20)]
    leaf = authority.issue_cert("127.0.0.1", not_before=in_days[0], not_after=in_days[1])
    leaf.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "early.pem"))
    with ImageServer(str(tmp_path / "early.pem")) as early:
        failure = failure_of(early.url(PATH), ca_bundle=str(tmp_path / "authority.pem"))
    assert failure == "TLS: certificate not yet valid"


def test_a_certificate_that_vouches_for_itself_has_no_known_issuer(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.timezone.utc)
    itself = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file = tmp_path / "itself.pem"
    file.write_bytes(private + itself.public_bytes(serialization.Encoding.PEM))
    with ImageServer(str(file)) as server:
        assert failure_of(server.url(PATH)) == "TLS: unknown issuer"
        assert download(server.url(PATH), ca_bundle=str(file)).body == SMALL_BODY


def test_a_chain_whose_middle_is_missing_says_so(tmp_path: Path) -> None:
    root = trustme.CA()
    root.cert_pem.write_to_path(str(tmp_path / "root.pem"))
    leaf = root.create_child_ca().issue_cert("127.0.0.1")
    only_leaf = leaf.private_key_pem.bytes() + leaf.cert_chain_pems[0].bytes()
    (tmp_path / "leaf.pem").write_bytes(only_leaf)
    leaf.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "chain.pem"))
    for file, failure in (("leaf.pem", "TLS: issuer neither sent nor known"), ("chain.pem", None)):
        with ImageServer(str(tmp_path / file)) as server:
            assert failure_of(server.url(PATH), ca_bundle=str(tmp_path / "root.pem")) == failure


@pytest.mark.parametrize("alert", [40, 70, 80, 112])
def test_a_server_that_refuses_the_handshake_is_a_handshake_failure(alert: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def refuse() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(bytes([21, 3, 3, 0, 2, 2, alert]))
                connection.recv(4096)

        thread = threading.Thread(target=refuse, daemon=True)
        thread.start()
        assert failure_of(f"https://127.0.0.1:{listener.getsockname()[1]}/") == "TLS: handshake"
        thread.join(HANG_GUARD_S)


def test_a_server_that_speaks_plain_http_on_https_is_a_handshake_failure(image_server: ImageServer) -> None:
    url = image_server.url(PATH).replace("http://", "https://")
    assert failure_of(url, timeout=0.5) in {"timeout: connect", "TLS: handshake"}


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
