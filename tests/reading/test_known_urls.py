"""The set of URLs that an output has: exact, of any size, in little memory, and gone afterwards."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from img2dataset.errors import InputError, OutputError
from img2dataset.reading import KnownUrls, sorted_hashes
from img2dataset.reading.sorted_hashes import DTYPE, SortedHashes, url_hashes
from tests.own_peak import with_own_peak
from tests.reading.test_streaming import CountingFile
from tests.working.shards import input_table, settings_for, write_shard

LARGEST = 2**64 - 1


def strings(values):
    return pa.chunked_array([pa.array(values, pa.string())])


def addresses(start, stop):
    return strings([f"https://host{i % 977}.example/{i:012}.jpg" for i in range(start, stop)])


def known_of(folder, *paths):
    known = KnownUrls(str(folder))
    known.add_from_metadata(paths)
    return known


def has(known, *urls):
    return known.contains(strings(urls)).tolist()


def run_python(program, *arguments):
    command = with_own_peak([sys.executable, "-c", program, *map(str, arguments)])
    return subprocess.run(command, capture_output=True, text=True, timeout=240)


# ---- the set ----


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.one_of(st.none(), st.text(max_size=6)), max_size=30), max_size=6),
    st.lists(st.one_of(st.none(), st.text(max_size=6)), max_size=40),
    st.sampled_from([1, 7, 1 << 19]),
)
def test_it_answers_as_a_set_in_memory_does(batches, asked, buffered):
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sorted_hashes, "BUFFERED_HASHES", buffered)
        expected = {url for batch in batches for url in batch if url is not None}
        asked = [*asked, *(url for batch in batches for url in batch)]
        with KnownUrls(folder) as known:
            for batch in batches:
                known.add(strings(batch))
            assert known.contains(strings(asked)).tolist() == [url in expected for url in asked]
            assert len(known) == len(expected)


# Real hashes never share their first half; these do, and lie at the ends of the range and of blocks.
half = st.sampled_from([0, 1, 2**54 - 1, 2**54, 2**63, LARGEST - 1, LARGEST])


@settings(max_examples=60, deadline=None)
@given(
    st.sets(st.tuples(half, half), max_size=30),
    st.sampled_from([0, 0, 50, 3000]),
    st.lists(st.tuples(half, half), max_size=40),
    st.sampled_from([1, 100, 1 << 19]),
    st.sampled_from([1, 2, 4, 512]),
    st.sampled_from([1, 10, 1024]),
)
def test_hashes_that_share_their_first_half_are_told_apart(
    chosen, filling, asked, buffered, page_hashes, lookups_at_once
):
    generator = np.random.default_rng(filling)
    filled = generator.integers(0, 2**64, (filling, 2), dtype=np.uint64)
    given_hashes = np.concatenate([np.array(sorted(chosen), np.uint64).reshape(-1, 2), filled])
    generator.shuffle(given_hashes)
    expected = {tuple(row) for row in given_hashes.tolist()}
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sorted_hashes, "BUFFERED_HASHES", buffered)
        patch.setattr(sorted_hashes, "PAGE_HASHES", page_hashes)
        patch.setattr(sorted_hashes, "LOOKUPS_AT_ONCE", lookups_at_once)
        found = SortedHashes(folder)
        for start in range(0, len(given_hashes), 90):
            found.add(as_hashes(given_hashes[start : start + 90]))
            found.add(as_hashes(given_hashes[start : start + 5]))
        found.sort()
        assert len(found) == len(expected)
        questions = np.array([*asked, *expected, *((LARGEST, 3), (3, LARGEST))], np.uint64).reshape(-1, 2)
        answers = [tuple(row) in expected for row in questions.tolist()]
        assert found.contains(as_hashes(questions)).tolist() == answers
        found.close()


def as_hashes(halves):
    """Rows of two numbers, the first of which decides which hash comes first."""
    return np.frombuffer(halves.astype(">u8").tobytes(), DTYPE)


def test_a_hash_is_the_128_bits_that_the_docstring_reckons_with():
    assert url_hashes([b"http://a"]).nbytes == 16
    [[first, second]] = url_hashes([b"http://a"]).view("<u8").reshape(-1, 2).tolist()
    assert 0 < first <= LARGEST
    assert 0 < second <= LARGEST
    assert url_hashes([b"http://a"]).tolist() != url_hashes([b"http://a "]).tolist()


def test_a_million_urls_are_told_from_as_many_others(tmp_path):
    with KnownUrls(str(tmp_path)) as known:
        for start in range(0, 1_000_000, 200_000):
            known.add(addresses(start, start + 200_000))
        known.add(addresses(0, 100_000))
        assert len(known) == 1_000_000
        assert known.contains(addresses(900_000, 1_000_000)).all()
        assert not known.contains(addresses(1_000_000, 1_100_000)).any()


def test_memory_does_not_grow_with_the_set(tmp_path):
    program = """
import resource, sys
import numpy as np
from img2dataset.reading.sorted_hashes import DTYPE, SortedHashes

generator = np.random.default_rng(0)
found = SortedHashes(sys.argv[1])
for _ in range(int(sys.argv[2])):
    found.add(np.frombuffer(generator.bytes(1 << 21), DTYPE))
found.sort()
generator = np.random.default_rng(0)
for _ in range(4):
    assert found.contains(np.frombuffer(generator.bytes(1 << 21), DTYPE)).all()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024))
"""
    peaks = {}
    for batches in (4, 48):
        folder = tmp_path / str(batches)
        folder.mkdir()
        ended = run_python(program, folder, batches)
        assert ended.returncode == 0, ended.stderr
        peaks[batches] = int(ended.stdout)
    # The larger set is 88 MB longer.
    assert peaks[48] - peaks[4] < 40e6


# ---- metadata ----


@pytest.mark.parametrize("output_format", ["files", "webdataset", "parquet", "tfrecord"])
def test_every_row_of_our_own_shards_is_known(tmp_path, output_format):
    settings = settings_for(tmp_path / "out", output_format)
    write_shard(settings, input_table(10))
    urls = input_table(10).column("url")
    with known_of(tmp_path, str(tmp_path / "out" / "00000.parquet")) as known:
        assert known.contains(urls).tolist() == [True] * 10
        assert len(known) == 10


@pytest.mark.parametrize(
    ("url_type", "status_type"),
    [
        (pa.string(), pa.string()),
        (pa.large_string(), pa.large_string()),
        (pa.dictionary(pa.int32(), pa.string()), pa.dictionary(pa.int8(), pa.string())),
        (pa.binary(), pa.string()),
    ],
    ids=str,
)
def test_metadata_of_other_programs_is_understood(tmp_path, url_type, status_type):
    """The columns of img2dataset 1.47.0, whose rows are in the order of the answers."""
    table = pa.table(
        {
            "caption": ["x", "y", "z", "w"],
            "url": pa.array(["http://c", "http://a?é 1", "http://b", None], pa.string()).cast(url_type),
            "key": ["000000002", "000000000", "000000001", "000000003"],
            "status": pa.array(["success", "success", "failed_to_resize", None], pa.string()).cast(
                status_type
            ),
            "error_message": [None, None, "image decoding error", "?"],
            "width": pa.array([8, 8, None, None], pa.int32()),
        }
    )
    pq.write_table(table, tmp_path / "00000.parquet")
    with known_of(tmp_path, str(tmp_path / "00000.parquet")) as known:
        assert has(known, "http://c", "http://a?é 1", "http://b", None) == [True, True, True, False]
        assert known.rows_without_url == 1


def test_many_files_are_read_as_they_are_named_and_progress_is_told(tmp_path):
    def paths():
        for number in range(40):
            urls = [f"http://{number}/{row}" for row in range(5)]
            statuses = ["success"] * 4 + ["failed_to_download"]
            pq.write_table(pa.table({"url": urls, "status": statuses}), tmp_path / f"{number}.parquet")
            yield str(tmp_path / f"{number}.parquet")

    told = []
    with KnownUrls(str(tmp_path / "known")) as known:
        assert known.add_from_metadata(paths(), lambda files, urls: told.append((files, urls))) == 200
        assert told == [(files, files * 5) for files in range(1, 41)]
        # A row that failed is there too.
        assert has(known, "http://39/3", "http://39/4", "http://39/5") == [True, True, False]


def test_reading_ends_with_what_the_progress_callback_raises(tmp_path):
    def stop(files, urls):
        raise KeyboardInterrupt

    pq.write_table(pa.table({"url": ["http://a"], "status": ["success"]}), tmp_path / "0.parquet")
    with KnownUrls(str(tmp_path)) as known, pytest.raises(KeyboardInterrupt):
        known.add_from_metadata([str(tmp_path / "0.parquet")] * 100, stop)


def test_metadata_is_read_from_a_store(tmp_path):
    paths = [f"memory://known-urls/{number:05}.parquet" for number in range(30)]
    for number, path in enumerate(paths):
        with fsspec.open(path, "wb") as file:
            pq.write_table(pa.table({"url": [f"http://{number}"], "status": ["success"]}), file)
    with known_of(tmp_path, *paths) as known:
        assert has(known, "http://0", "http://29", "http://30") == [True, True, False]


def test_images_beside_the_metadata_are_not_read(tmp_path):
    count = 500
    table = pa.table(
        {
            "url": [f"http://{row}" for row in range(count)],
            "status": ["success"] * count,
            "jpg": [os.urandom(40_000) for _ in range(count)],
        }
    )
    path = tmp_path / "00000.parquet"
    pq.write_table(table, path, row_group_size=100, compression="none")
    CountingFile.taken = 0
    with known_of(tmp_path, f"counting://{path}") as known:
        assert len(known) == count
    assert 0 < CountingFile.taken < path.stat().st_size / 20


# ---- what goes wrong ----


def test_a_damaged_metadata_file_is_named_with_the_way_out(tmp_path):
    whole = tmp_path / "00000.parquet"
    pq.write_table(pa.table({"url": ["http://a"], "status": ["success"]}), whole)
    cut = tmp_path / "00001.parquet"
    cut.write_bytes(whole.read_bytes()[:-20])
    with pytest.raises(InputError, match=r"00001\.parquet .*img2dataset verify"):
        known_of(tmp_path, str(whole), str(cut))


@pytest.mark.parametrize("protocol", ["", "memory://"])
def test_a_missing_metadata_file_is_named_with_the_way_out(tmp_path, protocol):
    with pytest.raises(InputError, match=r"00007\.parquet cannot be .*img2dataset verify"):
        known_of(tmp_path, f"{protocol}{tmp_path}/00007.parquet")


@pytest.mark.parametrize(
    ("columns", "said"),
    [({"url": ["a"], "label": [1]}, 'has no column "status"'), ({"url": ["a"], "status": [1]}, "int64")],
)
def test_a_table_that_is_no_metadata_is_refused(tmp_path, columns, said):
    pq.write_table(pa.table(columns), tmp_path / "00000.parquet")
    with pytest.raises(InputError, match=said):
        known_of(tmp_path, str(tmp_path / "00000.parquet"))


def test_a_folder_that_cannot_be_written_to_is_one_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=rf"{tmp_path}/file.*TMPDIR"):
        KnownUrls(str(tmp_path / "file"))


def test_a_set_that_the_disk_could_not_take_answers_nothing(tmp_path):
    program = """
import resource, sys
import pyarrow as pa
from img2dataset.errors import OutputError
from img2dataset.reading import KnownUrls

urls = pa.chunked_array([pa.array([f"http://{i}" for i in range(20000)])])
known = KnownUrls(sys.argv[1])
known.add(urls)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
for _ in range(2):
    try:
        known.contains(urls)
    except (OutputError, ValueError) as error:
        print(type(error).__name__, error)
"""
    ended = run_python(program, tmp_path)
    first, second = ended.stdout.splitlines()
    assert first.startswith(f"OutputError the known URLs cannot be kept in {tmp_path}: File too large")
    assert second.startswith("ValueError")
    assert os.listdir(tmp_path) == []


def test_urls_cannot_be_added_after_a_look_up(tmp_path):
    with KnownUrls(str(tmp_path)) as known:
        known.add(strings(["http://a"]))
        assert has(known, "http://a", "http://b") == [True, False]
        with pytest.raises(ValueError, match="after the first look-up"):
            known.add(strings(["http://b"]))
    with pytest.raises(ValueError, match="closed"):
        has(known, "http://a")


# ---- what is left behind ----


def test_nothing_is_left_on_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(sorted_hashes, "BUFFERED_HASHES", 100)
    with KnownUrls(str(tmp_path)) as known:
        known.add(addresses(0, 1000))
        assert [path for path in tmp_path.rglob("*") if path.is_file()]
        # Look-ups need no names, so that not even a killed process leaves anything.
        assert known.contains(addresses(0, 1000)).all()
        assert os.listdir(tmp_path) == []
    abandoned = KnownUrls(str(tmp_path))
    abandoned.add(addresses(0, 1000))
    del abandoned
    assert os.listdir(tmp_path) == []


def test_a_run_that_does_not_ask_for_it_pays_no_import():
    ended = run_python(
        "import sys; import img2dataset.reading; print({'numpy', 'pyarrow', 'fsspec'} & set(sys.modules))"
    )
    assert ended.stdout.strip() == "set()"


def test_an_empty_set_knows_nothing(tmp_path):
    with KnownUrls(str(Path(tmp_path, "made", "when", "needed"))) as known:
        assert known.add_from_metadata([]) == 0
        assert has(known, "http://a", None) == [False, False]
        assert len(known) == 0


# ---- the fingerprint ----


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=6), max_size=20), st.randoms(), st.text(max_size=6))
def test_the_fingerprint_tells_other_urls_and_not_another_order(urls, random, another):
    shuffled = random.sample(urls, len(urls))
    with tempfile.TemporaryDirectory() as folder:
        fingerprints = [
            fingerprint_of(folder, added)
            for added in ([urls], [[url] for url in shuffled], [urls, [another]])
        ]
    assert fingerprints[0] == fingerprints[1] != fingerprints[2]


def fingerprint_of(folder, batches):
    with KnownUrls(folder) as known:
        for batch in batches:
            known.add(strings(batch))
        return known.fingerprint
