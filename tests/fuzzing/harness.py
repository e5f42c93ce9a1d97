"""One fuzzer: a name comes in, libFuzzer runs until it is told to stop or finds something.

``python -m tests.fuzzing.harness NAME FOLDER [libFuzzer's flags]``; FOLDER holds the bytes to begin with, and
gets those that reached new code. Called by ``tests.fuzzing.run``. A finding is any exception, a crash of the
process, or an input that takes seconds (``-timeout``).
"""

from __future__ import annotations

import importlib
import logging
import os
import pkgutil
import struct
import sys
import warnings
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import atheris

# Imported by others before, without the marks by which the fuzzer sees which branches are taken.
for imported in ("email.utils", "email._parseaddr"):
    sys.modules.pop(imported, None)
# The finder of an editable installation keeps the marks out of the modules that it loads; without it they are
# found in this folder.
sys.meta_path[:] = [each for each in sys.meta_path if not type(each).__module__.startswith("_editable_")]
with atheris.instrument_imports(include=["img2dataset", "exifread", "PIL", "email", "idna"]):
    from tests.fuzzing import lists, pictures, seeds, words

    # Readers are imported by lists of their format only: here, so that their branches are seen.
    for _, module, _ in pkgutil.iter_modules(["img2dataset/reading"], "img2dataset.reading."):
        importlib.import_module(module)

_PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Harness:
    """What is checked, what the fuzzer begins with, and how long its inputs get, in bytes."""

    check: Callable[[bytes], None]
    seeds: Callable[[], Iterable[bytes]]
    longest: int
    dictionary: tuple[bytes, ...] = ()
    mutate: Callable[[bytes, int, int], bytes] | None = None


def _mutate_picture(data: bytes, longest: int, seed: int) -> bytes:
    """libFuzzer's changes; of a PNG, the checksums are then made right, or no decoder goes further."""
    changed: bytes = atheris.Mutate(data, longest)
    return _with_checksums(changed) if changed.startswith(_PNG) and seed % 4 else changed


def _with_checksums(body: bytes) -> bytes:
    parts, position = [body[:8]], 8
    while position + 12 <= len(body):
        (length,) = struct.unpack_from(">I", body, position)
        chunk = body[position + 4 : position + 8 + length]
        if position + 12 + length > len(body):
            break
        parts.append(body[position : position + 4] + chunk + struct.pack(">I", zlib.crc32(chunk)))
        position += 12 + length
    return b"".join([*parts, body[position:]])


_MARKS = (
    b"\xff\xd8\xff", b"\xff\xc0", b"\xff\xc2", b"\xff\xda", b"\xff\xd9", b"\xff\xdd", b"\xff\xe1",
    b"Exif\0\0", b"ICC_PROFILE\0", b"Adobe", b"IHDR", b"IDAT", b"IEND", b"eXIf", b"tRNS", b"iCCP", b"zTXt",
    b"PLTE", b"VP8 ", b"VP8L", b"VP8X", b"EXIF", b"ANIM", b"GIF89a", b"II*\0", b"MM\0*", b"II+\0", b"jp2c",
    b"jp2h", b"pclr", b"\xff\x4f\xff\x51", b"ftypavif", b"meta", b"P4 ", b"P6 ", b"BM",
)  # fmt: skip
_CONSENT_MARKS = (
    *_MARKS, b"\xff\xeb", b"http://ns.adobe.com/xap/1.0/\0", b"http://ns.adobe.com/xmp/extension/\0",
    b"HasExtendedXMP", b"XML:com.adobe.xmp\0", b"XMP ", b"C2PA", b"caBX", b"uuid", b"iinf", b"infe", b"iloc",
    b"idat", b"mime", b"application/rdf+xml\0", b"jumb", b"jumd", b"cbor", b"json", b"c2pa",
    b"cawg.training-mining", b"cawg.ai_training", b"notAllowed", b"constrained", b"xmlns:",
    b"plus:DataMining", b"DMI-PROHIBITED", b"<!DOCTYPE ", b"<![CDATA[", b"&#45;", b"rdf:resource",
)  # fmt: skip
_URL_WORDS = (
    b"http://", b"https://", b"data:", b";base64,", b"xn--", b"[::1]", b"%00", b"..", b"@", b"\xe3\x80\x82",
    b"\xef\xbc\x8f", b"\xc2\xad", b"0x", b":65536", b"file:", b"\\",
)  # fmt: skip
_HEADER_WORDS = (
    b"location:", b"retry-after:", b"x-robots-tag:", b"content-length:", b"content-encoding:",
    b"tdm-reservation:", b"noai", b"mybot:", b"unavailable_after:",
)  # fmt: skip
_RULE_WORDS = (
    b"user-agent:", b"disallow:", b"allow:", b"crawl-delay:", b"request-rate:", b"mybot", b"/*", b"$", b"%2F",
)  # fmt: skip

HARNESSES = {
    "headers_of_images": Harness(pictures.check_header, seeds.pictures, 4096, _MARKS, _mutate_picture),
    "decoding": Harness(pictures.check_decoding, seeds.pictures, 4096, _MARKS, _mutate_picture),
    "consent": Harness(pictures.check_consent, seeds.consent, 8192, _CONSENT_MARKS, _mutate_picture),
    "exif": Harness(pictures.check_exif, seeds.exif_blocks, 4096),
    "robots_tags": Harness(words.check_robots_tag, lambda: seeds.ROBOTS_TAGS, 512, _HEADER_WORDS),
    "robots_files": Harness(words.check_robots_txt, lambda: seeds.ROBOTS_FILES, 4096, _RULE_WORDS),
    "retry_after": Harness(words.check_retry_after, lambda: seeds.DELAYS, 128),
    "urls": Harness(words.check_url, lambda: seeds.URLS, 512, _URL_WORDS),
    "answers": Harness(words.check_answer, lambda: seeds.ANSWERS, 1024, _HEADER_WORDS),
    "txt_lists": Harness(lists.check_txt, lambda: seeds.TXT_LISTS, 1024),
    "csv_lists": Harness(lists.check_csv, lambda: seeds.CSV_LISTS, 1024),
    "jsonl_lists": Harness(lists.check_jsonl, lambda: seeds.JSONL_LISTS, 1024),
}


def main(name: str, folder: str, flags: list[str]) -> None:
    harness = HARNESSES[name]
    # A warning for each oddity of a list or an image, millions of them.
    logging.getLogger("img2dataset").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"PIL\.")
    os.makedirs(folder, exist_ok=True)
    for number, body in enumerate(harness.seeds()):
        with open(os.path.join(folder, f"seed-{number:02}"), "wb") as file:
            file.write(body)
    arguments = [sys.argv[0], folder, f"-max_len={harness.longest}", *flags]
    if harness.dictionary:
        arguments.append(f"-dict={_write_dictionary(folder.rstrip('/') + '.dict', harness.dictionary)}")
    if harness.mutate is None:
        atheris.Setup(arguments, harness.check)
    else:
        atheris.Setup(arguments, harness.check, custom_mutator=harness.mutate)
    atheris.Fuzz()


def _write_dictionary(path: str, words: Iterable[bytes]) -> str:
    with open(path, "w", encoding="ascii") as file:
        for word in words:
            file.write('"' + "".join(f"\\x{byte:02x}" for byte in word) + '"\n')
    return path


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
