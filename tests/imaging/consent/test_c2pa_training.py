"""What a C2PA manifest says of training: manifests built here, and files signed by the reference library."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from img2dataset.imaging.consent import SignalInBytes, refusal_of, signals_in
from img2dataset.imaging.consent.c2pa_training import MOST_ASSERTIONS, signals_of
from tests.imaging.consent.builders import assertion, box, cbor, manifest, store, superbox

SIGNED = Path(__file__).parent / "signed"
FORMATS = ("jpg", "png", "webp", "avif")


def said(content: bytes) -> list[tuple[str, str]]:
    signals = signals_of(content)
    assert {(signal.signal, signal.where) for signal in signals} <= {("c2pa", "c2pa manifest")}
    return [(signal.value, signal.says) for signal in signals]


def of_assertion(*boxes: bytes, label: str = "cawg.training-mining") -> list[tuple[str, str]]:
    return said(store(manifest(superbox(label, *boxes))))


@pytest.mark.parametrize(
    ("uses", "says"),
    [
        ({"ai_training": "notAllowed"}, "no"),
        ({"ai_training": "constrained"}, "conditions"),
        ({"ai_training": "allowed"}, "yes"),
        ({"ai_training": "perhaps"}, "unknown"),
        ({"ai_generative_training": "notAllowed"}, "no"),
        ({"ai_training": "allowed", "ai_generative_training": "notAllowed"}, "no"),
        ({"ai_training": "notAllowed", "ai_generative_training": "constrained"}, "no"),
        ({"ai_training": "allowed", "ai_generative_training": "constrained"}, "conditions"),
        # Data mining stands for a training that is not spoken of.
        ({"data_mining": "notAllowed"}, "no"),
        ({"data_mining": "notAllowed", "ai_training": "allowed"}, "no"),
        ({"data_mining": "notAllowed", "ai_training": "allowed", "ai_generative_training": "allowed"}, "yes"),
        ({"data_mining": "allowed"}, "yes"),
        ({"ai_inference": "notAllowed"}, "unknown"),
    ],
)
@pytest.mark.parametrize("label", ["cawg.training-mining", "c2pa.training-mining", "cawg.training-mining__2"])
def test_what_the_entries_mean(uses: dict[str, str], says: str, label: str) -> None:
    order = ["ai_training", "ai_generative_training", "data_mining", "ai_inference"]
    value = "; ".join(f"{name}={uses[name]}" for name in order if name in uses)
    assert said(store(manifest(assertion(uses, label)))) == [(value, says)]


NO = [("ai_training=notAllowed", "no")]
ENTRIES: dict[str, Any] = {"cawg.ai_training": {"use": "notAllowed", "constraint_info": "ask"}}


@pytest.mark.parametrize(
    "content",
    [
        box(b"cbor", cbor({"entries": ENTRIES})),
        box(b"cbor", cbor({"entries": ENTRIES}), long=True),
        box(b"free", b"") + box(b"cbor", cbor({"entries": ENTRIES}) + bytes(9)),
        box(b"json", json.dumps({"entries": ENTRIES, "metadata": {"x": [1]}}).encode()),
        # As the schema of 1.0 had it; a use without its map.
        box(b"cbor", cbor(ENTRIES)),
        box(b"cbor", cbor({"entries": {"cawg.ai_training": "notAllowed"}})),
        # Of one use the more restrictive word.
        box(b"cbor", cbor({"entries": {**ENTRIES, "c2pa.ai_training": {"use": "allowed"}}})),
        # The map and a text in pieces, and tagged.
        box(
            b"cbor",
            b"\xbf\x67entries\xbf\x70cawg.ai_training\xa1\x63use\xc1\x7f\x63not\x67Allowed\xff\xff\xff",
        ),
    ],
)
def test_the_forms_of_an_assertion(content: bytes) -> None:
    assert of_assertion(content) == NO


@pytest.mark.parametrize(
    "content",
    [
        b"",
        box(b"cbor", b"\xbf"),
        box(b"cbor", b"\x9f" * 100_000),
        box(b"cbor", cbor([ENTRIES])),
        box(b"cbor", cbor({"entries": 5})),
        box(b"cbor", cbor({"entries": {"com.example.use": {"use": "notAllowed"}}})),
        box(b"json", b"{"),
        box(b"json", b"[" * 60_000),
        box(b"json", b"\xff\xfe"),
        box(b"json", b'{"entries": ' + b"9" * 50_000 + b"}"),
        box(b"json", b" " * 70_000 + json.dumps({"entries": ENTRIES}).encode()),
    ],
)
def test_an_assertion_that_cannot_be_read_is_told_and_refuses_nothing(content: bytes) -> None:
    assert of_assertion(content) == [("unreadable", "unknown")]
    assert refusal_of(signals_of(store(manifest(superbox("cawg.training-mining", content))))) is None


def test_a_use_that_is_no_text_is_unknown() -> None:
    assert of_assertion(box(b"cbor", cbor({"entries": {"cawg.ai_training": {"use": [1]}}}))) == [
        ("ai_training=?", "unknown")
    ]


def test_every_manifest_of_the_store_counts_the_newest_first() -> None:
    parent, newest = assertion({"ai_training": "notAllowed"}), assertion({"ai_training": "allowed"})
    assert said(store(manifest(parent), manifest(newest, name="urn:uuid:2"))) == [
        ("ai_training=allowed", "yes"),
        ("ai_training=notAllowed", "no"),
    ]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0",
        bytes(100),
        store(),
        store(manifest()),
        store(manifest(assertion({"ai_training": "notAllowed"}, "com.example.training-mining"))),
        store(manifest(assertion({"ai_training": "notAllowed"}, "cawg.training-mining-other"))),
        superbox("other", manifest(assertion({"ai_training": "notAllowed"}))),
        # No description, or one without a label.
        box(b"jumb", box(b"cbor", b"")),
        box(b"jumb", box(b"jumd", bytes(16) + b"\0")),
        box(b"jumb", box(b"jumd", b"")),
    ],
)
def test_what_is_no_such_assertion_says_nothing(content: bytes) -> None:
    assert said(content) == []


def test_of_very_many_assertions_the_newest_are_read() -> None:
    allowed, refused = assertion({"ai_training": "allowed"}), assertion({"ai_training": "notAllowed"})
    many = said(store(manifest(refused), *[manifest(allowed)] * (MOST_ASSERTIONS - 1)))
    assert (len(many), many[-1]) == (MOST_ASSERTIONS, ("ai_training=notAllowed", "no"))
    assert {says for _, says in said(store(manifest(refused), *[manifest(allowed)] * MOST_ASSERTIONS))} == {
        "yes"
    }


def test_deep_boxes_and_many_boxes_have_an_end() -> None:
    deep = assertion({"ai_training": "notAllowed"})
    for _ in range(5_000):
        deep = superbox("c2pa", deep)
    assert said(deep) == []
    many = box(b"free", b"") * 1_000_000
    assert said(store(manifest(assertion({"ai_training": "notAllowed"})) + many)) == []
    # Each manifest holds all the rest.
    nested = b""
    for _ in range(2_000):
        nested = box(b"jumb", box(b"jumd", bytes(16) + b"\x03c2pa\0") + nested)
    assert said(nested) == []


@pytest.mark.parametrize("ending", FORMATS)
def test_files_that_the_reference_library_has_signed_are_read(ending: str) -> None:
    (signal,) = signals_in((SIGNED / f"not_allowed.{ending}").read_bytes())
    value = "ai_training=constrained; ai_generative_training=notAllowed; data_mining=allowed"
    assert signal == SignalInBytes("c2pa", "c2pa manifest", value, "no")


@pytest.mark.parametrize("ending", FORMATS)
def test_files_that_it_signs_now_are_read(ending: str) -> None:
    pytest.importorskip("c2pa", reason="needs c2pa-python")
    from tests.imaging.consent.signing import signed, training_mining

    first = signed(ending, [training_mining({"ai_training": "notAllowed"}, "c2pa")], thumbnail=True)
    assert [signal.value for signal in signals_in(first)] == ["ai_training=notAllowed"]
    edited = signed(ending, [], first)
    assert [signal.says for signal in signals_in(edited)] == ["no"]
    licensed = signed(ending, [training_mining({"ai_training": "allowed"})], first)
    assert [signal.says for signal in signals_in(licensed)] == ["no", "yes"]
    # Filled up with a picture's worth of another assertion, so that a JPEG needs many segments.
    filler = {"label": "com.example.filler", "data": {"text": "x" * 400_000}}
    large = signed(ending, [filler, training_mining({"data_mining": "notAllowed"})])
    assert [signal.value for signal in signals_in(large)] == ["data_mining=notAllowed"]
    assert signals_in(signed(ending, [])) == []
