from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.program.runs import run
from tests.reporting.report.datasets import misbehaving_rows, write_csv
from tests.servers import ImageServer
from tests.storage.conftest import s3_server

__all__ = ["s3_server"]  # a fixture


@pytest.fixture(scope="package")
def output(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a run over a web that misbehaves, with captions of strangers; to be left as it is."""
    folder = tmp_path_factory.mktemp("report")
    with ImageServer() as server:
        url_list = write_csv(folder / "list.csv", misbehaving_rows(server, 240))
        result = run(
            url_list=url_list,
            input_format="csv",
            caption_col="caption",
            save_additional_columns="author",
            output_format="webdataset",
            output_folder=folder / "out",
            number_sample_per_shard=100,
            processes_count=1,
            retries=0,
            network_patience=0,
            image_size=64,
        )
        assert result.returncode == 0, result.stderr
        assert f"report: {folder}/out/report.html" in result.stdout
        yield folder / "out"
