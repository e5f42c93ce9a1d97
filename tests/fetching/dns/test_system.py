"""What the machine says about names, and what is remembered of them, as pure functions."""

from __future__ import annotations

from pathlib import Path

import pytest

from img2dataset.errors import OptionError
from img2dataset.fetching.dns.lookup import NameCache, Resolved
from img2dataset.fetching.dns.system import (
    SearchRules,
    has_ipv6,
    name_server,
    parse_hosts_file,
    parse_resolver_file,
)

FOUND = Resolved(("192.0.2.1",))
MISSING = Resolved((), "DNS: name not found")
TIMEOUT = Resolved((), "DNS: timeout")


def test_a_resolver_file_is_read_as_the_manual_says() -> None:
    text = "# comment\nsearch old.test\nnameserver 192.0.2.1 ; why\nsearch Corp.Test. lab.test\n"
    text += "options rotate ndots:3\n"
    assert parse_resolver_file(text) == SearchRules(("corp.test", "lab.test"), 3, True)
    assert parse_resolver_file("domain home.test\noptions ndots:99 ndots:x ndots:\u00b2") == SearchRules(
        ("home.test",), 15
    )
    assert parse_resolver_file("") == SearchRules()


@pytest.mark.parametrize(
    ("name", "candidates"),
    [
        ("host", ("host.a.test", "host.b.test", "host")),
        ("example.com", ("example.com", "example.com.a.test", "example.com.b.test")),
        ("img.example.com", ("img.example.com",)),
        ("host.", ("host",)),
    ],
)
def test_short_names_are_completed(name: str, candidates: tuple[str, ...]) -> None:
    assert SearchRules(("a.test", "b.test"), ndots=2).candidates(name) == candidates


def test_a_hosts_file_gives_every_address_of_a_name() -> None:
    text = "127.0.0.1 localhost\n::1 LocalHost ip6  # comment\nnonsense here\n192.0.2.7\tapi.test. api\n"
    text += "127.0.0.1 localhost\n"
    assert parse_hosts_file(text) == {
        "localhost": ("127.0.0.1", "::1"),
        "ip6": ("::1",),
        "api.test": ("192.0.2.7",),
        "api": ("192.0.2.7",),
    }


def test_only_addresses_of_the_internet_make_ipv6_worth_asking_for(tmp_path: Path) -> None:
    listing = tmp_path / "if_inet6"
    own = (
        "00000000000000000000000000000001 01 80 10 80 lo\nfe800000000000000000000000000001 02 40 20 80 eth0\n"
    )
    listing.write_text(own + "fd000000000000000000000000000002 02 40 00 80 eth0\n")
    assert not has_ipv6(listing)
    listing.write_text(own + "20010db8000000000000000000000001 02 40 00 80 eth0\n")
    assert has_ipv6(listing)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.0.2.1", "192.0.2.1:53"),
        (" 192.0.2.1:5353 ", "192.0.2.1:5353"),
        ("2001:db8::1", "[2001:db8::1]:53"),
        ("[2001:db8::1]", "[2001:db8::1]:53"),
        ("[2001:db8::1]:5353", "[2001:db8::1]:5353"),
    ],
)
def test_a_name_server_is_an_address_with_or_without_a_port(text: str, address: str) -> None:
    assert name_server(text) == address


@pytest.mark.parametrize(
    "text", ["", "dns.example", "192.0.2", "192.0.2.1:", "192.0.2.1:99999", "[::1]:0", "a:b"]
)
def test_what_is_no_name_server_is_refused(text: str) -> None:
    with pytest.raises(OptionError, match="dns_servers"):
        name_server(text)


def test_addresses_are_kept_for_their_time_within_bounds() -> None:
    known = NameCache(10.0, 100.0)
    for ttl_s, kept_s in ((0.0, 10.0), (50.0, 50.0), (1000.0, 100.0)):
        known.put("name", FOUND, ttl_s, 0.0)
        assert known.get("name", kept_s - 0.1) == FOUND
        assert known.get("name", kept_s) is None


def test_what_does_not_exist_is_kept_long_and_what_failed_shortly_but_longer_each_time() -> None:
    known = NameCache(10.0, 100.0)
    known.put("missing", MISSING, 0.0, 0.0)
    assert known.get("missing", 99.0) == MISSING
    for kept_s in (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0):
        known.put("failing", TIMEOUT, 0.0, 0.0)
        assert known.get("failing", kept_s - 0.1) == TIMEOUT
        assert known.get("failing", kept_s) is None
    known.put("failing", FOUND, 50.0, 0.0)
    known.put("failing", TIMEOUT, 0.0, 0.0)
    assert known.get("failing", 1.0) is None


def test_names_are_bounded_and_those_in_use_stay() -> None:
    known = NameCache(10.0, 100.0, limit=3)
    for name in ("a", "b", "c"):
        known.put(name, FOUND, 50.0, 0.0)
    assert known.get("a", 1.0) == FOUND
    known.put("d", FOUND, 50.0, 1.0)
    assert len(known) == 3
    assert [known.get(name, 1.0) for name in ("a", "b", "c", "d")] == [FOUND, None, FOUND, FOUND]
