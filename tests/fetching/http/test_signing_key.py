"""The key that requests are signed with: which files may hold it, who publishes it, that nobody sees it."""

from __future__ import annotations

import base64
import json
import pickle
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from img2dataset.errors import OptionError
from img2dataset.fetching import load_access
from img2dataset.fetching.http.signing_key import SigningIdentity, load_identity, public_jwk, thumbprint
from tests.fetching.http.message_signatures import verify_request
from tests.fetching.http.signing_keys import AGENT, RFC_JWK, RFC_KEY, RFC_KEY_ID


def identity_of(key_file: str) -> SigningIdentity:
    identity = load_identity(key_file, AGENT)
    assert identity is not None
    return identity


def rfc_key() -> Ed25519PrivateKey:
    key = load_pem_private_key(RFC_KEY, None)
    assert isinstance(key, Ed25519PrivateKey)
    return key


def test_a_key_is_named_as_the_rfcs_name_theirs() -> None:
    assert thumbprint(public_jwk(rfc_key())) == RFC_KEY_ID
    # RFC 8037, A.3.
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
    assert thumbprint(jwk) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


# The key


@pytest.mark.parametrize("form", ["PEM", "JWK", "JWK without x"])
def test_a_key_is_read_in_either_form(tmp_path: Path, form: str) -> None:
    path = tmp_path / "key"
    jwk = {name: value for name, value in RFC_JWK.items() if name != "x" or form == "JWK"}
    path.write_bytes(RFC_KEY if form == "PEM" else json.dumps(jwk).encode())
    assert thumbprint(public_jwk(identity_of(str(path)).private_key())) == RFC_KEY_ID


def test_the_key_travels_without_its_file_and_is_not_shown(key_file: str, key: Ed25519PrivateKey) -> None:
    access = load_access(sign_requests=key_file, signature_agent=AGENT)
    packed = pickle.dumps(access)
    Path(key_file).unlink()
    code = (
        "import pickle, sys; from img2dataset.fetching.http.signing import RequestSigner;"
        "access = pickle.loads(bytes.fromhex(sys.stdin.read()));"
        "print('\\n'.join(RequestSigner(access.signing).lines_for('https://a.example/1.jpg')))"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], input=packed.hex(), capture_output=True, text=True, check=True
    )
    head = "\n".join(["GET / HTTP/1.1", "Host: a.example", said.stdout])
    verify_request(head, key.public_key(), time.time(), "https")
    raw = key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
    shown = f"{access!r} {access} {access.signing!r}"
    for text in (
        raw.hex(),
        base64.b64encode(raw).decode(),
        base64.urlsafe_b64encode(raw).decode().strip("="),
    ):
        assert text not in shown


def pem(key: Any, encryption: Any = None) -> bytes:
    return bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption()))


BAD_KEYS = {
    "is encrypted": pem(rfc_key(), BestAvailableEncryption(b"s3cret")),
    "is not Ed25519": pem(ec.generate_private_key(ec.SECP256R1())),
    "which is a public key": rfc_key()
    .public_key()
    .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
    "holds no private key": b"s3cret, not a key",
    "holds no private key as PEM": pem(rfc_key())[:60] + b"\n-----END PRIVATE KEY-----\n",
    "not valid JSON": b'{"kty": s3cret',
    "whose key is not Ed25519": json.dumps({"kty": "EC", "crv": "P-256", "d": "s3cret"}).encode(),
    "is a public key;": json.dumps({name: RFC_JWK[name] for name in ("kty", "crv", "x")}).encode(),
    "whose 'd' is not 32 bytes": json.dumps({**RFC_JWK, "d": "s3cret"}).encode(),
    "whose 'd' is not 32": json.dumps({**RFC_JWK, "d": 7}).encode(),
    "whose 'x' is not": json.dumps({**RFC_JWK, "x": "A" * 43}).encode(),
    "is a set of keys": json.dumps({"keys": [RFC_JWK]}).encode(),
}


@pytest.mark.parametrize("reason", BAD_KEYS)
def test_a_wrong_key_file_is_refused_with_the_reason(tmp_path: Path, reason: str) -> None:
    path = tmp_path / "key"
    path.write_bytes(BAD_KEYS[reason])
    with pytest.raises(OptionError) as refused:
        load_access(sign_requests=str(path), signature_agent=AGENT)
    (line,) = str(refused.value).splitlines()
    assert line.startswith(f"--sign_requests names {str(path)!r}")
    assert reason in line
    assert "s3cret" not in line


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"sign_requests": "/nowhere/key.pem"}, "--sign_requests is given without --signature_agent"),
        ({"signature_agent": AGENT}, "--signature_agent is given without --sign_requests"),
        (
            {"sign_requests": "/nowhere/key.pem", "signature_agent": AGENT},
            "'/nowhere/key.pem', which cannot be",
        ),
        ({"sign_requests": "/", "signature_agent": AGENT}, "'/', which cannot be read (Is a directory)"),
        ({"sign_requests": "a\0b", "signature_agent": AGENT}, "cannot be read"),
    ],
)
def test_what_cannot_be_read_or_lacks_the_other_option_is_refused(options: Any, named: str) -> None:
    with pytest.raises(OptionError) as refused:
        load_access(**options)
    assert named in str(refused.value)


@pytest.mark.parametrize(
    ("agent", "sent"),
    [
        ("https://Bot.Example/", "https://bot.example"),
        ("https://bot.example:443", "https://bot.example"),
        ("https://bot.example:8443", "https://bot.example:8443"),
        ("http://localhost:8000", "http://localhost:8000"),
        ("http://127.0.0.9", "http://127.0.0.9"),
        ("http://[::1]:80/", "http://[::1]"),
    ],
)
def test_the_agent_is_sent_as_an_origin(key_file: str, agent: str, sent: str) -> None:
    identity = load_identity(key_file, agent)
    assert identity is not None
    assert identity.agent == sent


@pytest.mark.parametrize(
    "agent",
    [
        "",
        "bot.example",
        "https://",
        "http://bot.example",
        "http://127.0.0.1.bot.example",
        "ftp://bot.example",
        "https://bot.example/.well-known/http-message-signatures-directory",
        "https://.",
        "https://bot,example",
        "https://[::1%25lo]",
        "https://bot.example?a=b",
        "https://me:s@bot.example",
        'https://bot.example"',
        "https://bot.example\r\nX: y",
        "https://bot.example:x",
        "https://bücher.example",
        "https://[::1",
    ],
)
def test_an_agent_that_is_no_https_origin_is_refused(key_file: str, agent: str) -> None:
    with pytest.raises(OptionError) as refused:
        load_identity(key_file, agent)
    assert "--signature_agent is " in str(refused.value)
    assert "https" in str(refused.value)


@pytest.mark.parametrize("name", ["Signature", "signature-input", "SIGNATURE-AGENT"])
def test_signatures_by_hand_and_by_the_program_are_not_mixed(key_file: str, name: str) -> None:
    by_hand = [f"{name}: x"]
    load_access(extra_headers=by_hand)
    with pytest.raises(OptionError, match="--sign_requests makes it"):
        load_access(extra_headers=by_hand, sign_requests=key_file, signature_agent=AGENT)


# What the operator publishes


def print_directory(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "img2dataset.fetching.http.key_directory", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=240)


def test_the_key_directory_has_the_public_half_and_no_more(key_file: str, key: Ed25519PrivateKey) -> None:
    done = print_directory(key_file)
    assert (done.returncode, done.stderr) == (0, "")
    public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    x = base64.urlsafe_b64encode(public).decode().rstrip("=")
    kid = thumbprint({"kty": "OKP", "crv": "Ed25519", "x": x})
    assert json.loads(done.stdout) == {
        "keys": [{"kty": "OKP", "crv": "Ed25519", "x": x, "kid": kid, "use": "sig"}]
    }


def test_the_headers_of_the_directory_prove_who_has_the_key(key_file: str, key: Ed25519PrivateKey) -> None:
    done = print_directory(key_file, "https://Bot.example:8443/")
    assert (done.returncode, done.stderr) == (0, "")
    headers = dict(line.split(": ", 1) for line in done.stdout.splitlines())
    assert headers["Content-Type"] == "application/http-message-signatures-directory+json"
    signed = headers["Signature-Input"].removeprefix("sig1=")
    assert signed.startswith('("@authority";req);created=')
    assert signed.endswith('tag="http-message-signatures-directory"')
    base = f'"@authority";req: bot.example:8443\n"@signature-params": {signed}'
    signature = base64.b64decode(headers["Signature"].removeprefix("sig1=:").removesuffix(":"))
    key.public_key().verify(signature, base.encode())


@pytest.mark.parametrize(
    ("words", "said"),
    [((), "usage: "), (("/nowhere",), "/nowhere"), (("KEY", "http://bot.example"), "it must be https")],
)
def test_the_directory_is_refused_in_one_line(key_file: str, words: tuple[str, ...], said: str) -> None:
    done = print_directory(*(key_file if word == "KEY" else word for word in words))
    assert done.returncode == 2
    (line,) = (done.stdout + done.stderr).splitlines()
    assert said in line
