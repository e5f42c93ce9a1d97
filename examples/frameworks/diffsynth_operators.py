"""DiffSynth-Studio: a step among its operators, so that metadata.csv may name URLs; and a video by its URL.

    pip install 'img2dataset[training]' diffsynth
    python examples/frameworks/diffsynth_operators.py metadata.csv cache

``metadata.csv`` has the columns ``image`` (URLs or paths) and ``prompt``. What is downloaded is kept for all
workers and epochs.
"""

from __future__ import annotations

import os
import sys

from diffsynth.core.data.operators import ImageCropAndResize, ToAbsolutePath
from diffsynth.core.data.unified_dataset import UnifiedDataset
from torch.utils.data import DataLoader

from img2dataset.training import ImageLoader


def main(metadata: str, cache: str) -> None:
    """Two epochs; the second makes no request."""
    base = os.path.dirname(os.path.abspath(metadata))
    images = ToAbsolutePath(base) >> ImageLoader(cache=cache) >> ImageCropAndResize(height=64, width=64)
    dataset = UnifiedDataset(base, metadata, data_file_keys=("image",), main_data_operator=images)
    loader = DataLoader(dataset, batch_size=None, shuffle=True, num_workers=2)
    rows = 0
    for _ in range(2):
        for row in loader:
            assert row["image"].size == (64, 64)
            rows += bool(row["prompt"])
    print(f"{rows} rows")


if __name__ == "__main__":
    main(*sys.argv[1:])
