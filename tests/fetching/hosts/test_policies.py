"""What hosts ask for in writing: whose policy a host has, and how a file of them is read."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

from img2dataset.errors import OptionError
from img2dataset.fetching.hosts.policies import NO_POLICY, HostPolicies, HostPolicy
from img2dataset.fetching.hosts.policy_files import load_policies
from img2dataset.fetching.hosts.politeness import HostBounds, HostManners, host_of
from img2dataset.options import resolve
from img2dataset.settings import fetch_settings

WIKIMEDIA = "upload.wikimedia.org"


def load(tmp_path: Path, text: str | bytes) -> HostPolicies:
    path = tmp_path / "policies.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_policies(str(path))


def manners_of_run(tmp_path: Path, policies: str | None = None, **options: Any) -> HostManners:
    if policies is not None:
        (tmp_path / "own.yaml").write_text(policies)
        options["host_policies"] = tmp_path / "own.yaml"
    return fetch_settings(resolve({"url_list": "list.txt", "output_folder": str(tmp_path), **options}))


def test_wikimedia_is_known_with_what_its_robot_policy_says() -> None:
    policy = load_policies(None).of(host_of(f"https://{WIKIMEDIA}:443/wikipedia/commons/a.jpg"))
    assert (policy.connections, policy.bytes_per_s, policy.needs_contact) == (2, 25e6 / 8, True)
    assert policy.source.startswith("https://wikitech.wikimedia.org/")
    assert policy.date == "2025-04-08"


@pytest.mark.parametrize(
    ("host", "named"),
    [
        ("a.example", "a.example"),
        ("a.example.", "a.example"),
        ("a.example:8080", "a.example"),
        ("a.example:81", "a.example:81"),
        ("b.a.example", "*.a.example"),
        ("c.b.a.example:99", "*.a.example"),
        ("c.b.a.example:81", "*.a.example:81"),
        ("d.c.b.a.example", "*.c.b.a.example"),
        ("aa.example", ""),
        ("example", ""),
        ("127.0.0.1:8000", "127.0.0.1:8000"),
        ("127.0.0.1:8001", ""),
        ("[::1]:8000", "[::1]"),
        ("[::1]", "[::1]"),
    ],
)
def test_the_policy_that_names_a_host_most_closely_is_its(host: str, named: str) -> None:
    names = ["a.example", "a.example:81", "*.a.example", "*.a.example:81", "*.c.b.a.example"]
    policies = HostPolicies([HostPolicy(host=name) for name in [*names, "127.0.0.1:8000", "[::1]"]])
    assert policies.of(host).host == named
    assert pickle.loads(pickle.dumps(policies)).of(host).host == named


def test_the_users_file_replaces_what_is_known_of_the_hosts_that_it_names(tmp_path: Path) -> None:
    policies = load(tmp_path, "'*.wikimedia.org':\n  connections: 4\n'[::1]:8000': {contact: true}\n")
    assert policies.of(WIKIMEDIA) == HostPolicy(host="*.wikimedia.org", connections=4, is_users=True)
    assert policies.of("[::1]:8000").needs_contact
    others = load(tmp_path, '{"BÜCHER.example": {"mbit_per_s": 8, "requests_per_s": 0.5}}')
    assert others.of(WIKIMEDIA).connections == 2
    assert others.of("xn--bcher-kva.example").bytes_per_s == 1e6
    assert others.of("bücher.example") is NO_POLICY, "hosts are named as they are requested"


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("a.example:\n  conections: 2", "'conections' for 'a.example' (did you mean connections?)"),
        ("a.example:\n  connections: -1", "connections: -1 for 'a.example'; it takes a whole number"),
        ("a.example:\n  connections: 1.5", "connections: 1.5 for 'a.example'"),
        ("a.example:\n  connections: true", "connections: True for 'a.example'"),
        ("a.example:\n  connections:", "connections: None for 'a.example'"),
        ("a.example:\n  mbit_per_s: 0", "mbit_per_s: 0 for 'a.example'; it takes a number from 0.001"),
        ("a.example:\n  mbit_per_s: .inf", "mbit_per_s: inf for 'a.example'"),
        ("a.example:\n  mbit_per_s: 1" + "0" * 400, "mbit_per_s: 10000"),
        ("a.example:\n  requests_per_s: .nan", "requests_per_s: nan for 'a.example'"),
        ("a.example:\n  contact: 1", "contact: 1 for 'a.example'; it takes true or false"),
        ("a.example:\n  source: 5", "source: 5 for 'a.example'; it takes a text"),
        ("a.example:\n  date: 5", "date: 5 for 'a.example'; it takes a date"),
        ("a.example:\n  date: 2025-13-01", "month must be in 1..12"),
        ("a.example: 2", "2 for 'a.example'; write 'HOST:'"),
        ("a.example:", "None for 'a.example'; write 'HOST:'"),
        ("http://a.example/: {}", "the entry 'http://a.example/'; a host is written NAME"),
        ("'*': {}", "the entry '*'; a host is written NAME"),
        ("a.*.example: {}", "the entry 'a.*.example'"),
        ("a b.example: {}", "the entry 'a b.example'"),
        ("10: {}", "the entry 10"),
        ("a.example:99999: {}", "the entry 'a.example:99999'"),
        ("a.example: {}\na.example: {}", "'a.example' twice"),
        ("a.example: {contact: true, contact: false}", "'contact' twice"),
        ("a.example: {}\nA.EXAMPLE:443: {}", "'A.EXAMPLE:443', which it has in another spelling"),
        ("- a.example", "holds no hosts; write 'HOST:'"),
        ("", "holds no hosts"),
        ("a.example: [", "is no YAML at line 1"),
        ("[" * 5000, "is no YAML"),
        (b"\xff\xfe\xfd", "is not understood"),
        ("a.example: !!python/object:os.system {}", "is no YAML at line 1"),
    ],
)
def test_a_wrong_file_is_told_in_one_line_with_its_entry_and_value(
    tmp_path: Path, text: str | bytes, wrong: str
) -> None:
    with pytest.raises(OptionError) as raised:
        load(tmp_path, text)
    message = str(raised.value)
    assert wrong in message
    assert message.startswith(f"--host_policies {tmp_path / 'policies.yaml'} ")
    assert "\n" not in message
    assert len(message) < 400 + len(str(tmp_path))


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="cannot be read: No such file or directory"):
        load_policies(str(tmp_path / "none.yaml"))


def test_an_option_wins_over_what_is_known_and_the_users_file_over_both(tmp_path: Path) -> None:
    wanted = {"max_connections_per_host": 8, "max_requests_per_second_per_host": 5}
    own = f"{WIKIMEDIA}: {{connections: 3, requests_per_s: 0.5}}\n127.0.0.1: {{mbit_per_s: 8}}"
    assert manners_of_run(tmp_path).bounds_of(WIKIMEDIA) == HostBounds(2, None, 25e6 / 8)
    assert manners_of_run(tmp_path, **wanted).bounds_of(WIKIMEDIA) == HostBounds(8, 5, 25e6 / 8)
    no_bound = {"max_connections_per_host": 0}
    assert manners_of_run(tmp_path, **no_bound).bounds_of(WIKIMEDIA).connections is None
    manners = manners_of_run(tmp_path, own, **wanted)
    assert manners.bounds_of(WIKIMEDIA) == HostBounds(3, 0.5, None)
    assert manners.bounds_of("127.0.0.1:80") == HostBounds(8, 5, 1e6)
    assert manners.bounds_of("else.example") == HostBounds(8, 5, None)
    unbounded = manners_of_run(tmp_path, f"{WIKIMEDIA}: {{connections: 0}}", **wanted)
    assert unbounded.bounds_of(WIKIMEDIA) == HostBounds(None, 5, None)


def test_a_policy_counts_in_ones_own_network_too(tmp_path: Path) -> None:
    manners = manners_of_run(tmp_path, "known.localhost: {connections: 2}")
    assert manners.bounds_of("known.localhost:4711") == HostBounds(2, None, None)
    assert manners.bounds_of("other.localhost:4711") == HostBounds(None, None, None)


def test_no_policy_counts_with_consent_off(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    own = "a.example: {connections: 3}"
    manners = manners_of_run(tmp_path, own, consent="off")
    assert manners.bounds_of("a.example") == manners.bounds_of(WIKIMEDIA) == HostBounds(32, None, None)
    assert "--host_policies" in caplog.text
    assert "has no effect: --consent off" in caplog.text


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({}, False),
        ({"contact": "me@example.org"}, True),
        ({"contact": ""}, False),
        ({"user_agent": "mine (me@example.org)"}, True),
        ({"user_agent": "mine (https://example.org/about)"}, True),
        ({"user_agent": "Mozilla/5.0"}, False),
        ({"user_agent": "Mozilla/5.0", "contact": "me@example.org"}, False),
    ],
)
def test_a_contact_is_named_where_the_user_agent_has_it(
    tmp_path: Path, options: dict[str, str], named: bool
) -> None:
    settings = fetch_settings(resolve({"url_list": "list.txt", "output_folder": str(tmp_path), **options}))
    assert settings.names_contact is named
    assert any(options.get(name, "-") in settings.user_agent_header for name in options) or not named


def test_the_page_of_known_hosts_has_the_table() -> None:
    page = (Path(__file__).resolve().parents[3] / "docs" / "known-hosts.md").read_text()
    for policy in load_policies(None).known:
        (line,) = [line for line in page.splitlines() if line.startswith(f"| `{policy.host}`")]
        assert f"| {policy.connections} | {(policy.bytes_per_s or 0) * 8 / 1e6:g} |" in line
        assert policy.source in line
