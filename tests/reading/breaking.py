"""What a list that ends with an error has given before it."""

from __future__ import annotations

import pytest

from img2dataset.errors import InputError
from img2dataset.reading import Reader
from img2dataset.types import Shard


def shards_before_error(reader: Reader) -> tuple[list[Shard], str]:
    """The shards handed out before the InputError, and its message."""
    found: list[Shard] = []
    with pytest.raises(InputError) as raised:
        found.extend(reader.shards())
    return found, str(raised.value)


def urls_before_error(reader: Reader) -> tuple[list[str | None], str]:
    found, message = shards_before_error(reader)
    return [url for shard in found for url in shard.rows.column("url").to_pylist()], message
