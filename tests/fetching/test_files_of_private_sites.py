"""A redirect from a public address may not lead to private ones, and neither may the files of their sites."""

from __future__ import annotations

from typing import Any

from tests.fetching.own_network import PRIVATE, PUBLIC, Visit, visit

STRICT: dict[str, Any] = {"consent": "strict", "respect_robots_txt": True, "respect_tdm": True}


def test_a_redirect_from_a_public_address_has_no_file_of_a_private_site_asked_for() -> None:
    picture = f"http://{PRIVATE}/a.jpg"
    redirected = f"http://{PUBLIC}/to?{picture}"
    alone, both = visit(Visit([redirected], STRICT), Visit([redirected, picture], STRICT, together=True))
    assert alone.failures == ["address: private"]
    assert sorted(alone.requests[PUBLIC]) == ["/.well-known/tdmrep.json", "/robots.txt", f"/to?{picture}"]
    assert PRIVATE not in alone.connections
    # The list itself may lead there, whichever is first.
    assert sorted(map(str, both.failures)) == ["None", "address: private"]
    assert sorted(both.requests[PRIVATE]) == ["/.well-known/tdmrep.json", "/a.jpg", "/robots.txt"]
