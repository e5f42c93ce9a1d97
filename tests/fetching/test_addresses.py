"""Kinds and spellings of addresses, as pure functions."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from img2dataset.fetching.addresses import Reach, kind_of, numeric_address

REFUSED = {"link-local", "metadata", "multicast", "unspecified", "reserved"}


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("8.8.8.8", "public"),
        ("172.15.255.255", "public"),
        ("172.16.0.0", "private"),
        ("172.31.255.255", "private"),
        ("172.32.0.0", "public"),
        ("100.64.0.1", "private"),
        ("100.100.100.200", "metadata"),
        ("169.253.255.255", "public"),
        ("169.254.0.0", "link-local"),
        ("192.0.0.192", "metadata"),
        ("223.255.255.255", "public"),
        ("224.0.0.0", "multicast"),
        ("255.255.255.255", "reserved"),
        ("::", "unspecified"),
        ("::1", "loopback"),
        ("::2", "unspecified"),
        ("::ffff:192.168.0.1", "private"),
        ("::ffff:0:169.254.0.1", "link-local"),
        ("64:ff9b::8.8.8.8", "public"),
        ("64:ff9b::10.0.0.1", "private"),
        ("64:ff9b:1::169.254.169.254", "link-local"),
        ("64:ff9b:1:a9fe:a9:fe00::", "link-local"),
        ("64:ff9b:1::8.8.8.8", "private"),
        ("2002:a9fe:a9fe::", "link-local"),
        ("2002:0808:0808::1", "public"),
        ("2001:0:1:1::5601:5601", "link-local"),
        ("2001:db8::1", "private"),
        ("2606:4700::1111", "public"),
        ("fc00::1", "private"),
        ("fd00:ec2::254", "metadata"),
        ("fe80::1", "link-local"),
        ("fe80::1%eth0", "link-local"),
        ("febf::1", "link-local"),
        ("fec0::1", "private"),
        ("ff05::2", "multicast"),
        ("4000::1", "reserved"),
        ("nonsense", "reserved"),
        ("", "reserved"),
    ],
)
def test_every_address_has_a_kind(address: str, kind: str) -> None:
    assert kind_of(address) == kind


@given(st.ip_addresses(v=4))
def test_what_is_public_here_is_global_for_python_and_carried_addresses_are_what_they_carry(
    address: ipaddress.IPv4Address,
) -> None:
    kind = kind_of(str(address))
    if kind == "public":
        assert address.is_global or address in ipaddress.ip_network("192.88.99.0/24")
    for carrier in (
        f"::ffff:{address}",
        f"64:ff9b::{address}",
        str(ipaddress.IPv6Address(0x2002 << 112 | int(address) << 80)),
    ):
        assert kind_of(carrier) == kind


@given(st.ip_addresses(v=6))
def test_what_is_public_in_ipv6_is_global_for_python(address: ipaddress.IPv6Address) -> None:
    if (
        kind_of(str(address)) == "public"
        and not address.sixtofour
        and address not in ipaddress.ip_network("64:ff9b::/96")
    ):
        assert address.is_global


@given(st.ip_addresses(v=4))
def test_every_spelling_of_an_address_is_read(address: ipaddress.IPv4Address) -> None:
    a, b, c, d = address.packed
    low, lower = c << 8 | d, b << 16 | c << 8 | d
    for text in (
        str(address),
        f"{address}.",
        str(int(address)),
        hex(int(address)),
        f"0{int(address):o}",
        f"{a}.{lower}",
        f"{a}.{b}.{low}",
        f"{a:#x}.{b:#X}.0{c:o}.{d}",
    ):
        assert numeric_address(text) == str(address)


@pytest.mark.parametrize("host", ["example.com", "1.example", "0xg", "a1", "1.0x1g", "localhost"])
def test_a_name_is_no_address(host: str) -> None:
    assert numeric_address(host) is None


@pytest.mark.parametrize(
    "host",
    [
        "256.1.1.1",
        "1.2.3.4.5",
        "08.1.1.1",
        "example.1",
        "4294967296",
        "1..2",
        "1.16777216",
        "[::g]",
        "0" * 40,
    ],
)
def test_what_ends_in_a_number_is_an_address_or_nothing(host: str) -> None:
    with pytest.raises(ValueError):
        numeric_address(host)


def test_the_list_may_name_more_than_a_redirect_from_outside() -> None:
    allow, deny = Reach(private_allowed=True), Reach(private_allowed=False)
    for address in ("10.0.0.1", "127.0.0.1", "::1", "fd12::1"):
        assert allow.refusal(address, after_public=False) is None
        assert allow.refusal(address, after_public=True) == f"address: {kind_of(address)}"
        assert deny.refusal(address, after_public=False) == f"address: {kind_of(address)}"
    assert deny.refusal("8.8.8.8", after_public=True) is None
    for kind, address in (
        ("link-local", "169.254.1.1"),
        ("metadata", "fd00:ec2::254"),
        ("unspecified", "0.0.0.0"),
    ):
        assert kind in REFUSED
        assert allow.refusal(address, after_public=False) == f"address: {kind}"


def test_of_several_addresses_those_that_may_be_reached_are_kept() -> None:
    reach = Reach(private_allowed=False)
    assert reach.select(("10.0.0.1", "8.8.8.8", "::1"), False) == (("8.8.8.8",), None)
    assert reach.select(("127.0.0.1", "10.0.0.1"), False) == ((), "address: loopback")
