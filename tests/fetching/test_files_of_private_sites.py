"""A redirect from a public address may not lead to private ones, and neither may the files of their sites."""

from __future__ import annotations

from typing import Any

import pytest

from img2dataset.fetching.http.destinations import Destinations
from tests.fetching.download_all import download_all
from tests.pictures import photograph
from tests.servers import ImageServer


def test_a_redirect_from_a_public_address_has_no_file_of_a_private_site_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Loopback is all that a test can ask: what is redirected there counts as coming from outside.
    monkeypatch.setattr(Destinations, "is_public", lambda *of_answer: True)
    settings: dict[str, Any] = {"consent": "strict", "respect_robots_txt": True, "respect_tdm": True}
    with ImageServer() as public, ImageServer() as private:
        picture = private.put("/a.jpg", photograph(40, 30))
        redirected = public.url(f"/redirect?to={picture}")
        [fetched] = download_all([redirected], **settings)
        assert fetched.failure == "address: loopback"
        paths = ("/robots.txt", "/.well-known/tdmrep.json", "/a.jpg")
        assert [private.count(path) for path in paths] == [0, 0, 0]
        # The list itself may lead there, whichever is first.
        both = download_all([redirected, picture], **settings)
        assert sorted(str(each.failure) for each in both) == ["None", "address: loopback"]
