"""The page is for who has its address, on this machine, and nobody else."""

from __future__ import annotations

import contextlib
import http.client
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from prometheus_client.parser import text_string_to_metric_families

from img2dataset.errors import OutputError
from img2dataset.reporting.live import LivePage, live_page, server
from img2dataset.reporting.live.metrics import metrics_page
from img2dataset.storage.locations import locate
from tests.reporting.live.test_command import port_that_stays_free
from tests.reporting.test_event_log import logged


@pytest.fixture
def page(tmp_path: Path) -> Iterator[LivePage]:
    logged(str(tmp_path))
    page = LivePage(locate(str(tmp_path), "output_folder", OutputError), "out", dict)
    yield page
    page.close()


def asked(
    page: LivePage, path: str, token: str | None = None, **headers: str
) -> tuple[int, str, dict[str, str]]:
    address = urlsplit(page.url)
    query = address.query if token is None else f"token={token}"
    connection = http.client.HTTPConnection("127.0.0.1", address.port, timeout=60)
    joined = "&" if "?" in path else "?"
    method = headers.pop("method", "GET")
    connection.request(method, f"{path}{joined}{query}" if token != "" else path, headers=headers)
    response = connection.getresponse()
    return response.status, response.read().decode(errors="replace"), dict(response.getheaders())


@pytest.mark.parametrize("path", ["/", "/view", "/image?key=0", "/metrics", "/nothing"])
@pytest.mark.parametrize("token", ["", "wrong", "%FF", "%C3%A9"])
def test_nothing_is_said_to_who_does_not_know_the_token(page: LivePage, path: str, token: str) -> None:
    status, body, _ = asked(page, path, token)
    assert status == 403
    assert "token" in body
    assert "list.txt" not in body


@pytest.mark.parametrize(
    "host", ["attacker.example", "attacker.example:80", "127.0.0.1.attacker.example", ""]
)
def test_a_page_of_another_name_that_points_here_is_refused(page: LivePage, host: str) -> None:
    status, body, _ = asked(page, "/view", Host=host)
    assert status == 403
    assert "list.txt" not in body


@pytest.mark.parametrize("host", ["127.0.0.1:1", "localhost", "LOCALHOST:9000", "[::1]:80"])
def test_the_page_is_served_to_names_of_loopback_at_any_port(page: LivePage, host: str) -> None:
    """An ssh tunnel has a port of its own."""
    assert asked(page, "/view", Host=host)[0] == 200


def test_no_other_site_may_read_or_embed_the_page(page: LivePage) -> None:
    for path in ("/", "/view", "/metrics"):
        _, _, headers = asked(page, path, Origin="http://attacker.example")
        assert not [name for name in headers if name.lower().startswith("access-control")]
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_the_page_only_reads(page: LivePage, method: str) -> None:
    assert asked(page, "/view", method=method)[0] == 501


def test_the_page_listens_on_loopback_alone(page: LivePage) -> None:
    port = urlsplit(page.url).port
    with socket.socket() as other:
        other.settimeout(2)
        # 127.0.0.2 is this machine too: who listens on every address would answer there.
        assert other.connect_ex(("127.0.0.2", port)) != 0


def is_closed(connection: socket.socket) -> bool:
    """Waits for it."""
    connection.settimeout(60)
    try:
        return connection.recv(1) == b""
    except TimeoutError:
        return False
    except ConnectionError:
        return True


def test_idle_connections_are_bounded_and_ended(page: LivePage) -> None:
    address = "127.0.0.1", urlsplit(page.url).port
    began = time.monotonic()
    with contextlib.ExitStack() as stack:
        idle = [
            stack.enter_context(socket.create_connection(address)) for _ in range(server.MOST_CONNECTIONS)
        ]
        for _ in range(3):
            assert is_closed(stack.enter_context(socket.create_connection(address)))
        # Others were refused; this one is ended for being idle alone, if the machine was as slow as that.
        assert not is_closed_now(idle[0]) or time.monotonic() - began > server.HEAD_TIMEOUT_S
        # Byte by byte, a head is no more welcome.
        for _ in range(300):
            time.sleep(0.1)
            with contextlib.suppress(OSError):
                idle[0].send(b"G")
            if is_closed_now(idle[0]):
                break
        assert is_closed_now(idle[0])
        assert all(is_closed(each) for each in idle[1:])
        assert asked(page, "/view")[0] == 200


def is_closed_now(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return connection.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True
    finally:
        connection.setblocking(True)


def test_a_port_that_is_taken_is_not_the_end(tmp_path: Path) -> None:
    port = port_that_stays_free()
    with socket.create_server(("127.0.0.1", port)):
        page = LivePage(locate(str(tmp_path), "output_folder", OutputError), "out", dict, port)
        assert urlsplit(page.url).port != port
        page.close()
    page = LivePage(locate(str(tmp_path), "output_folder", OutputError), "out", dict, port)
    assert urlsplit(page.url).port == port
    page.close()


def test_a_page_that_nobody_watches_ends_at_once(page: LivePage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_page, "LAST_VIEW_S", 120.0)
    began = time.monotonic()
    page.close()
    assert time.monotonic() - began < 60


def test_prometheus_reads_the_metrics(page: LivePage) -> None:
    token = urlsplit(page.url).query.removeprefix("token=")
    status, text, headers = asked(page, "/metrics", "", Authorization=f"Bearer {token}")
    assert status == 200
    assert headers["Content-Type"].startswith("text/plain; version=0.0.4")
    found = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert found["img2dataset_rows_total", "success"] == 21
    assert found["img2dataset_shards_total", "done"] == 3
    assert found["img2dataset_list_rows",] == 1000
    assert found["img2dataset_failures_total", "HTTP 404"] == 6
    assert found["img2dataset_host_failed_rows_total", "b.example"] == 6
    assert found["img2dataset_downloaded_bytes_total",] == 15000
    assert found["img2dataset_running",] == 0


@pytest.mark.parametrize(
    "reason", ['say "x"', "back\\slash", "two\nlines", "lone \ud800 surrogate", "é\x1b["]
)
def test_what_strangers_wrote_is_a_label_and_nothing_else(reason: str) -> None:
    text = metrics_page({"state": "ended", "failures": [{"message": reason, "rows": 2}]})
    text.encode()
    families = list(text_string_to_metric_families(text))
    (sample,) = next(family for family in families if family.name == "img2dataset_failures").samples
    assert sample.labels["reason"] == reason.replace("\ud800", "?")
    assert [family.name for family in families] == ["img2dataset_failures", "img2dataset_running"]
