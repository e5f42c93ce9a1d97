"""One source string to one picture: what is loaded, what is refused, and what the error says."""

from __future__ import annotations

import base64
import gc
import os
import pickle
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from PIL import Image

from img2dataset.errors import OptionError
from img2dataset.failures import of_status
from img2dataset.training import ImageLoader, ImageLoadError, load_image
from tests.pictures import photograph, photograph_pixels
from tests.servers import ImageServer


def pixels(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture).astype(int)


def test_every_kind_of_source_gives_the_same_picture(served, tmp_path: Path) -> None:
    body = photograph(96, 64, 0)
    (tmp_path / "a.jpg").write_bytes(body)
    (url,) = served(1)
    data_url = "data:image/jpeg;base64," + base64.b64encode(body).decode()
    sources = [url, "a.jpg", str(tmp_path / "a.jpg"), tmp_path / "a.jpg", data_url, body, {"bytes": body}]
    pictures = ImageLoader(tmp_path)(sources)
    expected = pixels(Image.open(tmp_path / "a.jpg"))
    assert all((pixels(picture) == expected).all() for picture in pictures)


def test_a_hugging_face_image_that_names_a_url_is_downloaded(served) -> None:
    (url,) = served(1)
    assert load_image({"bytes": None, "path": url}).size == (96, 64)


def test_a_list_gives_a_list_and_none_stays_none(served) -> None:
    urls = served(2)
    pictures = load_image([urls[0], [urls[1], None]])
    assert [picture.size for picture in (pictures[0], pictures[1][0])] == [(96, 64), (96, 64)]
    assert pictures[1][1] is None


def test_urls_are_never_joined_to_the_base_path(served, tmp_path: Path) -> None:
    (url,) = served(1)
    assert ImageLoader(tmp_path)(url).size == (96, 64)
    assert ImageLoader(tmp_path)(url.replace("http://", "HTTP://")).size == (96, 64)


def test_pictures_are_upright_and_not_turned_twice(tmp_path: Path) -> None:
    upright = Image.fromarray(photograph_pixels(96, 64, 3))
    exif = Image.Exif()
    exif[0x0112] = 6
    upright.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.png", exif=exif)
    loaded = load_image(tmp_path / "turned.png")
    assert (pixels(loaded) == pixels(upright)).all()
    assert loaded.getexif().get(0x0112, 1) == 1


def test_transparency_is_laid_on_white_or_kept(tmp_path: Path) -> None:
    picture = Image.new("RGBA", (4, 4), (200, 0, 0, 0))
    picture.save(tmp_path / "clear.png")
    assert load_image(tmp_path / "clear.png").getpixel((0, 0)) == (255, 255, 255)
    assert load_image(tmp_path / "clear.png", mode="RGBA").getpixel((0, 0)) == (200, 0, 0, 0)


def test_sixteen_bits_are_scaled_not_clipped(tmp_path: Path) -> None:
    Image.fromarray(np.full((4, 4), 257 * 100, np.uint16)).save(tmp_path / "deep.png")
    assert load_image(tmp_path / "deep.png").getpixel((0, 0)) == (100, 100, 100)


# Each has the limit alone that is to be met: what answers may take its time, on a busy machine.
@pytest.mark.parametrize(
    ("path", "limit", "reason"),
    [
        ("/status/404", {}, "HTTP 404"),
        ("/hang-in-body?size=1000", {"timeout_s": 1.5}, "timeout: silence"),
        ("/drip-headers", {"deadline_s": 1.0}, "timeout: "),
        ("/empty", {}, "empty body"),
    ],
)
@pytest.mark.parametrize("with_session", [False, True])
def test_a_failed_download_names_the_url_and_the_cause(
    image_server: ImageServer, path: str, limit: dict[str, float], reason: str, with_session: bool
) -> None:
    loader = ImageLoader(**limit, retries=0, session=requests.Session() if with_session else None)
    url = image_server.url(path)
    with pytest.raises(ImageLoadError) as caught:
        loader(url)
    assert caught.value.source == url
    assert caught.value.reason.startswith(reason)
    assert url in str(caught.value)


def test_an_error_survives_the_way_out_of_a_worker_process() -> None:
    error = ImageLoadError.of("https://example.org/a.jpg", of_status(404))
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), copy.source, copy.reason) == (str(error), error.source, error.reason)


@pytest.mark.parametrize("with_session", [False, True])
def test_a_body_beyond_the_limit_is_refused(image_server: ImageServer, with_session: bool) -> None:
    loader = ImageLoader(max_bytes=2000, retries=0, session=requests.Session() if with_session else None)
    for path in ("/long-body?size=2001", "/unsized?size=2001", "/gzip-bomb?megabytes=2"):
        with pytest.raises(ImageLoadError, match="too large: body"):
            loader(image_server.url(path))


def test_an_announced_length_that_is_no_number_is_none(tmp_path: Path) -> None:
    body = photograph(40, 30, 0)

    class Odd(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "\u00b2")  # a digit for str.isdigit, none for int
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *words: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Odd) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        loader = ImageLoader(retries=0, session=requests.Session())
        picture = loader(f"http://127.0.0.1:{server.server_port}/")
        thread.join()
    assert picture.size == (40, 30)


def test_a_bomb_is_refused_from_its_header(tmp_path: Path) -> None:
    Image.new("L", (5000, 5000)).save(tmp_path / "bomb.png")
    with pytest.raises(ImageLoadError, match=r"too large: pixels \(5000x5000\)"):
        load_image(tmp_path / "bomb.png", max_pixels=1_000_000)


def test_damaged_files_say_what_is_wrong_with_them(tmp_path: Path) -> None:
    (tmp_path / "cut.jpg").write_bytes(photograph(96, 64)[:700])
    (tmp_path / "text.jpg").write_text("not a picture")
    for name, reason in (("cut.jpg", "decode: truncated"), ("text.jpg", "decode: not an image")):
        with pytest.raises(ImageLoadError, match=reason):
            load_image(name, tmp_path)


def test_what_is_not_allowed_is_not_opened(served, tmp_path: Path) -> None:
    (url,) = served(1)
    (tmp_path / "inside").mkdir()
    (tmp_path / "a.jpg").write_bytes(photograph(96, 64))
    os.mkfifo(tmp_path / "pipe.jpg")
    refused = [
        (ImageLoader(allow_urls=False), url, "URLs are not allowed"),
        (ImageLoader(allow_paths=False), str(tmp_path / "a.jpg"), "local paths are not allowed"),
        (ImageLoader(), f"file://{tmp_path}/a.jpg", "scheme: file not allowed"),
        (
            ImageLoader(allow_schemes=("zip",)),
            f"zip://a.jpg::file://{tmp_path}/a.zip",
            "scheme: file not allowed",
        ),
        (ImageLoader(allow_schemes=("zip",)), f"zip://a.jpg::{tmp_path}/a.zip", "scheme: file not allowed"),
        (ImageLoader(allow_schemes=("zip",)), "zip://a.jpg::S3://bucket/a.zip", "scheme: s3 not allowed"),
        (ImageLoader(tmp_path / "inside", confine_to_base_path=True), "../a.jpg", "outside of"),
        (ImageLoader(tmp_path / "inside", confine_to_base_path=True), str(tmp_path / "a.jpg"), "outside of"),
        (ImageLoader(tmp_path), "pipe.jpg", "not a regular file"),
        (ImageLoader(tmp_path), "none.jpg", "No such file"),
    ]
    for loader, source, reason in refused:
        with pytest.raises(ImageLoadError, match=reason):
            loader(source)


def test_a_chain_opens_when_all_of_its_links_are_allowed(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.jpg", photograph(96, 64))
    loader = ImageLoader(allow_schemes=("zip", "file"))
    for path in (f"{tmp_path}/a.zip", f"file://{tmp_path}/a.zip"):
        assert loader(f"zip://a.jpg::{path}").size == (96, 64)


def test_file_systems_open_when_they_are_allowed(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(photograph(96, 64))
    assert ImageLoader(allow_schemes=("file",))(f"file://{tmp_path}/a.jpg").size == (96, 64)


def test_the_users_session_brings_its_authentication(image_server: ImageServer, served) -> None:
    (url,) = served(1)
    session = requests.Session()
    session.headers["Authorization"] = "Bearer of-the-user"
    assert ImageLoader(session=session)(url).size == (96, 64)
    path = "/" + url.split("/", 3)[3]
    assert "Bearer of-the-user" in (image_server.last_request(path) or "")


def test_load_many_puts_each_failure_in_its_place(served, image_server: ImageServer) -> None:
    urls = served(3)
    loaded = ImageLoader(retries=0).load_many([urls[0], image_server.url("/status/410"), urls[2]])
    assert isinstance(loaded[1], ImageLoadError)
    assert [picture.size for picture in loaded[::2]] == [(96, 64), (96, 64)]


def test_a_failure_that_can_pass_is_tried_again(image_server: ImageServer, tmp_path: Path) -> None:
    body = base64.b64encode(photograph(8, 8)).decode()
    for session in (None, requests.Session()):
        name = "engine" if session is None else "session"
        url = image_server.url(f"/flaky/training-{name}?fail=1&status=503")
        with pytest.raises(ImageLoadError, match="decode: "):  # its body, at the second try, is no image
            ImageLoader(retries=1, session=session)(url)
    assert load_image("data:image/jpeg;base64," + body).size == (8, 8)


class ToAbsolutePath:
    """An operator as other projects write it: what is joined to it must have ``operators``."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.operators = [self]

    def __call__(self, source: str) -> str:
        return str(self.base / source)

    def __rshift__(self, following) -> list:
        return [*self.operators, *following.operators]


def test_the_loader_is_a_step_of_other_pipelines_and_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(photograph(96, 64))
    foreign = ToAbsolutePath(tmp_path) >> ImageLoader()
    assert foreign[1](foreign[0]("a.jpg")).size == (96, 64)
    own = (lambda source: source + ".jpg") >> ImageLoader(tmp_path) >> (lambda picture: picture.size)
    assert own("a") == (96, 64)


def test_a_loader_can_be_pickled_and_used_in_a_forked_process(served, tmp_path: Path) -> None:
    (url,) = served(1)
    loader = ImageLoader()
    assert loader(url).size == (96, 64)
    assert pickle.loads(pickle.dumps(loader))(url).size == (96, 64)
    child = os.fork()
    if child == 0:
        os._exit(0 if loader(url).size == (96, 64) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert loader(url).size == (96, 64)


def test_a_loader_that_is_gone_leaves_no_thread(served) -> None:
    (url,) = served(1)
    before = set(threading.enumerate())
    loader = ImageLoader()
    loader(url)
    # Loaders of other tests may go meanwhile: only this one's thread is looked at.
    begun = [
        thread
        for thread in threading.enumerate()
        if thread.name == "img2dataset-fetcher" and thread not in before
    ]
    assert len(begun) == 1
    del loader
    gc.collect()
    begun[0].join(60)
    assert not begun[0].is_alive()


def test_wrong_options_are_named() -> None:
    for options in ({"mode": "CMYK"}, {"timeout_s": 0}, {"confine_to_base_path": True}):
        with pytest.raises(OptionError, match=next(iter(options))):
            ImageLoader(**options)
