"""``download_image_with_retry`` and ``Downloader``, where 1.47.0 had them; loading scripts call them.

Both go the way of every row: the addresses that may be asked, the bounds and the manners are those of a run.
"""

from __future__ import annotations

import functools
import io
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from img2dataset.failures import URL_NOT_A_STRING
from img2dataset.resizer import Resizer

if TYPE_CHECKING:
    from img2dataset.options import Options
    from img2dataset.training.load.downloading import EngineDownloader
    from img2dataset.types import Shard

__all__ = ["Downloader", "download_image", "download_image_with_retry"]

logger = logging.getLogger("img2dataset")

Downloaded = tuple[Any, io.BytesIO | None, str | None]


def download_image_with_retry(
    row: tuple[Any, Any],
    timeout: float,
    retries: int,
    user_agent_token: str | None,
    disallowed_header_directives: Sequence[str] | None,
) -> Downloaded:
    """Download one image; call it from several threads for several at once.

    Args:
        row: anything to know the image by, and its URL.
        timeout: seconds; bounds connecting and every silence.
        retries: tries after the first, for failures that can pass.
        user_agent_token: your name in the User-Agent, matched against X-Robots-Tag.
        disallowed_header_directives: X-Robots-Tag directives that exclude an image; None accepts all.

    Returns:
        What the image is known by; its bytes as a stream, and None; or None, and why there are none.

    Raises:
        OptionError: a value is not one that its option takes.
    """
    name, url = row
    if not isinstance(url, str):
        return name, None, URL_NOT_A_STRING
    downloader = _downloader(timeout, retries, user_agent_token, tuple(disallowed_header_directives or ()))
    (entry,) = downloader.download([(url, None)])
    if entry.failure is not None:
        return name, None, entry.failure
    return name, io.BytesIO(entry.body), None


def download_image(
    row: tuple[Any, Any],
    timeout: float,
    user_agent_token: str | None,
    disallowed_header_directives: Sequence[str] | None,
) -> Downloaded:
    """``download_image_with_retry`` with one try."""
    return download_image_with_retry(row, timeout, 0, user_agent_token, disallowed_header_directives)


@functools.lru_cache(maxsize=8)
def _downloader(
    timeout: float, retries: int, token: str | None, directives: tuple[str, ...]
) -> EngineDownloader:
    """One event loop for all calls of a process with the same options."""
    from img2dataset.options import resolve
    from img2dataset.settings import fetch_settings
    from img2dataset.training.load.downloading import EngineDownloader

    options = {
        "url_list": [],
        "timeout": timeout,
        "retries": retries,
        "user_agent_token": token,
        "disallowed_header_directives": directives,
    }
    return EngineDownloader(fetch_settings(resolve(options)))


class Downloader:
    """Makes one shard of a table of rows: downloads, resizes and writes them.

    Args:
        sample_writer_class: a class of ``img2dataset.writer``, or the name of an ``output_format``.
        resizer: says how images are resized and filtered, and whether ``blurring_bbox_col`` is blurred.
        save_caption: whether samples get their ``caption``.
        column_list: the columns of the table, in the order of the metadata: ``caption`` and ``url`` under
            these names, and with ``verify_hash_type`` the expected hashes under its name.
        verify_hash_type: the hash that downloaded bytes must match, the same as ``compute_hash``, or None.
        blurring_bbox_col: the column with the boxes to blur.
        thread_count, extract_exif, output_folder, timeout, number_sample_per_shard, oom_shard_count,
            compute_hash, encode_format, retries, user_agent_token: as the options of these names.
        disallowed_header_directives: as the option, and None accepts all.

    Raises:
        OptionError: a value is not one that its option takes. It is a ``ValueError``.
    """

    def __init__(
        self,
        sample_writer_class: Any,
        resizer: Resizer,
        thread_count: int,
        save_caption: bool,
        extract_exif: bool,
        output_folder: str,
        column_list: Sequence[str],
        timeout: float,
        number_sample_per_shard: int,
        oom_shard_count: int,
        compute_hash: str | None,
        verify_hash_type: str | None,
        encode_format: str,
        retries: int,
        user_agent_token: str | None,
        disallowed_header_directives: Sequence[str] | None,
        blurring_bbox_col: str | None = None,
    ) -> None:
        self.column_list = list(column_list)
        self.verify_hash_type = verify_hash_type
        self.blurring_bbox_col = blurring_bbox_col
        self.options = self._resolved(
            {
                "output_format": getattr(sample_writer_class, "output_format", sample_writer_class),
                "thread_count": thread_count,
                "caption_col": "caption" if save_caption else None,
                "extract_exif": extract_exif,
                "output_folder": output_folder,
                "timeout": timeout,
                "number_sample_per_shard": number_sample_per_shard,
                "oom_shard_count": oom_shard_count,
                "compute_hash": compute_hash,
                "verify_hash": [verify_hash_type, verify_hash_type] if verify_hash_type else None,
                "bbox_col": blurring_bbox_col,
                "encode_format": encode_format,
                "retries": retries,
                "user_agent_token": user_agent_token,
                "disallowed_header_directives": list(disallowed_header_directives or ()),
            },
            resizer,
        )

    @staticmethod
    def _resolved(given: dict[str, Any], resizer: Resizer) -> Options:
        from img2dataset.options import option_specs, resolve

        images = {
            name: getattr(resizer.options, name)
            for name, spec in option_specs().items()
            if spec.group == "Images" and name not in given
        }
        return resolve({"url_list": [], **images, **given})

    def __call__(self, row: tuple[int, str]) -> tuple[bool, tuple[int, str]]:
        """Make one shard, and remove its table.

        Args:
            row: the shard's number, and the path of its table, a feather file on any fsspec file system.

        Returns:
            Whether the shard was made, and ``row``. Rows that failed are no failure of the shard.
        """
        shard_id, path = row
        try:
            self.download_shard(row)
        except Exception as error:  # 1.47.0's callers ask the answer, and go on with the next shard
            logger.error("shard %d could not be made from %s: %s", shard_id, path, error, exc_info=True)
            return False, row
        return True, row

    def download_shard(self, row: tuple[int, str]) -> None:
        """As a call, but raises what went wrong."""
        from img2dataset.errors import RunFailed
        from img2dataset.settings import work_settings
        from img2dataset.storage.locations import open_path
        from img2dataset.working import Worker
        from img2dataset.working.output_folder import OutputFolder

        shard_id, path = row
        settings = work_settings(self.options)
        file_system, remote_path = open_path(path)
        shard = self._shard(shard_id, file_system, remote_path)
        OutputFolder(settings.write).prepare()
        (report,) = Worker(settings).run([shard])
        if report.error is not None:
            raise RunFailed(report.error)
        file_system.rm_file(remote_path)

    def _shard(self, shard_id: int, file_system: Any, remote_path: str) -> Shard:
        from pyarrow import feather

        from img2dataset.reading.columns import SelectedColumn, build_from_table, check_columns
        from img2dataset.types import BBOX_COLUMN, EXPECTED_HASH_COLUMN, Shard

        # The file is written by pandas or Arrow, by the caller: nothing a stranger sent.
        with file_system.open(remote_path, "rb") as file:
            table = feather.read_table(file)
        hidden = {self.verify_hash_type: EXPECTED_HASH_COLUMN, self.blurring_bbox_col: BBOX_COLUMN}
        names = [name for name in self.column_list if name not in hidden]
        wanted = [SelectedColumn(name, name, "column_list") for name in names]
        wanted += [SelectedColumn(name, hidden[name], "column_list") for name in hidden if name is not None]
        check_columns(wanted, table.column_names, str(remote_path))
        rows = build_from_table(wanted, table)
        return Shard(shard_id, rows.table, rows.invalid_urls)
