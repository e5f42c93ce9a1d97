"""What a body is that is no image, by its first bytes: mostly a page that a site shows in its place."""

from __future__ import annotations

_LOOKED_AT = 1024
# Of the characters of a text, at least.
_PRINTABLE = 0.95
_BEGINNINGS = (
    (b"%pdf", "PDF"),
    (b"\x1f\x8b", "gzip"),
    (b"pk\x03\x04", "zip"),
    (b"\x1ae\xdf\xa3", "video"),
    (b"id3", "audio"),
    (b"<?xml", "XML"),
    (b"{", "JSON"),
    (b"[", "JSON"),
)
_PAGES = (b"<!doctype html", b"<html", b"<head", b"<body", b"<script", b"<meta", b"<title")


def what_it_is(body: bytes | bytearray) -> str:
    """A word for it, such as ``HTML`` or ``JSON``; ``text`` or ``bytes`` for what is not known."""
    start = bytes(body[:_LOOKED_AT]).removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if any(mark in start for mark in _PAGES):
        return "HTML"
    if start[4:8] == b"ftyp":
        return "video"
    if b"<svg" in start:
        return "SVG"
    for beginning, name in _BEGINNINGS:
        if start.startswith(beginning):
            return name
    text = start.decode("utf-8", errors="ignore")
    printable = sum(character.isprintable() or character.isspace() for character in text)
    return "text" if printable >= _PRINTABLE * max(1, len(text)) and b"\0" not in start else "bytes"
