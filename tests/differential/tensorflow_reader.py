"""Prints the examples of a tfrecord file as one line of JSON, read by TensorFlow's own reader.

Run by ``outputs.py`` in the environment that has TensorFlow; bytes are printed as hexadecimal digits.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import tensorflow as tf  # type: ignore[import-untyped]


def read_examples(path: str) -> list[dict[str, Any]]:
    """Every example's features: name → kind (bytes_list, float_list, int64_list) and values."""
    examples = []
    for record in tf.data.TFRecordDataset(path):
        example = tf.train.Example.FromString(record.numpy())
        features = {}
        for name, feature in example.features.feature.items():
            kind = feature.WhichOneof("kind")
            values = list(getattr(feature, kind).value) if kind else []
            features[name] = {
                "kind": kind,
                "values": [value.hex() for value in values] if kind == "bytes_list" else values,
            }
        examples.append(features)
    return examples


if __name__ == "__main__":
    print(json.dumps(read_examples(sys.argv[1])))
