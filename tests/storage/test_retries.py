"""What is asked of a store again, and what never: its refusals, and mistakes in a program."""

from __future__ import annotations

import asyncio
import concurrent.futures
import ftplib
import http.client
import ssl
from pathlib import Path

import aiohttp
import botocore.exceptions
import pytest
from fsspec.exceptions import FSTimeoutError

from img2dataset.errors import OutputError
from img2dataset.storage.retries import may_pass, with_retries
from img2dataset.working.output_folder import OutputFolder
from img2dataset.working.shard_writer import ShardWriter
from tests.storage.stores import UnsteadyStore
from tests.working.shards import input_table, settings_for, statistics_of, usual_samples, write_shard

SLOW_DOWN = {"Error": {"Code": "503", "Message": "Slow Down"}}


def caused_by(cause: Exception) -> RuntimeError:
    """As adlfs raises whatever has ended an upload."""
    error = RuntimeError("Failed to upload block")
    error.__cause__ = cause
    return error


PASSING = [
    OSError("503 Slow Down"),
    OSError(5, "Input/output error"),
    ConnectionResetError(),
    BrokenPipeError(),
    TimeoutError(),
    asyncio.TimeoutError(),
    concurrent.futures.TimeoutError(),
    FSTimeoutError(),
    ssl.SSLError("the handshake was cut off"),
    EOFError(),
    http.client.IncompleteRead(b""),
    http.client.RemoteDisconnected(),
    ftplib.error_temp("421 Too many connections"),
    botocore.exceptions.ClientError(SLOW_DOWN, "PutObject"),
    botocore.exceptions.EndpointConnectionError(endpoint_url="https://store.example"),
    botocore.exceptions.ReadTimeoutError(endpoint_url="https://store.example"),
    aiohttp.ClientPayloadError(),
    aiohttp.ServerDisconnectedError(),
    RuntimeError("500"),
    caused_by(botocore.exceptions.ClientError(SLOW_DOWN, "PutObject")),
]
MISTAKES = [
    AttributeError("'NoneType' object has no attribute 'close'"),
    TypeError("put_file() got an unexpected keyword argument"),
    KeyError("name"),
    IndexError("list index out of range"),
    NameError("name 'folder' is not defined"),
    ValueError("Parent directory does not exist"),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
    ZeroDivisionError(),
    AssertionError(),
    NotImplementedError(),
    RecursionError(),
    ImportError("no module named adlfs"),
    MemoryError(),
    StopIteration(),
    caused_by(AttributeError("'NoneType' object has no attribute 'close'")),
]
REFUSALS = [
    PermissionError("403 Forbidden"),
    FileNotFoundError(),
    NotADirectoryError(),
    IsADirectoryError(),
    OutputError("another run has changed the shard"),
]


def name_of(error: Exception) -> str:
    return f"{type(error).__module__}.{type(error).__name__}"


def tries_of(error: Exception) -> int:
    """How often an operation is begun that always raises ``error``."""
    calls = []

    def operation() -> None:
        calls.append(1)
        raise error

    with pytest.raises(type(error)) as caught:
        with_retries(operation, tries=3)
    assert caught.value is error
    return len(calls)


@pytest.mark.parametrize("error", PASSING, ids=name_of)
def test_what_a_store_may_do_again_is_asked_for_until_the_tries_are_used_up(error: Exception) -> None:
    assert tries_of(error) == 3


@pytest.mark.parametrize("error", MISTAKES + REFUSALS, ids=name_of)
def test_a_mistake_in_a_program_and_a_refusal_are_raised_at_once(error: Exception) -> None:
    assert not may_pass(error)
    assert tries_of(error) == 1


def test_the_first_success_is_returned() -> None:
    answers: list[Exception | str] = [OSError("503"), TimeoutError(), "whole"]

    def operation() -> str:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert with_retries(operation) == "whole"


@pytest.mark.parametrize("mistake", [AttributeError, TypeError, KeyError, MemoryError])
@pytest.mark.parametrize("output_format", ["webdataset", "files"])
def test_a_mistake_in_an_upload_fails_the_shard_at_once(
    unsteady_folder: str, spool: Path, output_format: str, mistake: type[Exception]
) -> None:
    settings, table = settings_for(unsteady_folder, output_format), input_table(1)
    samples = usual_samples(settings, table)
    writer = ShardWriter(settings, 0, table)
    for sample in samples:
        writer.write(sample)
    UnsteadyStore.failures += [mistake("of ours")] * 5
    with pytest.raises(mistake, match="of ours"):
        writer.commit(statistics_of(samples))
    # One try of each of the uploads that go side by side, where one after the other would use up all five.
    assert len(UnsteadyStore.failures) >= 5 - (1 if output_format == "webdataset" else 3)
    writer.discard()
    assert OutputFolder(settings).done_shards() == set()


@pytest.mark.parametrize("passing", [OSError("503"), TimeoutError(), aiohttp.ServerDisconnectedError()])
def test_an_upload_that_may_pass_is_done_again(unsteady_folder: str, spool: Path, passing: Exception) -> None:
    UnsteadyStore.failures += [passing] * 4
    write_shard(settings_for(unsteady_folder, "webdataset"))
    assert UnsteadyStore.uploads == ["00000.tar", "00000.parquet", "00000_stats.json"]
