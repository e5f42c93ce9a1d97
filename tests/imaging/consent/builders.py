"""Builds files that say something of training: XMP packets, C2PA manifests, and the images around them."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from PIL import Image

from tests.imaging.odd_files import png_chunk, saved

PLUS = "http://ns.useplus.org/ldf/xmp/1.0/"
VOCABULARY = "http://ns.useplus.org/ldf/vocab/"
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
PIXELS = Image.fromarray((np.arange(32 * 24 * 3) % 251).astype(np.uint8).reshape(24, 32, 3))
C2PA_UUID = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
XMP_UUID = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")


def packet(attributes: str = "", elements: str = "", prefix: str = "plus", namespace: str = PLUS) -> bytes:
    """An XMP packet with this in its description."""
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{RDF}">'
        f'<rdf:Description rdf:about="" xmlns:{prefix}="{namespace}" {attributes}>{elements}'
        '</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    ).encode()


def saying(term: str) -> bytes:
    """A packet whose data mining is this term of the vocabulary."""
    return packet(f'plus:DataMining="{VOCABULARY}{term}"')


def cbor(value: Any) -> bytes:
    """A value of the few kinds that manifests have."""
    if isinstance(value, bool):
        return b"\xf5" if value else b"\xf4"
    if isinstance(value, int):
        return cbor_head(0, value) if value >= 0 else cbor_head(1, -1 - value)
    if isinstance(value, bytes):
        return cbor_head(2, len(value)) + value
    if isinstance(value, str):
        return cbor_head(3, len(value.encode())) + value.encode()
    if isinstance(value, list):
        return cbor_head(4, len(value)) + b"".join(map(cbor, value))
    return cbor_head(5, len(value)) + b"".join(cbor(each) for pair in value.items() for each in pair)


def cbor_head(kind: int, number: int) -> bytes:
    for info, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if number < 24:
            return bytes([kind << 5 | number])
        if number < 1 << 8 * size:
            return bytes([kind << 5 | info]) + number.to_bytes(size, "big")
    raise ValueError(number)


def box(kind: bytes, content: bytes, long: bool = False) -> bytes:
    if long:
        return struct.pack(">I4sQ", 1, kind, len(content) + 16) + content
    return struct.pack(">I4s", len(content) + 8, kind) + content


def superbox(label: str, *boxes: bytes) -> bytes:
    description = bytes(16) + b"\x03" + label.encode() + b"\0"
    return box(b"jumb", box(b"jumd", description) + b"".join(boxes))


def manifest(*assertions: bytes, name: str = "urn:uuid:1") -> bytes:
    return superbox(
        name, superbox("c2pa.assertions", *assertions), superbox("c2pa.claim", box(b"cbor", b"\xa0"))
    )


def assertion(entries: dict[str, Any], label: str = "cawg.training-mining") -> bytes:
    """Entries by their names without ``cawg.``, each with what it says."""
    owner = label.partition(".")[0]
    said = {f"{owner}.{name}": {"use": use} for name, use in entries.items()}
    return superbox(label, box(b"cbor", cbor({"entries": said})))


def store(*manifests: bytes) -> bytes:
    return superbox("c2pa", *manifests)


def training(use: str) -> bytes:
    """A store whose newest manifest says this of training."""
    return store(manifest(assertion({"ai_training": use})))


def segment(marker: int, content: bytes) -> bytes:
    return b"\xff" + bytes([marker]) + struct.pack(">H", len(content) + 2) + content


def jpeg(*segments: bytes) -> bytes:
    """A JPEG with these behind its first mark."""
    body = saved(PIXELS, "JPEG")
    return body[:2] + b"".join(segments) + body[2:]


def xmp_segment(content: bytes) -> bytes:
    return segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + content)


def extended_segment(content: bytes, digest: bytes, offset: int, length: int) -> bytes:
    head = b"http://ns.adobe.com/xmp/extension/\0" + digest + struct.pack(">II", length, offset)
    return segment(0xE1, head + content)


def box_segments(jumbf: bytes, size: int = 60_000, number: int = 1) -> list[bytes]:
    """The APP11 segments of a box: each with the head of the box, and ``size`` bytes of it at most."""
    head, content = (jumbf[:16], jumbf[16:]) if jumbf[:4] == b"\0\0\0\1" else (jumbf[:8], jumbf[8:])
    return [
        segment(0xEB, b"JP" + struct.pack(">HI", number, part + 1) + head + content[at : at + size])
        for part, at in enumerate(range(0, len(content), size))
    ]


def png(*chunks: bytes) -> bytes:
    """A PNG with these before its end."""
    return saved(PIXELS, "PNG")[:-12] + b"".join(chunks) + png_chunk(b"IEND", b"")


def webp(*chunks: tuple[bytes, bytes]) -> bytes:
    body = saved(PIXELS, "WEBP")
    added = b"".join(
        name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) & 1)
        for name, content in chunks
    )
    return body[:4] + struct.pack("<I", len(body) - 8 + len(added)) + body[8:] + added


def c2pa_box(content: bytes) -> bytes:
    return box(b"uuid", C2PA_UUID + bytes(4) + b"manifest\0" + bytes(8) + content)


def heif(content: bytes, version: int = 1, is_in_idat: bool = False, long_numbers: bool = False) -> bytes:
    """A file of media boxes with an item of XMP among others, and no picture.

    Args:
        content: of the item; it stands in two pieces.
        version: of the table of places, 0 to 2.
        is_in_idat: whether it stands in the box for that, or at the file's end.
        long_numbers: whether the item has a number of four bytes.
    """
    number = struct.pack(">I", 70_000) if long_numbers else struct.pack(">H", 7)
    kind = b"\3" if long_numbers else b"\2"
    entries = [
        box(b"infe", b"\2\0\0\0" + struct.pack(">HH", 1, 0) + b"av01\0"),
        box(b"infe", b"\2\0\0\0" + struct.pack(">HH", 2, 0) + b"mime\0text/plain\0"),
        box(b"infe", kind + b"\0\0\0" + number + b"\0\0mimeXMP\0application/rdf+xml\0"),
    ]
    iinf = box(b"iinf", bytes(4) + struct.pack(">H", len(entries)) + b"".join(entries))
    idat = box(b"idat", b"before" + content) if is_in_idat else b""
    at = 6

    def meta() -> bytes:
        def places(item: bytes, extents: list[tuple[int, int]]) -> bytes:
            item = item.rjust(4, b"\0") if version == 2 else item[-2:]
            method = struct.pack(">H", int(is_in_idat)) if version else b""
            pieces = b"".join(struct.pack(">II", *extent) for extent in extents)
            return item + method + bytes(2) + struct.pack(">I", at) + struct.pack(">H", len(extents)) + pieces

        half = len(content) // 2
        items = [
            places(b"\0\1", [(0, 4)]),
            places(number, [(0, half), (half, len(content) - half)]),
        ]
        count = struct.pack(">I" if version == 2 else ">H", len(items))
        iloc = box(b"iloc", bytes([version, 0, 0, 0, 0x44, 0x40]) + count + b"".join(items))
        hdlr = box(b"hdlr", bytes(8) + b"pict" + bytes(13))
        return box(b"meta", bytes(4) + hdlr + iinf + iloc + idat)

    start = box(b"ftyp", b"mif1\0\0\0\0mif1heic")
    if not is_in_idat:
        at = len(start) + len(meta()) + 8
    return start + meta() + box(b"mdat", b"" if is_in_idat else content)
