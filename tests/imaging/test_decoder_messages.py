"""What the decoders beneath print is captured, is evidence of damage, and never reaches the terminal."""

from __future__ import annotations

import ctypes
import subprocess
import sys
import threading
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from img2dataset.imaging.decoder_messages import captured_messages
from tests.imaging.odd_files import RGB, failure, jpeg_with_segment, saved, stored
from tests.pictures import photograph, photograph_pixels

pytestmark = pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), "fopencookie"), reason="a C library without streams of one's own"
)


def damaged(body: bytes, share: float, bytes_there: bytes) -> bytes:
    at = int(len(body) * share)
    return body[:at] + bytes_there + body[at + len(bytes_there) :]


def jpeg(**options: object) -> bytes:
    return saved(photograph_pixels(320, 240, 3), "JPEG", quality=90, **options)


DAMAGED: dict[str, Callable[[], bytes]] = {
    "a bogus segment in the scan": lambda: damaged(jpeg(), 0.1, b"\xff\xe5\0\x08abcdef"),
    "an end mark in the scan": lambda: damaged(jpeg(), 0.3, b"\xff\xd9"),
    "a code that there is none of": lambda: damaged(jpeg(), 0.3, b"\xff\0" * 60),
    "a bogus segment in a progressive scan": lambda: damaged(jpeg(progressive=True), 0.9, b"\xff\xfe\0\2"),
    "restart marks out of order": lambda: jpeg(restart_marker_rows=1).replace(b"\xff\xd3", b"\xff\xd6", 1),
    "CMYK": lambda: damaged(saved(Image.fromarray(RGB).convert("CMYK"), "JPEG"), 0.6, b"\xff\xe5\0\2"),
}


@pytest.mark.parametrize("settings", [{}, {"exact_resize": False, "resize_mode": "border", "image_size": 64}])
@pytest.mark.parametrize("name", DAMAGED)
def test_a_jpeg_whose_data_libjpeg_complains_about_is_corrupt(name, settings, capfd):
    assert failure(DAMAGED[name](), **settings) == "decode: corrupt"
    assert capfd.readouterr() == ("", "")


def test_a_damaged_jpeg_with_a_profile_is_corrupt_when_it_is_converted():
    body = saved(photograph_pixels(320, 240, 3), "JPEG", icc_profile=b"any bytes")
    stored(body, convert_to_srgb=True)
    assert failure(damaged(body, 0.4, b"\xff\xe5\0\2"), convert_to_srgb=True) == "decode: corrupt"


def test_what_leaves_every_pixel_as_it_is_does_not_make_a_jpeg_corrupt(capfd):
    body = photograph(320, 240, 1)
    pixels = stored(body)
    table = body.index(b"\xff\xdb")
    odd = {
        "bytes between segments": body[:table] + b"junk" + body[table:],
        "bytes before the end": body[:-2] + b"junk" + body[-2:],
        "an odd mark of Adobe's": jpeg_with_segment(body, 0xEE, b"Adobe\0\x64\0\0\0\0\x05"),
    }
    for name, changed in odd.items():
        assert np.array_equal(stored(changed), pixels), name
    assert capfd.readouterr() == ("", "")


def say(text: bytes) -> None:
    """Let C print to its stderr."""
    library = ctypes.CDLL(None)
    library.fputs.argtypes = [ctypes.c_char_p, ctypes.c_void_p]
    library.fputs(text, ctypes.c_void_p.in_dll(library, "stderr"))


def test_only_what_the_own_thread_prints_is_captured_and_the_rest_reaches_the_terminal(capfd):
    with captured_messages() as messages:
        say(b"mine")
        other = threading.Thread(target=say, args=(b"of another thread",))
        other.start()
        other.join()
        print("of the program", file=sys.stderr)
    say(b", afterwards")
    assert b"".join(messages) == b"mine"
    assert capfd.readouterr().err.splitlines() == ["of another threadof the program", ", afterwards"]


def test_two_threads_hear_each_its_own():
    both = threading.Barrier(2, timeout=60)
    found: dict[bytes, list[bytes]] = {}

    def listen(word: bytes) -> None:
        with captured_messages() as messages:
            both.wait()
            say(word)
            both.wait()
        found[word] = messages

    threads = [threading.Thread(target=listen, args=(word,)) for word in (b"one", b"two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {b"one": [b"one"], b"two": [b"two"]}


def test_a_file_with_a_message_for_each_byte_takes_no_memory():
    with captured_messages() as messages:
        for _ in range(1000):
            say(b"again")
    assert len(messages) <= 64


def test_a_process_that_listened_ends_as_any_other():
    code = (
        "import ctypes\n"
        "from img2dataset.imaging.decoder_messages import captured_messages\n"
        "with captured_messages(): pass\n"
        "ctypes.CDLL(None).perror(b'still there')\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stderr.startswith("still there")
