"""Runs with one thing wrong in each, made by real servers: the first finding names the cause."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from img2dataset import failures
from img2dataset.api import run
from img2dataset.options import resolve
from img2dataset.reporting.facts import Facts
from img2dataset.reporting.findings import FindingKind, find, hopeless
from img2dataset.reporting.findings.finding import PAGE
from img2dataset.reporting.surroundings import Surroundings
from tests.pictures import photograph
from tests.program.runs import serve_photographs
from tests.servers import ImageServer, TestAuthority

ROWS = 40
HERE = Surroundings(cores=2, processes=2, memory=8_000_000_000, name_servers=("192.0.2.53",))
Made = tuple[list[str], dict[str, Any]]
Trouble = Callable[[ImageServer, TestAuthority, Path], Made]


@pytest.fixture
def silent_name_server() -> Iterator[str]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{server.getsockname()[1]}"


def queries(url: str) -> list[str]:
    return [f"{url}?{row}" for row in range(ROWS)]


def no_urls(server: ImageServer, authority: TestAuthority, folder: Path) -> Made:
    return [f"a photograph of thing number {row}" for row in range(ROWS)], {}


def web_pages(server: ImageServer, authority: TestAuthority, folder: Path) -> Made:
    return queries(server.put("/page", b"<!DOCTYPE html><html><title>Gone</title></html>")), {}


def forbidden(server: ImageServer, authority: TestAuthority, folder: Path) -> Made:
    return [server.url(f"/status/403?{row}", host=row % 16 + 1) for row in range(ROWS)], {}


def limited(server: ImageServer, authority: TestAuthority, folder: Path) -> Made:
    return queries(server.url("/status/429")), {"max_retry_after": 0.1}


def refused(server: ImageServer, authority: TestAuthority, folder: Path) -> Made:
    return [f"http://127.0.0.{row + 2}:1/{row}.jpg" for row in range(ROWS)], {}


def gone(server: ImageServer, authority: TestAuthority, folder: Path) -> Made:
    return [server.url(f"/status/404?{row}", host=row % 16 + 1) for row in range(ROWS)], {}


def failing(server: ImageServer, authority: TestAuthority, folder: Path) -> Made:
    return [server.url(f"/status/500?{row}", host=row % 16 + 1) for row in range(ROWS)], {}


def silent(server: ImageServer, authority: TestAuthority, folder: Path) -> Made:
    urls = [server.url(f"/hang-before-headers?{row}", host=row + 1) for row in range(8)]
    return urls, {"timeout": 1}


def filtered(server: ImageServer, authority: TestAuthority, folder: Path) -> Made:
    return queries(server.put("/small.jpg", photograph(60, 50))), {"min_image_size": 100}


def opted_out(server: ImageServer, authority: TestAuthority, folder: Path) -> Made:
    url = server.put("/noai.jpg", photograph(90, 80), headers=[("X-Robots-Tag", "noai")])
    return queries(url), {"disallowed_header_directives": ["noai"]}


def for_sale(server: ImageServer, authority: TestAuthority, folder: Path) -> Made:
    url = server.put("/sold.jpg", b"", status=402, headers=[("crawler-price", "USD 0.01")])
    return queries(url), {}


def cut_short(server: ImageServer, authority: TestAuthority, folder: Path) -> Made:
    return queries(server.put("/cut.jpg", photograph(300, 200)[:200])), {}


def unknown_authority(server: ImageServer, authority: TestAuthority, folder: Path) -> Made:
    return ["https" + url.removeprefix("http") for url in queries(server.url("/any.jpg"))], {}


def proxy_is_gone(server: ImageServer, authority: TestAuthority, folder: Path) -> Made:
    return queries(server.url("/any.jpg")), {"proxy": ["http://127.0.0.1:1"]}


def private(server: ImageServer, authority: TestAuthority, folder: Path) -> Made:
    return queries(server.url("/any.jpg")), {"private_addresses": "deny"}


def repeated(server: ImageServer, authority: TestAuthority, folder: Path) -> Made:
    photographs = serve_photographs(server, 4)
    return photographs * 10, {}


def unknown_scheme(server: ImageServer, authority: TestAuthority, folder: Path) -> Made:
    return [f"ftp://127.0.0.1/{row}.jpg" for row in range(ROWS)], {}


TROUBLES: dict[Trouble, FindingKind] = {
    no_urls: FindingKind.WRONG_COLUMN,
    web_pages: FindingKind.NOT_IMAGES,
    forbidden: FindingKind.FORBIDDEN,
    limited: FindingKind.HOST_LIMITS,
    refused: FindingKind.NOT_CONNECTED,
    gone: FindingKind.LINK_ROT,
    failing: FindingKind.SERVERS_FAIL,
    silent: FindingKind.TOO_SLOW,
    filtered: FindingKind.FILTERED,
    opted_out: FindingKind.OPT_OUTS,
    for_sale: FindingKind.SOLD,
    cut_short: FindingKind.UNREADABLE,
    proxy_is_gone: FindingKind.PROXY,
    private: FindingKind.NOT_ALLOWED,
    repeated: FindingKind.DUPLICATES,
    unknown_scheme: FindingKind.NOT_ALLOWED,
}


def run_of(urls: list[str], folder: Path, **options: Any) -> Any:
    (folder / "list.txt").write_text("\n".join(urls))
    usual = {"processes_count": 1, "image_size": 64, "timeout": 5, "retries": 0}
    given = {"url_list": str(folder / "list.txt"), "output_folder": str(folder / "out"), **usual, **options}
    return run(resolve(given))


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda trouble: trouble.__name__)
def test_the_first_finding_names_the_cause(
    trouble: Trouble, image_server: ImageServer, certificates: TestAuthority, tmp_path: Path
) -> None:
    urls, options = trouble(image_server, certificates, tmp_path)
    summary = run_of(urls, tmp_path, **options)
    assert summary.count == len(urls)
    first = summary.findings[0]
    assert first.kind is TROUBLES[trouble], summary
    told = " ".join(str(summary).split())
    assert f"{first.title}: {first.cause} -> {first.remedy}" in told
    failed = summary.count - summary.successes
    assert first.evidence["rows"] == (failed if trouble is not repeated else ROWS - 4)


def test_names_that_nobody_answers_for(silent_name_server: str, tmp_path: Path) -> None:
    urls = [f"http://host{row}.example.org/{row}.jpg" for row in range(8)]
    options = {"dns_servers": [silent_name_server], "timeout": 2, "network_patience": 0}
    summary = run_of(urls, tmp_path, **options)
    assert summary.findings[0].kind in (FindingKind.NAMES_FAIL, FindingKind.NO_NETWORK)
    assert silent_name_server in summary.findings[0].cause


HOSTS = 5


def facts_of(hosts: int = HOSTS, **messages: int) -> Facts:
    """Facts of rows that failed; ``messages`` by the names of failures, in small letters."""
    facts = Facts(count=sum(messages.values()), measured=sum(messages.values()))
    for name, rows in messages.items():
        text = "success" if name == "success" else getattr(failures, name.upper())
        facts.messages[text] = rows
        for host in range(hosts):
            facts.troubles.setdefault(f"{host}.example", facts.messages.__class__())[text] += rows // hosts
    facts.successes = messages.get("success", 0)
    return facts


@pytest.mark.parametrize(
    ("messages", "kind"),
    [
        ({"tls_not_yet_valid": 90, "success": 10}, FindingKind.CLOCK),
        ({"tls_expired": 95, "success": 5}, FindingKind.CLOCK),
        ({"tls_expired": 5, "success": 95}, FindingKind.CERTIFICATES),
        ({"tls_unknown_issuer": 100}, FindingKind.CERTIFICATES),
        ({"connection_unreachable": 50, "success": 50}, FindingKind.NO_NETWORK),
        ({"dns_unreachable": 50, "success": 50}, FindingKind.NO_NETWORK),
        ({"dns_temporary": 40, "dns_not_found": 10, "success": 50}, FindingKind.NAMES_FAIL),
        ({"dns_not_found": 40, "success": 60}, FindingKind.LINK_ROT),
        ({"hash_mismatch": 15, "success": 85}, FindingKind.HASHES),
        ({"stored_no_file": 15, "success": 85}, FindingKind.STORED),
        ({"too_large_body": 15, "success": 85}, FindingKind.TOO_LARGE),
        ({"internal_error": 15, "success": 85}, FindingKind.OWN_ERRORS),
    ],
)
def test_what_failures_say(messages: dict[str, int], kind: FindingKind) -> None:
    found = find(facts_of(**messages), HERE)
    assert found[0].kind is kind, found
    assert all(finding.title and finding.cause and finding.remedy for finding in found)


@pytest.mark.parametrize(
    ("waited_s", "hosts", "kind"),
    [
        ({"network": 10.0}, {}, FindingKind.BOUND_BY_CPU),
        ({"network": 70.0}, {}, FindingKind.BOUND_BY_NETWORK),
        ({"names": 30.0, "network": 10.0}, {}, FindingKind.NAMES_SLOW),
        ({"store": 60.0}, {}, FindingKind.BOUND_BY_STORE),
        ({"list": 60.0}, {}, FindingKind.BOUND_BY_LIST),
        ({"hosts": 40.0, "last answers": 20.0}, {"one.example": 900}, FindingKind.BOUND_BY_HOSTS),
    ],
)
def test_what_is_waited_for(waited_s: dict[Any, float], hosts: dict[str, int], kind: FindingKind) -> None:
    facts = Facts(count=1000, successes=1000, measured=1000, worker_s=100.0, cpu_s=80.0, waited_s=waited_s)
    facts.hosts.update(hosts)
    assert find(facts, HERE)[0].kind is kind


def test_a_short_run_says_nothing_of_speed() -> None:
    facts = Facts(count=100, successes=100, measured=100, worker_s=3.0, waited_s={"network": 2.5})
    assert find(facts, HERE) == []


def test_memory_that_is_nearly_used_up_is_told() -> None:
    facts = Facts(count=1000, successes=1000, memory=3_900_000_000)
    assert [finding.kind for finding in find(facts, HERE)] == [FindingKind.MEMORY]


def of_hosts(facts: Facts, hosts: int) -> Facts:
    facts.hosts.update({f"{number}.example": 100 for number in range(hosts)})
    return facts


def test_every_failure_has_a_finding() -> None:
    texts = [str(kind.text) + ("x" if kind.text[-1:] == " " else "") for kind in failures.KINDS]
    texts = [text for text in texts if not text.startswith("HTTP ")]
    texts += [
        f"HTTP {status}" for status in (204, 300, 400, 402, 405, 410, 414, 416, 418, 429, 431, 500, 503)
    ]
    for text in texts:
        facts = Facts(count=50, measured=50)
        facts.messages[text] = 50
        found = find(facts, HERE)
        assert [finding.evidence["rows"] for finding in found] == [50], text


def test_one_host_of_bad_certificates_is_not_this_machines_clock() -> None:
    of_one = facts_of(hosts=1, tls_expired=90, success=10)
    assert find(of_one, HERE)[0].kind is FindingKind.CERTIFICATES
    assert hopeless(of_hosts(facts_of(tls_expired=2000), 1), HERE) is None


def test_rows_without_url_at_the_beginning_of_a_sorted_list_end_no_run(
    image_server: ImageServer, tmp_path: Path
) -> None:
    photographs = serve_photographs(image_server, 4)
    lines = ["url", *('""' for _ in range(1500)), *photographs]
    (tmp_path / "list.csv").write_text("\n".join(lines))
    given = {"url_list": str(tmp_path / "list.csv"), "output_folder": str(tmp_path / "out"), "image_size": 64}
    summary = run(
        resolve({**given, "input_format": "csv", "processes_count": 1, "number_sample_per_shard": 500})
    )
    assert summary.exit_status == 0
    assert summary.successes == 4


def test_a_run_is_hopeless_only_where_the_reason_is_on_this_side() -> None:
    ours, theirs = facts_of(url_no_scheme=1000), facts_of(connection_refused=1000)
    assert hopeless(ours, HERE) is not None
    assert hopeless(theirs, HERE) is None
    assert hopeless(facts_of(url_no_scheme=999), HERE) is None
    assert hopeless(facts_of(url_no_scheme=1000, success=1), HERE) is None
    assert hopeless(facts_of(url_missing=1000), HERE) is None
    assert hopeless(of_hosts(facts_of(dns_timeout=1000), 10), HERE) is not None
    assert hopeless(of_hosts(facts_of(dns_timeout=1000), 9), HERE) is None


@pytest.mark.parametrize("stop_early", [True, False])
def test_a_run_without_any_url_ends_early_unless_it_is_told_not_to(stop_early: bool, tmp_path: Path) -> None:
    urls = [f"a photograph, number {row}" for row in range(6000)]
    summary = run_of(urls, tmp_path, number_sample_per_shard=500, stop_early=stop_early)
    if stop_early:
        assert summary.exit_status == 1
        assert summary.count < 6000
        assert "stopped early" in str(summary)
        assert "--url_col" in str(summary)
    else:
        assert summary.exit_status == 0
        assert summary.count == 6000


def test_every_kind_has_its_section_in_the_documentation() -> None:
    page = Path(__file__).parents[2].joinpath(PAGE).read_text()
    headings = [
        line[3:].lower().replace(" ", "-").replace("'", "") for line in page.splitlines() if line[:3] == "## "
    ]
    assert {kind.value for kind in FindingKind} <= set(headings)


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        ({"HTTP 500": 9}, "--incremental_mode retry_failed later"),
        ({"protocol: not HTTP": 9}, "retry_failed leaves them out"),
        ({"protocol: not HTTP": 4, "HTTP 500": 5}, "asks again for 5 of them"),
    ],
)
def test_nobody_is_told_to_retry_what_retry_failed_leaves_out(messages: dict[str, int], said: str) -> None:
    facts = Facts(count=9, failed_to_download=9)
    facts.messages.update(messages)
    (finding,) = [each for each in find(facts, HERE) if each.kind is FindingKind.SERVERS_FAIL]
    assert finding.remedy.endswith(said)
