"""A run whose requests are signed, on whatever version of the package that signs is installed."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.fetching.http.message_signatures import verify_request
from tests.pictures import photograph
from tests.program.runs import run
from tests.servers import ImageServer


@pytest.mark.parametrize("form", ["PEM", "JWK"])
def test_a_run_is_signed_with_a_key_in_either_form(
    image_server: ImageServer, tmp_path: Path, form: str
) -> None:
    key, file = Ed25519PrivateKey.generate(), tmp_path / "key"
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    if form == "JWK":
        private = key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
        d = base64.urlsafe_b64encode(private).decode().rstrip("=")
        file.write_text(json.dumps({"kty": "OKP", "crv": "Ed25519", "d": d}))
    path = f"/small-signed-{form}.jpg"
    (tmp_path / "list.txt").write_text(image_server.put(path, photograph(60, 40, seed=1)) + "\n")
    done = run(
        url_list=tmp_path / "list.txt",
        output_folder=tmp_path / "out",
        processes_count=1,
        sign_requests=file,
        signature_agent="https://bot.example",
    )
    assert done.returncode == 0, done.stderr
    verify_request(image_server.last_request(path) or "", key.public_key(), time.time())
    command = [sys.executable, "-m", "img2dataset.fetching.http.key_directory", str(file)]
    (published,) = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)["keys"]
    assert "d" not in published
