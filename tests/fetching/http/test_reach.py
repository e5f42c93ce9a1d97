"""What may be connected to. Refused means: nobody at that address saw a connection.

The addresses are those of namespaces that the tests make for themselves; see ``own_network``.
"""

from __future__ import annotations

import pytest

from tests.fetching.own_network import OTHER_PRIVATE, PRIVATE, PUBLIC, PUBLIC_IPV6, Visit, visit

LINK_LOCAL_SPELLINGS = (
    "169.254.169.254",
    "169.254.169.254.",
    "2852039166",
    "0xA9FEA9FE",
    "0xa9.254.0xa9fe",
    "0251.0376.0251.0376",
    "025177524776",
    "169.16689662",
    "１６９.２５４.１６９.２５４",
    "169。254。169。254",
    "[::ffff:169.254.169.254]",
    "[::ffff:a9fe:a9fe]",
    "[::169.254.169.254]",
    "[64:ff9b::169.254.169.254]",
    "[2002:a9fe:a9fe::1]",
    "user:password@169.254.169.254",
    "a169-254-169-254.test",
    "A169-254-169-254.TEST.",
    "b64-ff9b--a9fe-a9fe.test",
    "b2002-a9fe-a9fe--1.test",
)


def test_no_spelling_of_a_link_local_address_leads_there() -> None:
    for dns in ("internal", "system"):
        (seen,) = visit(Visit([f"http://{host}/key" for host in LINK_LOCAL_SPELLINGS], {"dns": dns}))
        assert dict(zip(LINK_LOCAL_SPELLINGS, seen.failures, strict=True)) == dict.fromkeys(
            LINK_LOCAL_SPELLINGS, "address: link-local"
        )
        assert seen.connections == {}


@pytest.mark.parametrize(
    ("host", "failure"),
    [
        ("100.100.100.200", "address: metadata"),
        ("192.0.0.192", "address: metadata"),
        ("168.63.129.16", "address: metadata"),
        ("[fd00:ec2::254]", "address: metadata"),
        ("bfd00-ec2--254.test", "address: metadata"),
        ("[fe80::a9fe:a9fe]", "address: link-local"),
        ("0.0.0.0", "address: unspecified"),
        ("0", "address: unspecified"),
        ("[::]", "address: unspecified"),
        ("[::ffff:0.0.0.0]", "address: unspecified"),
        ("255.255.255.255", "address: reserved"),
        ("240.0.0.1", "address: reserved"),
        ("224.0.0.1", "address: multicast"),
        ("[ff02::1]", "address: multicast"),
        ("a0-0-0-0.test", "address: unspecified"),
    ],
)
def test_nobody_may_be_sent_to_keys_crowds_or_nowhere(host: str, failure: str) -> None:
    direct, after_redirect = visit(
        Visit([f"http://{host}/x"]), Visit([f"http://{PUBLIC}/to?http://{host}/x"])
    )
    assert (direct.failures, direct.connections) == ([failure], {})
    assert (after_redirect.failures, after_redirect.requests) == (
        [failure],
        {PUBLIC: [f"/to?http://{host}/x"]},
    )


def test_public_addresses_are_reached_by_number_by_name_and_after_redirects() -> None:
    urls = [
        f"http://{PUBLIC}/1",
        f"http://[{PUBLIC_IPV6}]/2",
        "http://a93-184-216-34.test/3",
        "http://b2606-2800--1.test/4",
        f"http://{PRIVATE}/to?http://{PUBLIC}/5",
        f"http://{PUBLIC}/to?http://[{PUBLIC_IPV6}]/6",
    ]
    for settings in ({"dns": "internal"}, {"dns": "system"}):
        (seen,) = visit(Visit(urls, settings))
        assert seen.failures == [None] * len(urls)


def test_private_and_loopback_addresses_may_be_named_by_the_list_unless_denied() -> None:
    hosts = {
        PRIVATE: "address: private",
        "100.64.0.9": "address: private",
        "[fd12::1]": "address: private",
        "a192-168-7-7.test": "address: private",
        "127.0.0.1": "address: loopback",
        "127.1": "address: loopback",
        "0x7f000001": "address: loopback",
        "[::1]": "address: loopback",
        "[::ffff:127.0.0.1]": "address: loopback",
        "localhost": "address: loopback",
        "a127-0-0-1.test": "address: loopback",
    }
    urls = [f"http://{host}/x" for host in hosts]
    allowed, denied, denied_system = visit(
        Visit(urls),
        Visit(urls, {"private_addresses": "deny"}),
        Visit(urls, {"private_addresses": "deny", "dns": "system"}),
    )
    assert allowed.failures == [None] * len(hosts)
    for seen in (denied, denied_system):
        assert dict(zip(hosts, seen.failures, strict=True)) == hosts
        assert seen.connections == {}


def test_a_public_server_cannot_send_us_into_the_own_network() -> None:
    inside = {
        PRIVATE: "address: private",
        "127.0.0.1": "address: loopback",
        "2130706433": "address: loopback",
        "[::1]": "address: loopback",
        "localhost": "address: loopback",
        "a10-1-2-3.test": "address: private",
        "bfd12--1.test": "address: private",
    }
    urls = [f"http://{PUBLIC}/to?http://{host}/admin" for host in inside]
    for dns in ("internal", "system"):
        (seen,) = visit(Visit(urls, {"dns": dns}))
        assert dict(zip(inside, seen.failures, strict=True)) == inside
        assert set(seen.requests) == {PUBLIC}


def test_not_even_by_way_of_a_private_server_that_the_list_named_first() -> None:
    detour = f"http://{OTHER_PRIVATE}/to?http://{PUBLIC}/to%3Fhttp://{PRIVATE}/admin"
    (seen,) = visit(Visit([detour]))
    assert seen.failures == ["address: private"]
    assert PRIVATE not in seen.connections


def test_servers_of_the_own_network_may_redirect_within_it() -> None:
    (seen,) = visit(
        Visit(
            [
                f"http://{PRIVATE}/to?http://{OTHER_PRIVATE}/1",
                f"http://127.0.0.1/to?http://{PRIVATE}/2",
                f"http://{PRIVATE}/to?/3",
            ]
        )
    )
    assert seen.failures == [None, None, None]


def test_a_connection_that_the_list_may_use_is_not_lent_to_a_redirect() -> None:
    own, public = f"http://{PRIVATE}/own", f"http://{PUBLIC}/to?http://{PRIVATE}/admin"
    # The name is private when the list asks, and public when the redirect is looked at: the connection
    # that is still open is not what was looked at.
    turncoat = "http://a10-1-2-3.then93-184-216-34.ttl0.test"
    settings = {"min_ttl_s": 0.0, "dns_max_ttl": 0.0}
    by_number, by_name = visit(
        Visit([own, public, own]),
        Visit([f"{turncoat}/own", f"http://{PUBLIC}/to?{turncoat}/admin"], settings),
    )
    assert by_number.failures == [None, "address: private", None]
    assert by_number.requests[PRIVATE] == ["/own", "/own"]
    assert by_name.failures == [None, "address: private"]
    assert by_name.requests[PRIVATE] == ["/own"]


def test_a_name_that_is_bound_anew_is_looked_at_anew() -> None:
    settings = {"min_ttl_s": 0.0, "dns_max_ttl": 0.0}
    name = "http://a93-184-216-34.then169-254-169-254.ttl0.test/x"
    redirected = f"http://{PUBLIC}/to?http://a93-184-216-34.then127-0-0-1.ttl0.test/x"
    listed, after_redirect = visit(Visit([name, name], settings), Visit([redirected, redirected], settings))
    assert listed.failures == [None, "address: link-local"]
    assert after_redirect.failures == [None, "address: loopback"]
    assert {*listed.connections, *after_redirect.connections} == {PUBLIC}


def test_of_a_names_addresses_only_those_that_are_allowed_are_used() -> None:
    url = "http://a169-254-169-254.a93-184-216-34.a10-1-2-3.test/x"
    (seen,) = visit(Visit([url], {"private_addresses": "deny"}))
    assert (seen.failures, set(seen.connections)) == ([None], {PUBLIC})


def test_the_systems_name_servers_and_search_domains_are_used() -> None:
    urls = ["http://a127-0-0-1/short", "http://a127-0-0-1.corp.test/long", "http://missing/none"]
    (seen,) = visit(Visit(urls))
    assert seen.failures == [None, None, "DNS: name not found"]
