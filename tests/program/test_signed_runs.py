"""Whole runs whose requests are signed: what the servers see, and that the key is written nowhere."""

from __future__ import annotations

import base64
import json
import os
import pickle
import re
import subprocess
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from img2dataset.distributing.engine import engine_settings
from img2dataset.distributing.member import member_task
from img2dataset.options import from_texts, read_words, resolve
from img2dataset.settings import work_settings
from img2dataset.training import stream
from tests.fetching.http.conftest import key, key_file
from tests.fetching.http.message_signatures import verify_request
from tests.fetching.http.signing_keys import AGENT
from tests.pictures import photograph
from tests.program.runs import COMMAND, run, serve_photographs
from tests.servers import ImageServer, TestAuthority

__all__ = ["key", "key_file"]  # fixtures


def forms_of(key: Ed25519PrivateKey) -> list[bytes]:
    """How the key could be written down."""
    raw = key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
    der = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    texts = [raw.hex().encode(), base64.b64encode(raw), base64.b64encode(der), base64.urlsafe_b64encode(raw)]
    return [raw, *(text.rstrip(b"=") for text in texts)]


@pytest.mark.parametrize("https", [False, True])
def test_all_processes_of_a_run_sign_and_none_writes_the_key(
    https: bool, key: Ed25519PrivateKey, key_file: str, certificates: TestAuthority, tmp_path: Path
) -> None:
    with ImageServer(certificates.certificate() if https else None) as server:
        urls = serve_photographs(server, 40)
        lines = [url.replace("127.0.0.1", f"127.0.0.{1 + n % 3}") for n, url in enumerate(urls)]
        (tmp_path / "list.txt").write_text("\n".join(lines))
        done = run(
            url_list=tmp_path / "list.txt",
            output_folder=tmp_path / "out",
            processes_count=2,
            number_sample_per_shard=10,
            sign_requests=key_file,
            signature_agent=AGENT,
            log_level="debug",
            **({"ca_bundle": certificates.authority_file} if https else {}),
        )
        assert done.returncode == 0, done.stderr
        for url in urls:
            head = server.last_request(url.partition(str(server.port))[2]) or ""
            assert verify_request(head, key.public_key(), time.time(), server.scheme).agent == AGENT
    stats = [json.loads(path.read_text()) for path in (tmp_path / "out").glob("*_stats.json")]
    assert sum(one["successes"] for one in stats) == 40
    written = [path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert len(written) > 40
    for form in forms_of(key):
        assert not any(form in content for content in [*written, done.stdout.encode(), done.stderr.encode()])


def test_a_stream_signs(key: Ed25519PrivateKey, key_file: str) -> None:
    with ImageServer() as server:
        rows = [{"url": server.put("/streamed.jpg", photograph(60, 40, seed=1))}]
        (sample,) = stream(
            rows, processes_count=1, image_size=32, sign_requests=key_file, signature_agent=AGENT
        )
        assert sample.status == "success"
        verify_request(server.last_request("/streamed.jpg") or "", key.public_key(), time.time())


def test_a_machine_of_a_cluster_is_told_the_key_itself(
    key: Ed25519PrivateKey, key_file: str, tmp_path: Path
) -> None:
    words = [
        f"--url_list={tmp_path / 'list.txt'}",
        f"--sign_requests={key_file}",
        f"--signature_agent={AGENT}",
    ]
    options = resolve(from_texts(read_words(words).texts))
    task = pickle.loads(pickle.dumps(member_task(engine_settings(options), work_settings(options))))
    os.unlink(key_file)
    signing = task.work.fetch.access.signing
    assert signing is not None
    assert signing.private_key().public_key() == key.public_key()
    assert signing.agent == AGENT


@pytest.mark.parametrize("kind", ["slurm", "kubernetes", "ray", "spark"])
def test_a_job_file_names_the_key_file_and_has_not_its_content(
    kind: str, key: Ed25519PrivateKey, key_file: str, tmp_path: Path
) -> None:
    (tmp_path / "list.txt").write_text("http://127.0.0.1/a.jpg\n")
    words = [f"--url_list={tmp_path / 'list.txt'}", f"--output_folder={tmp_path / 'out'}"]
    words += [f"--sign_requests={key_file}", f"--signature_agent={AGENT}"]
    words += ["--world_size=2"] if kind in ("slurm", "kubernetes") else []
    done = subprocess.run([COMMAND, "emit", kind, *words], capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert re.search(rb"sign_requests\W+" + re.escape(os.fsencode(key_file)), done.stdout)
    for form in forms_of(key):
        assert form not in done.stdout


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"sign_requests": "KEY"}, "without --signature_agent"),
        ({"signature_agent": AGENT}, "without --sign_requests"),
        ({"sign_requests": "/nowhere/key.pem", "signature_agent": AGENT}, "/nowhere/key.pem"),
        ({"sign_requests": "KEY", "signature_agent": "http://bot.example"}, "it must be https"),
    ],
)
def test_what_is_wrong_is_said_in_one_line_before_anything_is_begun(
    options: dict[str, str], named: str, key_file: str, tmp_path: Path
) -> None:
    (tmp_path / "list.txt").write_text("http://127.0.0.1/a.jpg\n")
    given = {name: key_file if value == "KEY" else value for name, value in options.items()}
    done = run(url_list=tmp_path / "list.txt", output_folder=tmp_path / "out", **given)
    assert done.returncode == 2
    (line,) = done.stderr.strip().splitlines()
    assert named in line
    assert not (tmp_path / "out").exists()
