"""What a data engineer would write instead: ``python daft_pipeline.py LIST.parquet FOLDER``.

Download, decode, resize, encode, write parquet, with Daft's defaults; a row that fails is null. Daft's
resize keeps no aspect ratio and its JPEG has no quality option, so its images are not the contenders'.
Run in Daft's own environment by ``run.py``; uses nothing of this project.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

# Daft is installed in an environment of its own, where no types are checked.
import daft  # type: ignore[import-not-found]
from daft.functions import (  # type: ignore[import-not-found]
    decode_image,
    download,
    encode_image,
    resize,
)

IMAGE_SIZE = 256


def main() -> None:
    url_list, folder = sys.argv[1:]
    frame = daft.read_parquet(url_list)
    image = decode_image(download(daft.col("url"), on_error="null"), on_error="null")
    frame = frame.with_column("jpg", encode_image(resize(image, IMAGE_SIZE, IMAGE_SIZE), "jpeg"))
    frame.write_parquet(folder)

    written = daft.read_parquet(f"{folder}/*.parquet").select("jpg")
    counts = {
        "rows": written.count_rows(),
        "successes": written.where(written["jpg"].not_null()).count_rows(),
    }
    Path(folder, "counts.json").write_text(json.dumps(counts))


if __name__ == "__main__":
    main()
