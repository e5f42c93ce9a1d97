"""Where XMP and C2PA stand in each format: every place, several at once; and any bytes give a list."""

from __future__ import annotations

import io
import random
import struct
import zlib

import pytest
from PIL import Image, PngImagePlugin

from img2dataset.imaging.consent import MOST_SIGNALS, refusal_of, signals_in
from img2dataset.imaging.consent.blocks import MOST_BLOCKS, MOST_C2PA_BYTES, MOST_PARTS, MOST_XMP_BYTES
from img2dataset.imaging.consent.embedded import embedded_in
from tests.fuzzing.pictures import check_consent
from tests.imaging.consent.builders import (
    C2PA_UUID,
    PIXELS,
    XMP_UUID,
    assertion,
    box,
    box_segments,
    c2pa_box,
    extended_segment,
    heif,
    jpeg,
    manifest,
    packet,
    png,
    saying,
    segment,
    store,
    superbox,
    training,
    webp,
    xmp_segment,
)
from tests.imaging.odd_files import png_chunk, saved

NO, ALLOWED = saying("DMI-PROHIBITED-AIMLTRAINING"), saying("DMI-ALLOWED")
XMP_KEY = b"XML:com.adobe.xmp\0"
DIGEST, OTHER_DIGEST = b"0123456789ABCDEF" * 2, b"F" * 32
AVIF = saved(PIXELS, "AVIF")
# An attribute's worth of room, so that a packet goes beyond what a segment holds.
FILLER = "".join(f"<a>{n:0200d}</a>" for n in range(800))
LARGE_STORE = store(
    manifest(superbox("filler", box(b"bidb", bytes(200_000))), assertion({"ai_training": "constrained"}))
)


def itxt(content: bytes, deflated: bool = False) -> bytes:
    flags = b"\1\0" if deflated else b"\0\0"
    return png_chunk(b"iTXt", XMP_KEY + flags + b"en\0\0" + (zlib.compress(content) if deflated else content))


def pillow_png() -> bytes:
    texts = PngImagePlugin.PngInfo()
    texts.add_itxt("XML:com.adobe.xmp", NO.decode(), zip=True)
    return saved(PIXELS, "PNG", pnginfo=texts)


def naming_extended(digest: bytes) -> bytes:
    name = f'xmlns:xmpNote="http://ns.adobe.com/xmp/note/" xmpNote:HasExtendedXMP="{digest.decode()}"'
    return xmp_segment(packet(name))


def extended(content: bytes, digest: bytes = DIGEST, size: int = 60_000) -> list[bytes]:
    return [
        extended_segment(content[at : at + size], digest, at, len(content))
        for at in range(0, len(content), size)
    ]


LONG_NO = packet(elements=FILLER + "<plus:DataMining>DMI-PROHIBITED</plus:DataMining>")
XMP_FILES = {
    "JPEG": jpeg(xmp_segment(NO)),
    "JPEG by Pillow": saved(PIXELS, "JPEG", xmp=NO),
    "JPEG, behind other segments": jpeg(
        segment(0xE1, b"Exif\0\0"), b"\xff\xff", segment(0xFE, b"a"), xmp_segment(NO)
    ),
    "JPEG, extended": jpeg(naming_extended(DIGEST), *extended(LONG_NO)),
    "JPEG, extended, in any order": jpeg(*extended(LONG_NO)[::-1], naming_extended(DIGEST)),
    "JPEG, cut behind it": jpeg(xmp_segment(NO))[: len(NO) + 60],
    "PNG": png(itxt(NO)),
    "PNG, deflated": png(itxt(NO, deflated=True)),
    "PNG by Pillow": pillow_png(),
    "PNG, cut": png(itxt(NO))[:-8],
    "WebP": webp((b"XMP ", NO)),
    "WebP by Pillow": saved(PIXELS, "WEBP", xmp=NO),
    "WebP, behind an odd chunk": webp((b"odd ", b"a"), (b"XMP ", NO)),
    "AVIF by Pillow": saved(PIXELS, "AVIF", xmp=NO),
    "AVIF, uuid box": AVIF + box(b"uuid", XMP_UUID + NO),
    "HEIF, 0": heif(NO, version=0),
    "HEIF, 1": heif(NO),
    "HEIF, 2": heif(NO, version=2, long_numbers=True),
    "HEIF, in idat": heif(NO, is_in_idat=True),
}
C2PA_FILES = {
    "JPEG": jpeg(*box_segments(training("constrained"))),
    "JPEG, many segments": jpeg(*box_segments(LARGE_STORE)),
    "JPEG, in any order": jpeg(*box_segments(LARGE_STORE)[::-1]),
    "JPEG, a long box": jpeg(
        *box_segments(
            box(b"jumb", store(manifest(assertion({"ai_training": "constrained"})))[8:], long=True), 90
        )
    ),
    "JPEG, behind another box": jpeg(
        *box_segments(superbox("other", box(b"json", b"{}"))), *box_segments(LARGE_STORE, number=2)
    ),
    "PNG": png(png_chunk(b"caBX", training("constrained"))),
    "WebP": webp((b"C2PA", training("constrained"))),
    "AVIF": AVIF + c2pa_box(training("constrained")),
    "HEIF": heif(b"") + c2pa_box(training("constrained")),
    "HEIF, a long box": heif(b"")
    + box(b"uuid", C2PA_UUID + bytes(4) + b"manifest\0" + bytes(8) + training("constrained"), long=True),
}


@pytest.mark.parametrize("name", XMP_FILES)
def test_xmp_is_found_in_every_place(name: str) -> None:
    (signal,) = signals_in(XMP_FILES[name])
    assert (signal.signal, signal.where, signal.says) == ("iptc-data-mining", "xmp", "no")
    assert refusal_of([signal]) == "opt-out: IPTC data mining"


@pytest.mark.parametrize("name", C2PA_FILES)
def test_c2pa_is_found_in_every_place(name: str) -> None:
    (signal,) = signals_in(C2PA_FILES[name])
    assert (signal.signal, signal.where, signal.says) == ("c2pa", "c2pa manifest", "conditions")
    assert refusal_of([signal]) == "opt-out: C2PA"


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_bytes_of_any_kind_are_taken(kind: type) -> None:
    assert len(signals_in(kind(jpeg(xmp_segment(NO), *box_segments(training("allowed")))))) == 2


@pytest.mark.parametrize(
    "body",
    [
        *(saved(PIXELS, kind) for kind in ("JPEG", "PNG", "WEBP", "AVIF", "GIF", "TIFF")),
        jpeg(
            segment(0xE2, b"http://ns.adobe.com/xap/1.0/\0" + NO),
            segment(0xEB, b"XX" + training("notAllowed")),
        ),
        jpeg() + xmp_segment(NO),
        jpeg(naming_extended(OTHER_DIGEST), *extended(LONG_NO)),
        jpeg(*extended(LONG_NO)),
        png(png_chunk(b"tEXt", XMP_KEY + NO), png_chunk(b"iTXt", b"Comment\0\0\0\0\0" + NO)),
        png(png_chunk(b"iTXt", XMP_KEY + b"\1\1\0\0" + zlib.compress(NO))),
        png(png_chunk(b"iTXt", XMP_KEY + b"\1\0\0\0" + b"no deflate")),
        png() + itxt(NO),
        webp((b"XMP\0", NO)),
        AVIF + box(b"uuid", C2PA_UUID + bytes(4) + b"merkle\0" + training("notAllowed")),
        AVIF + box(b"uuid", bytes(16) + NO),
        b"",
        NO,
    ],
)
def test_what_stands_elsewhere_is_no_signal(body: bytes) -> None:
    assert signals_in(body) == []


def test_of_several_the_most_restrictive_refuses_and_comes_first() -> None:
    allowed = jpeg(xmp_segment(ALLOWED), *box_segments(training("allowed")))
    assert refusal_of(signals_in(allowed)) is None
    mixed = jpeg(xmp_segment(ALLOWED), *box_segments(training("constrained")))
    assert [signal.says for signal in signals_in(mixed)] == ["conditions", "yes"]
    assert refusal_of(signals_in(mixed)) == "opt-out: C2PA"
    both = jpeg(xmp_segment(saying("DMI-PROHIBITED-SEECONSTRAINT")), *box_segments(training("notAllowed")))
    assert [signal.says for signal in signals_in(both)] == ["no", "conditions"]
    assert refusal_of(signals_in(both)) == "opt-out: C2PA"
    assert refusal_of(signals_in(jpeg(xmp_segment(saying("DMI-UNSPECIFIED"))))) is None
    assert refusal_of([]) is None


def test_signals_are_told_once_and_in_a_bounded_number() -> None:
    assert len(signals_in(jpeg(xmp_segment(NO), xmp_segment(NO)))) == 1
    values = "".join(f"<plus:DataMining>{n}</plus:DataMining>" for n in range(200))
    found = signals_in(webp((b"XMP ", packet(elements=values)), (b"C2PA", training("notAllowed"))))
    assert len(found) == MOST_SIGNALS
    assert found[0].says == "no"


def test_a_bomb_in_a_png_is_inflated_no_further_than_is_read() -> None:
    bomb = zlib.compressobj(9)
    deflated = b"".join(
        [bomb.compress(NO)] + [bomb.compress(bytes(1 << 20)) for _ in range(50)] + [bomb.flush()]
    )
    chunk = png_chunk(b"iTXt", XMP_KEY + b"\1\0\0\0" + deflated)
    body = png(*[chunk] * 50)
    assert sum(map(len, embedded_in(body).xmp)) <= MOST_XMP_BYTES + 50
    assert [signal.says for signal in signals_in(body)] == ["no"]


def test_no_more_bytes_are_kept_than_the_bounds_say() -> None:
    large = box(b"free", bytes(1 << 20))
    blocks = embedded_in(png(*[png_chunk(b"caBX", large)] * 20, itxt(bytes(1 << 20)), itxt(NO)))
    assert sum(map(len, blocks.c2pa)) == MOST_C2PA_BYTES
    assert sum(map(len, blocks.xmp)) == MOST_XMP_BYTES
    part = bytes(60_000)
    parts = [extended_segment(part, DIGEST, n * len(part), 1 << 31) for n in range(100)]
    assert sum(map(len, embedded_in(jpeg(naming_extended(DIGEST), *parts)).xmp)) == MOST_XMP_BYTES


@pytest.mark.parametrize(
    ("start", "part", "signal"),
    [
        (jpeg()[:2], segment(0xFE, b""), xmp_segment(NO)),
        (jpeg()[:2], b"\xff\x01", xmp_segment(NO)),
        (png()[:33], png_chunk(b"abCd", b""), itxt(NO)),
        (webp()[:12], b"abcd" + bytes(4), b"XMP " + struct.pack("<I", len(NO)) + NO),
        (AVIF[:32], box(b"free", b""), box(b"uuid", XMP_UUID + NO)),
    ],
)
def test_files_of_a_million_parts_are_left_behind_a_bound(start: bytes, part: bytes, signal: bytes) -> None:
    assert signals_in(start + part * 1_000 + signal) != []
    assert signals_in(start + part * 1_000_000 + signal) == []
    assert MOST_PARTS < 1_000_000


def test_of_many_blocks_the_first_are_read() -> None:
    packets = [xmp_segment(b"DataMining")] * 60_000
    stores = [
        segment for n in range(60_000) for segment in box_segments(b"\0\0\0\x08jumb" + bytes(9), number=n)
    ]
    for parts in (packets, stores):
        blocks = embedded_in(jpeg(*parts))
        assert max(len(blocks.xmp), len(blocks.c2pa)) == MOST_BLOCKS
    assert signals_in(jpeg(*packets[: MOST_BLOCKS - 1], xmp_segment(NO))) != []
    assert signals_in(jpeg(*packets[:MOST_BLOCKS], xmp_segment(NO))) == []


def test_segments_of_a_million_names_take_no_time_each() -> None:
    digests = [f"{n:032d}".encode() for n in range(30_000)]
    large = packet(elements="<a/>" * 15_000)
    body = jpeg(*[xmp_segment(large)] * 16, *(extended_segment(b"", digest, 0, 0) for digest in digests))
    assert signals_in(body) == []


def items(count: int, extents: int, sizes: bytes, places: bytes = b"") -> bytes:
    """A file whose table has so many items, of so many places: these, or such that take no bytes."""
    entry = struct.pack(">HHH", 7, 0, extents) + places
    iloc = box(b"iloc", bytes(4) + sizes + struct.pack(">H", count) + entry * count)
    infe = box(b"infe", b"\2\0\0\0" + struct.pack(">HH", 7, 0) + b"mime\0application/rdf+xml\0")
    iinf = box(b"iinf", bytes(4) + struct.pack(">H", 1) + infe)
    return box(b"ftyp", b"avif\0\0\0\0") + box(b"meta", bytes(4) + iinf + iloc)


def test_a_table_of_a_thousand_million_places_has_an_end() -> None:
    assert signals_in(items(60_000, 65_535, b"\0\0")) == []
    assert embedded_in(items(1, 2, b"\0\0")).xmp == []
    # One place without a length is the whole file.
    whole = items(1, 1, b"\0\0")
    assert embedded_in(whole).xmp == [whole]
    # Many such places, each of which has a byte in the table.
    many = items(1, 10_000, b"\x10\0", bytes(10_000))
    assert [len(xmp) for xmp in embedded_in(many).xmp] == [MOST_XMP_BYTES]
    assert embedded_in(items(1, 60_000, b"\x10\0", bytes(60_000))).xmp == []


EVERY_FILE = {**{f"xmp {name}": body for name, body in XMP_FILES.items()}, **C2PA_FILES}


@pytest.mark.parametrize("name", EVERY_FILE)
def test_changed_and_cut_files_give_a_list_too(name: str) -> None:
    chance = random.Random(name)
    body = EVERY_FILE[name]
    for _ in range(60):
        changed = bytearray(body)
        for _ in range(chance.choice((1, 3, 20))):
            changed[chance.randrange(min(len(changed), 3_000))] = chance.choice(
                (0, 1, 0x7F, 0xFF, chance.randrange(256))
            )
        check_consent(bytes(changed[: chance.choice((len(changed), chance.randrange(len(changed))))]))
    for end in (*range(0, min(len(body), 300), 7), *range(300, len(body), len(body) // 20 + 1)):
        check_consent(body[:end])


def test_what_reencoding_leaves_says_nothing() -> None:
    with Image.open(io.BytesIO(XMP_FILES["JPEG"])) as image:
        image.load()
        assert signals_in(saved(image.copy(), "PNG")) == []
