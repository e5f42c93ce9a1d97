"""The manifest's keys in the file stay, whatever the fields of ``RunRecord`` are called."""

from __future__ import annotations

import json

from img2dataset.manifest import Manifest, RunRecord

KEYS = {
    *("first_shard_id", "options", "files", "mode", "version", "packages", "python", "host", "started"),
    *("ended", "known", "gaps", "url_list"),
}


def test_a_manifest_is_written_with_the_keys_that_folders_have_and_read_back() -> None:
    manifest = Manifest([RunRecord(3, {}, [], mode="new_only", left_out_fingerprint="41-ab", gaps=[1])])
    (run,) = json.loads(manifest.to_text())["runs"]
    assert set(run) == KEYS
    assert run["known"] == "41-ab"
    assert Manifest.from_text(manifest.to_text()) == manifest
