"""``img2dataset consent OUTPUT --recheck``: what sites say now of the rows with an image."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import signal
import socket
import struct
import subprocess
import termios
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.imaging.consent.builders import jpeg, saying, xmp_segment
from tests.pictures import photograph
from tests.program.consents import consent, document, listed, said
from tests.program.contract import Maker
from tests.program.runs import COMMAND
from tests.program.test_faults import wait_until
from tests.servers import ImageServer
from tests.work_lines import without_work_lines

PICTURE = photograph(40, 30)
# Nothing is waited for: neither a host that is away, nor a network.
AT_ONCE = ("--timeout", "60", "--network_patience", "0", "--max_retry_after", "0")


@pytest.fixture
def site() -> Iterator[ImageServer]:
    with ImageServer() as server:
        yield server


def change(site: ImageServer, path: str, *headers: tuple[str, str], status: int = 200) -> None:
    """From now on the site answers so."""
    site.put(path, PICTURE if status == 200 else b"", status=status, headers=headers)


def test_what_is_reserved_now_is_listed_with_its_signal(make: Maker, site: ImageServer) -> None:
    names = ("free", "robots", "usage", "tag", "reserved", "path", "sold", "gone", "unsure")
    folder = make([site.put(f"/{name}.jpg", PICTURE) for name in names])
    site.put("/robots.txt", b"User-agent: *\nDisallow: /robots\n", "text/plain")
    site.put("/.well-known/tdmrep.json", b'[{"location": "/path", "tdm-reservation": 1}]')
    change(site, "/usage.jpg", ("Content-Usage", "train-ai=n"))
    change(site, "/tag.jpg", ("X-Robots-Tag", "noai"))
    change(site, "/reserved.jpg", ("tdm-reservation", "1"))
    change(site, "/sold.jpg", ("crawler-price", "EUR 0.02"), status=402)
    change(site, "/gone.jpg", status=410)
    change(site, "/unsure.jpg", ("X-Robots-Tag", "noarchive"))
    found = document(folder, "--recheck")
    assert listed(found) == [
        ("/robots.jpg", "reserved", "robots.txt", "Disallow: /robots"),
        ("/usage.jpg", "reserved", "content-usage", "train-ai=n"),
        ("/tag.jpg", "reserved", "x-robots-tag", "noai"),
        ("/reserved.jpg", "reserved", "tdm-reservation", "1"),
        ("/path.jpg", "reserved", "tdmrep.json", '{"location": "/path", "tdm-reservation": 1}'),
        ("/sold.jpg", "sold", "crawler-price", "EUR 0.02"),
        ("/gone.jpg", "not known", None, "HTTP 410"),
    ]
    counts = ("asked", "reserved", "sold", "not_known", "free", "removed", "stopped")
    assert [found[name] for name in counts] == [9, 5, 1, 1, 2, None, False]
    lines = said(folder, "--recheck").splitlines()
    assert lines[1].split("\t") == ["000000002", site.url("/usage.jpg"), "content-usage", "train-ai=n"]
    assert lines[6].split("\t") == ["000000007", site.url("/gone.jpg"), "not known", "HTTP 410"]
    assert "reserved now: 5; for sale: 1" in lines


def test_no_body_is_taken_and_what_is_refused_is_not_asked_for(make: Maker, site: ImageServer) -> None:
    names = ("hangs", "endless", "small", "no")
    urls = [site.put(f"/{name}.jpg", PICTURE) for name in names]
    folder = make([*urls, f"{urls[2]}?again"])
    site.put("/robots.txt", b"User-agent: *\nDisallow: /no.jpg\n", "text/plain")
    # Who wants their bodies waits in vain.
    for name, target in (("hangs", "/hang-in-body/a.jpg"), ("endless", "/endless-body/a.jpg")):
        site.put(f"/{name}.jpg", b"", status=302, headers=[("Location", site.url(target))])
    paths = [*(f"/{name}.jpg" for name in names), "/robots.txt"]
    before = [site.count(path) for path in paths]
    found = document(folder, "--recheck", "--timeout", "20")
    assert listed(found) == [("/no.jpg", "reserved", "robots.txt", "Disallow: /no.jpg")]
    assert found["free"] == 4
    after = [site.count(path) for path in paths]
    assert [there - here for here, there in zip(before, after, strict=True)] == [1, 1, 2, 0, 1]
    assert "Range: bytes=0-0" in (site.last_request("/small.jpg") or "")


def test_what_pictures_say_counts_as_it_was_kept(make: Maker, site: ImageServer) -> None:
    terms = ("DMI-PROHIBITED", "DMI-PROHIBITED-SEECONSTRAINT", "DMI-ALLOWED")
    for number, term in enumerate(terms):
        site.put(f"/{number}.jpg", jpeg(xmp_segment(saying(term))))
    folder = make([site.url(f"/{number}.jpg") for number in range(3)], save_consent=True)
    asked = site.count("/0.jpg")
    assert document(folder)["images_with_a_no"] == 2
    found = document(folder, "--recheck")
    assert listed(found) == [
        ("/0.jpg", "reserved", "iptc-data-mining", "DMI-PROHIBITED"),
        ("/1.jpg", "reserved", "iptc-data-mining", "DMI-PROHIBITED-SEECONSTRAINT"),
    ]
    assert (found["asked"], found["free"]) == (3, 1)
    assert site.count("/0.jpg") == asked
    assert document(folder, "--recheck", "--consent", "usual")["free"] == 3
    assert document(folder, "--recheck", "--remove")["removed"] == 2
    counts = document(folder)
    assert (counts["left_out"], counts["images_with_a_no"]) == ({"opt-out: IPTC data mining": 2}, 0)
    assert {"signal": "iptc-data-mining", "says": "no", "honoured": True, "rows": 1} in counts["signals"]


def test_a_site_that_is_away_or_cannot_tell_is_not_known(make: Maker, site: ImageServer) -> None:
    with ImageServer() as away, ImageServer() as broken:
        folder = make([server.put("/a.jpg", PICTURE) for server in (site, away, broken)])
        broken.put("/robots.txt", b"", status=503)
        away.close()
        # Nobody else gets its port.
        with socket.socket() as kept:
            kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            kept.bind(("127.0.0.1", away.port))
            found = document(folder, "--recheck", *AT_ONCE)
    assert listed(found) == [
        ("/a.jpg", "not known", None, "connection: refused"),
        ("/a.jpg", "not known", None, "opt-out: robots.txt unavailable"),
    ]
    assert (found["reserved"], found["free"]) == (0, 1)


def test_rows_without_an_image_and_captions_are_left_alone_and_rows_of_one_url_all_listed(
    make: Maker, site: ImageServer
) -> None:
    url = site.put("/a.jpg", PICTURE)
    folder = make([url, url, site.url("/missing.jpg")])
    change(site, "/a.jpg", ("X-Robots-Tag", "noai"))
    asked = site.count("/a.jpg"), site.count("/missing.jpg")
    assert [row["key"] for row in document(folder, "--recheck")["rows"]] == ["000000000", "000000001"]
    assert (site.count("/a.jpg"), site.count("/missing.jpg")) == (asked[0] + 1, asked[1])


def test_options_are_those_of_the_last_run_and_those_that_are_given(make: Maker, site: ImageServer) -> None:
    folder = make([site.put("/a.jpg", PICTURE)], user_agent_token="mine", contact="me@example.org")
    change(site, "/a.jpg", ("X-Robots-Tag", "mine: noai"), ("tdm-reservation", "1"))
    site.put("/robots.txt", b"User-agent: theirs\nDisallow: /\n", "text/plain")
    assert listed(document(folder, "--recheck"))[0][2] == "x-robots-tag"
    assert "(mine; contact: me@example.org; +" in (site.last_request("/a.jpg") or "")
    assert listed(document(folder, "--recheck", "--user_agent_token", "theirs"))[0][2] == "robots.txt"
    usual = document(folder, "--recheck", "--user_agent_token=other", "--consent", "usual")
    assert (listed(usual), usual["free"]) == ([], 1)


def test_an_option_of_the_last_run_that_fails_now_is_not_left_out_in_silence(
    make: Maker, site: ImageServer, tmp_path: Path
) -> None:
    policies = tmp_path / "policies.yaml"
    policies.write_text("127.0.0.1: {connections: 1}")
    named = {"user_agent_token": "mine", "contact": "me@example.org", "host_policies": policies}
    folder = make([site.put("/a.jpg", PICTURE)], **named)
    change(site, "/a.jpg", ("X-Robots-Tag", "mine: noai"))
    policies.unlink()
    asked = site.count("/a.jpg")
    done = consent(folder, "--recheck")
    assert (done.returncode, done.stdout, done.stderr.count("\n"), site.count("/a.jpg")) == (2, "", 1, asked)
    assert f"--host_policies {policies} cannot be read" in done.stderr
    assert "So it was in the folder's last run: give this option anew" in done.stderr
    assert listed(document(folder, "--recheck", "--host_policies", "None"))[0][2] == "x-robots-tag"
    log = next(Path(folder).glob(".img2dataset_runs/log/*driver*"))
    log.write_text(log.read_text().replace('"contact":"me@example.org"', '"contact":"\\n"'))
    done = consent(folder, "--recheck", "--host_policies", "None")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "--contact is " in done.stderr


@pytest.mark.parametrize("output_format", ["files", "parquet", "tfrecord"])
def test_every_format_and_many_shards(make: Maker, site: ImageServer, output_format: str) -> None:
    urls = [site.put(f"/{n}.jpg", PICTURE) for n in range(20)]
    folder = make(urls, output_format=output_format, number_sample_per_shard=3)
    for n in (0, 7, 19):
        change(site, f"/{n}.jpg", ("X-Robots-Tag", "noai"))
    found = document(folder, "--recheck")
    assert [row[0] for row in listed(found)] == ["/0.jpg", "/7.jpg", "/19.jpg"]
    assert (found["asked"], found["free"]) == (20, 17)


def test_metadata_that_cannot_be_read_are_told_and_the_rest_is_asked(make: Maker, site: ImageServer) -> None:
    folder = make([site.put(f"/{n}.jpg", PICTURE) for n in range(4)], number_sample_per_shard=2)
    (folder / "00000.parquet").write_bytes(b"PAR1 no longer")
    done = consent(folder, "--recheck", "--json", cwd=folder)
    assert done.returncode == 1
    assert done.stderr.startswith("WARNING: the metadata of shard 00000 cannot be read")
    assert json.loads(done.stdout)["free"] == 2


def test_rows_that_cannot_be_asked_for_are_told(make: Maker, site: ImageServer) -> None:
    folder = make([site.put(f"/{n}.jpg", PICTURE) for n in range(3)], number_sample_per_shard=1)
    pq.write_table(pq.read_table(folder / "00000.parquet").drop_columns(["key"]), folder / "00000.parquet")
    (folder / "00001.parquet").unlink()
    done = consent(folder, "--recheck", "--json")
    assert (done.returncode, json.loads(done.stdout)["free"]) == (1, 1)
    assert done.stderr.splitlines() == [
        "WARNING: the metadata of 1 shard are missing",
        "WARNING: the metadata of shard 00000 have no column key",
    ]
    dummy = consent(make([site.url("/0.jpg")], output_format="dummy"), "--recheck")
    assert (dummy.returncode, dummy.stdout, dummy.stderr.count("\n")) == (1, "", 1)
    assert "keeps no rows that could be asked for again" in dummy.stderr


def test_a_signal_ends_it_with_what_was_found(make: Maker, site: ImageServer) -> None:
    folder = make([site.put("/a.jpg", PICTURE), site.put("/slow.jpg", PICTURE)])
    change(site, "/a.jpg", ("X-Robots-Tag", "noai"))
    site.put("/slow.jpg", PICTURE, latency_s=280)
    asked = site.count("/slow.jpg")
    command = [COMMAND, "consent", folder, "--recheck", "--remove", "--json", "--timeout", "250"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        wait_until(lambda: site.count("/slow.jpg") > asked, process)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=200)
    assert process.returncode == 130
    assert "Traceback" not in err
    found = json.loads(out)
    assert (found["stopped"], found["removed"]) == (True, 0)
    assert [row[0] for row in listed(found)] in ([], ["/a.jpg"])
    assert not list(Path(folder).glob(".tmp/*"))


def test_a_proxy_that_is_given_is_used(make: Maker, site: ImageServer) -> None:
    folder = make([site.put("/a.jpg", PICTURE)])
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        proxy = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        asked = site.count("/a.jpg")
        found = document(folder, "--recheck", "--proxy", proxy, *AT_ONCE)
    assert (found["not_known"], site.count("/a.jpg")) == (1, asked)


def test_when_nobody_reads_the_list_sites_are_asked_no_more(make: Maker, site: ImageServer) -> None:
    folder = make([site.put(f"/{n}.jpg", PICTURE) for n in range(12)], number_sample_per_shard=4)
    for n in range(4):
        change(site, f"/{n}.jpg", ("X-Robots-Tag", "noai"))
    for n in range(4, 12):
        site.put(f"/{n}.jpg", PICTURE, latency_s=280)
    command = [COMMAND, "consent", folder, "--recheck", "--timeout", "250"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.wait(200) == 0
        assert process.stderr is not None
        assert without_work_lines(process.stderr.read().decode()) == ""


def test_what_takes_long_shows_on_a_terminal_how_far_it_is(make: Maker, site: ImageServer) -> None:
    folder = make([site.put("/a.jpg", PICTURE)])
    site.put("/a.jpg", PICTURE, latency_s=280)
    here, there = pty.openpty()
    fcntl.ioctl(there, termios.TIOCSWINSZ, struct.pack("4H", 24, 80, 0, 0))
    command = [COMMAND, "consent", folder, "--recheck", "--timeout", "250"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=there) as process:
        os.close(there)
        shown = b""
        while b"0/1 " not in shown:
            shown += os.read(here, 1000)
        process.send_signal(signal.SIGTERM)
        assert process.wait(200) == 143
    os.close(here)
    assert b"rows" in shown
