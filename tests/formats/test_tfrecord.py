"""The tfrecord format, read back by a decoder of the wire format, and by TensorFlow where it is."""

from __future__ import annotations

import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from img2dataset.errors import OutputError
from img2dataset.formats import output_format
from img2dataset.formats.examples import entry_name, example, feature_entry, feature_of, read_example
from img2dataset.formats.findings import BrokenFile, Findings
from img2dataset.formats.protobuf import delimited
from img2dataset.formats.records import checksum_function, framed_record
from img2dataset.formats.shard_files import ShardFiles
from img2dataset.storage.locations import locate
from tests.working.shards import input_table, settings_for, succeeded, success, write_shard


def varint(data: bytes, start: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[start]
        start += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, start


def fields(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The length-delimited fields of a protobuf message: number and contents."""
    position = 0
    while position < len(data):
        tag, position = varint(data, position)
        assert tag & 7 == 2, "only length-delimited fields are used"
        length, position = varint(data, position)
        yield tag >> 3, data[position : position + length]
        position += length
    assert position == len(data)


def decoded_feature(data: bytes) -> list[Any]:
    kinds = list(fields(data))
    if not kinds:
        return []
    ((kind, contents),) = kinds
    if kind == 1:
        return [value for _, value in fields(contents)]
    ((_, packed),) = fields(contents)
    if kind == 2:
        return [value for (value,) in struct.iter_unpack("<f", packed)]
    values, position = [], 0
    while position < len(packed):
        value, position = varint(packed, position)
        values.append(value - (1 << 64) if value >> 63 else value)
    return values


def decoded_example(data: bytes) -> dict[str, list[Any]]:
    ((number, features),) = fields(data)
    assert number == 1
    decoded = {}
    for entry_number, entry in fields(features):
        assert entry_number == 1
        (name_number, name), (feature_number, feature) = fields(entry)
        assert (name_number, feature_number) == (1, 2)
        decoded[name.decode()] = decoded_feature(feature)
    return decoded


def records(path: Path) -> list[bytes]:
    """The records of a file, with every checksum checked."""
    from google_crc32c import value as crc32c

    def masked(data: bytes) -> int:
        crc = crc32c(data)
        return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF

    contents, position, found = path.read_bytes(), 0, []
    while position < len(contents):
        length_bytes = contents[position : position + 8]
        (length,) = struct.unpack("<Q", length_bytes)
        data = contents[position + 12 : position + 12 + length]
        checksums = contents[position + 8 : position + 12] + contents[position + 12 + length :][:4]
        assert struct.unpack("<II", checksums) == (masked(length_bytes), masked(data))
        found.append(data)
        position += length + 16
    return found


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, [b""]),
        ("", [b""]),
        ("caf\u00e9", ["caf\u00e9".encode()]),
        (b"\x00\xff", [b"\x00\xff"]),
        (0, [0]),
        (127, [127]),
        (128, [128]),
        (2**63 - 1, [2**63 - 1]),
        (-(2**63), [-(2**63)]),
        (True, [1]),
        (1.5, [1.5]),
        (1e300, [float("inf")]),
        (-1e300, [float("-inf")]),
        ([], []),
        ([1, -2], [1, -2]),
        ([1, 2.5], [1.0, 2.5]),
        (["a", "b"], [b"a", b"b"]),
        ([1, None], [b"1", b""]),
        ([[1], [2]], [b"[\n    1\n]", b"[\n    2\n]"]),
        ({"a": 1}, [b'{\n    "a": 1\n}']),
    ],
)
def test_a_value_becomes_the_feature_of_its_kind(value: Any, expected: list[Any]) -> None:
    data = example([feature_entry(entry_name("name"), feature_of(value))])
    assert decoded_example(data) == {"name": expected}


@given(
    st.dictionaries(
        st.text(),
        st.integers(-(2**63), 2**63 - 1)
        | st.text()
        | st.binary()
        | st.lists(st.floats(width=32, allow_nan=False)),
    )
)
def test_what_is_encoded_is_decoded_to_the_same(metadata: dict[str, Any]) -> None:
    data = example([feature_entry(entry_name(name), feature_of(value)) for name, value in metadata.items()])
    expected = {
        name: value if isinstance(value, list) else [value.encode() if isinstance(value, str) else value]
        for name, value in metadata.items()
    }
    assert decoded_example(data) == expected


def test_a_record_has_the_checksums_of_the_specification() -> None:
    google_crc32c = pytest.importorskip("google_crc32c", reason="google-crc32c is not installed")
    # The record of b"123456789", whose crc32c is the published check value 0xE3069283.
    assert google_crc32c.value(b"123456789") == 0xE3069283
    record = framed_record(b"123456789", google_crc32c.value)
    assert record[:8] == bytes([9, 0, 0, 0, 0, 0, 0, 0])
    assert (
        struct.unpack("<I", record[-4:])[0]
        == ((0xE3069283 >> 15 | 0xE3069283 << 17 & 0xFFFFFFFF) + 0xA282EAD8) & 0xFFFFFFFF
    )


def test_a_record_is_one_success_with_the_features_of_the_contract(tmp_path: Path) -> None:
    pytest.importorskip("google_crc32c", reason="google-crc32c is not installed")
    table = input_table(
        10, tags=pa.array([["a", "b"]] * 10), score=pa.array([0.5] * 10), raw=pa.array([b"\xff"] * 10)
    )
    samples = succeeded(write_shard(settings_for(tmp_path, "tfrecord"), table))
    examples = {e["key"][0].decode(): e for e in map(decoded_example, records(tmp_path / "00000.tfrecord"))}
    assert sorted(examples) == [sample.key for sample in samples]
    for sample in samples:
        caption = (sample.caption or "").encode()
        assert examples[sample.key] == {
            "jpg": [sample.image],
            "txt": [caption],
            "tags": [b"a", b"b"],
            "score": [0.5],
            "raw": [b"\xff"],
            "caption": [caption],
            "url": [f"http://example.com/{sample.index}.jpg".encode()],
            "key": [sample.key.encode()],
            "status": [b"success"],
            "error_message": [b""],
            "width": [sample.metadata["width"]],
            "height": [8],
            "original_width": [640],
            "original_height": [480],
            "exif": [b"{}"],
            "sha256": [f"{sample.index:064x}".encode()],
        }


def test_without_captions_there_is_no_txt(tmp_path: Path) -> None:
    pytest.importorskip("google_crc32c", reason="google-crc32c is not installed")
    settings = settings_for(tmp_path, "tfrecord", save_captions=False, extract_exif=False, hash_column=None)
    table = input_table(1).select(["url"])
    write_shard(settings, table, [success(settings, table, 0)])
    (record,) = records(tmp_path / "00000.tfrecord")
    assert not {"txt", "caption", "exif", "sha256"} & set(decoded_example(record))


def test_the_missing_package_is_named_with_the_way_to_install_it(tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['google_crc32c'] = None\n"
        "from img2dataset.errors import MissingDependency\n"
        "from tests.working.shards import settings_for\n"
        "try:\n"
        f"    settings_for({str(tmp_path)!r}, 'tfrecord')\n"
        "except MissingDependency as error:\n"
        "    print(error)\n"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "pip install 'google-crc32c>=1.5'" in result.stdout
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_tensorflow_reads_it(tmp_path: Path) -> None:
    tf = pytest.importorskip("tensorflow", reason="TensorFlow is not installed: pip install tensorflow-cpu")
    table = input_table(
        10,
        tags=pa.array([["a", "b"]] * 10),
        score=pa.array([0.5] * 10),
        empty=pa.array([[]] * 10, pa.list_(pa.int64())),
    )
    samples = succeeded(write_shard(settings_for(tmp_path, "tfrecord"), table))
    features = {
        "key": tf.io.FixedLenFeature([], tf.string),
        "jpg": tf.io.FixedLenFeature([], tf.string),
        "txt": tf.io.FixedLenFeature([], tf.string),
        "tags": tf.io.FixedLenFeature([2], tf.string),
        "empty": tf.io.VarLenFeature(tf.int64),
        "score": tf.io.FixedLenFeature([], tf.float32),
        "width": tf.io.FixedLenFeature([], tf.int64),
        "error_message": tf.io.FixedLenFeature([], tf.string),
    }
    read = [
        tf.io.parse_single_example(record, features)
        for record in tf.data.TFRecordDataset(str(tmp_path / "00000.tfrecord"))
    ]
    read.sort(key=lambda example: bytes(example["key"].numpy()))
    assert [example["key"].numpy().decode() for example in read] == [sample.key for sample in samples]
    for got, sample in zip(read, samples, strict=True):
        assert got["jpg"].numpy() == sample.image
        assert got["txt"].numpy().decode() == (sample.caption or "")
        assert got["tags"].numpy().tolist() == [b"a", b"b"]
        assert got["empty"].values.shape == (0,)
        assert got["score"].numpy() == 0.5
        assert got["width"].numpy() == sample.metadata["width"]
        assert tf.io.decode_jpeg(got["jpg"]).shape[1] == sample.metadata["width"]


def test_a_record_that_is_broken_behind_its_key_is_told_when_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "00000.tfrecord"
    crc32c = checksum_function()
    record = example([feature_entry(entry_name("key"), feature_of("0")), b"\x0f"])
    path.write_bytes(framed_record(record, crc32c))
    images = output_format("tfrecord").images(str(path))
    with pytest.raises(BrokenFile):
        images.read("0")


def test_a_column_named_like_an_image_hides_no_image_from_a_stream(tmp_path: Path) -> None:
    path = tmp_path / "00000.tfrecord"
    values = {"key": "0", "gif": "no", "jpg": b"image"}
    record = example([feature_entry(entry_name(name), feature_of(value)) for name, value in values.items()])
    path.write_bytes(framed_record(record, checksum_function()))
    tfrecord = output_format("tfrecord")
    source = ShardFiles(locate(str(tmp_path), "folder", OutputError))
    (sample,) = tfrecord.samples(source, path.name, columns=(), with_images=True, findings=Findings())
    assert sample.image == b"image" == tfrecord.images(str(path)).read("0")


def test_a_list_of_floats_that_ends_within_one_is_no_example() -> None:
    floats = delimited(2, delimited(1, b"\0" * 7))
    with pytest.raises(ValueError, match="ends within one"):
        read_example(example([feature_entry(entry_name("width"), floats)]))
