"""What XMP says of data mining: each term of the vocabulary, in every form in which it can stand."""

from __future__ import annotations

import pytest

from img2dataset.imaging.consent.iptc_data_mining import signals_of
from tests.imaging.consent.builders import PLUS, VOCABULARY, packet, saying

NO = f"{VOCABULARY}DMI-PROHIBITED"


def said(xmp: bytes) -> list[tuple[str, str]]:
    signals = signals_of(xmp)
    assert {(signal.signal, signal.where) for signal in signals} <= {("iptc-data-mining", "xmp")}
    return [(signal.value, signal.says) for signal in signals]


@pytest.mark.parametrize(
    ("term", "says"),
    [
        ("DMI-PROHIBITED", "no"),
        ("DMI-PROHIBITED-AIMLTRAINING", "no"),
        ("DMI-PROHIBITED-GENAIMLTRAINING", "no"),
        ("DMI-PROHIBITED-EXCEPTSEARCHENGINEINDEXING", "no"),
        ("DMI-PROHIBITED-SEECONSTRAINT", "conditions"),
        ("DMI-PROHIBITED-SEEEMBEDDEDRIGHTSEXPR", "conditions"),
        ("DMI-PROHIBITED-SEELINKEDRIGHTSEXPR", "conditions"),
        ("DMI-ALLOWED", "yes"),
        ("DMI-UNSPECIFIED", "unknown"),
    ],
)
def test_each_term_with_its_uri_and_without(term: str, says: str) -> None:
    assert said(saying(term)) == [(term, says)]
    assert said(packet(f'plus:DataMining=" {term.lower()} "')) == [(term, says)]


def test_a_term_that_is_not_known_prohibits_with_conditions_or_says_nothing() -> None:
    assert said(saying("DMI-PROHIBITED-OTHER")) == [(f"{VOCABULARY}DMI-PROHIBITED-OTHER", "conditions")]
    assert said(packet('plus:DataMining="https://a.example/policy"')) == [
        ("https://a.example/policy", "unknown")
    ]
    assert said(packet('plus:DataMining="  "')) == []


@pytest.mark.parametrize(
    "xmp",
    [
        packet(f'plus:DataMining="{NO}"'),
        packet(f"plus:DataMining = '{NO}'"),
        packet(f'p:DataMining="{NO}"', prefix="p"),
        packet(elements=f"<plus:DataMining>{NO}</plus:DataMining>"),
        packet(elements=f"<plus:DataMining>\n <![CDATA[{NO}]]>\n</plus:DataMining>"),
        packet(elements=f'<plus:DataMining rdf:resource="{NO}"/>'),
        packet(elements=f"<plus:DataMining><rdf:Bag><rdf:li>{NO}</rdf:li></rdf:Bag></plus:DataMining>"),
        packet(elements=f"<plus:DataMining a='b'><rdf:value>{NO}</rdf:value></plus:DataMining>"),
        packet(elements=f'<plus:DataMining><rdf:Description rdf:value="{NO}"/></plus:DataMining>'),
        packet(elements=f'<DataMining xmlns="{PLUS}">{NO}</DataMining>'),
        packet(
            elements=f'<a:b xmlns:a="{PLUS}" a:DataMining="{NO}"/>', prefix="other", namespace="urn:other"
        ),
        packet(f'plus:DataMining="{NO.replace("-", "&#45;")}"'),
        b"\xef\xbb\xbf" + saying("DMI-PROHIBITED"),
        b"  \n<?xml version='1.0' encoding='no-such-encoding'?>" + saying("DMI-PROHIBITED"),
        saying("DMI-PROHIBITED") + bytes(100),
        saying("DMI-PROHIBITED").decode().encode("utf-16"),
        saying("DMI-PROHIBITED").decode().encode("utf-16-be"),
        # Cut behind it, not well-formed behind it, Latin-1 before it.
        saying("DMI-PROHIBITED")[:-50],
        packet(f'plus:DataMining="{NO}"', "</a><b>"),
        packet(f'plus:other="caf\u00e9" plus:DataMining="{NO}"').replace("\u00e9".encode(), b"\xe9"),
    ],
)
def test_every_form_in_which_a_property_can_stand(xmp: bytes) -> None:
    assert said(xmp) == [("DMI-PROHIBITED", "no")]


@pytest.mark.parametrize(
    "xmp",
    [
        b"",
        b"DataMining",
        packet(),
        packet(f'plus:DataMining="{NO}"', namespace="urn:other"),
        packet(f'DataMining="{NO}"'),
        packet(f'x:DataMining="{NO}"'),
        packet(elements=f"<!-- <plus:DataMining>{NO}</plus:DataMining> -->"),
        packet(elements=f'<a xmlns:plus="urn:other" plus:DataMining="{NO}"/>'),
        packet(elements=f'<a xmlns:p="{PLUS}"/><b p:DataMining="{NO}"/>'),
        packet(elements="<plus:DataMining/>") + NO.encode(),
        # Not well-formed before it.
        packet(elements=f"</b><plus:DataMining>{NO}</plus:DataMining>"),
    ],
)
def test_what_is_not_the_property_says_nothing(xmp: bytes) -> None:
    assert said(xmp) == []


def test_a_prefix_is_what_its_element_says_and_then_what_it_was() -> None:
    other = f'<a xmlns:plus="urn:other"><plus:DataMining>{NO}</plus:DataMining></a>'
    own = "<plus:DataMining>DMI-ALLOWED</plus:DataMining>"
    assert said(packet(elements=other + own)) == [("DMI-ALLOWED", "yes")]


def test_all_values_are_read_and_texts_are_made_one_printable_line() -> None:
    items = "".join(f"<rdf:li>{each}</rdf:li>" for each in ("DMI-ALLOWED", NO, "ask\n\u202e me" + "!" * 999))
    found = said(packet(elements=f"<plus:DataMining><rdf:Bag>{items}</rdf:Bag></plus:DataMining>"))
    assert found[:2] == [("DMI-ALLOWED", "yes"), ("DMI-PROHIBITED", "no")]
    (value, says) = found[2]
    assert value.startswith("ask \\u202e me!")
    assert (len(value), says) == (200, "unknown")


def test_a_packet_with_a_document_type_is_not_read() -> None:
    entities = "".join(f'<!ENTITY a{n + 1} "{f"&a{n};" * 10}">' for n in range(9))
    bomb = f'<!DOCTYPE x [<!ENTITY a0 "{NO}">{entities}<!ENTITY out SYSTEM "file:///etc/passwd">]>'.encode()
    for reference in (b"&a0;", b"&a9;", b"&out;"):
        inside = b"<plus:DataMining>" + reference + b"</plus:DataMining>"
        assert said(bomb + packet(elements=inside.decode())) == []
    assert said(packet(elements="<plus:DataMining>&a0;</plus:DataMining>")) == []


def test_a_long_namespace_deep_elements_and_many_values_have_an_end() -> None:
    long = f'xmlns:l="{"u" * 500_000}"'
    assert said(packet(f'{long} plus:DataMining="{NO}"', "<l:b l:c='d'/>" * 40_000)) == [
        ("DMI-PROHIBITED", "no")
    ]
    deep = packet(elements="<a>" * 300_000 + f"<plus:DataMining>{NO}</plus:DataMining>")
    assert said(deep) == []
    many = "<plus:DataMining>DMI-ALLOWED</plus:DataMining>" * 20_000
    assert len(said(packet(elements=many))) == 1_000
