"""A host that asks for a contact: loaders and streams warn once, however many processes they work in."""

from __future__ import annotations

import gc
import logging
import multiprocessing
import pickle
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from torch.utils.data import DataLoader

from img2dataset.fetching.hosts import policy_files
from img2dataset.training import ImageLoader, ImageTextDataset, UrlStream, stream

SAID = "127.0.0.1 asks for a contact in the User-Agent"


@pytest.fixture
def policies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A file by which this machine's server asks for one; for loaders it is the table of the package."""
    path = tmp_path / "policies.yaml"
    path.write_text("127.0.0.1: {contact: true}")
    monkeypatch.setattr(policy_files, "KNOWN_HOSTS", str(path))
    # Where what was said is kept; processes that are started have it too.
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return str(path)


@pytest.fixture
def said(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Iterator[Callable[[], str]]:
    """What this process and those that it starts have warned of since the last call.

    Forked ones have its handler; the others, without one, write to stderr.
    """
    handler = logging.FileHandler(tmp_path / "warnings.txt")
    logger = logging.getLogger("img2dataset")
    logger.addHandler(handler)

    def since() -> str:
        found = (tmp_path / "warnings.txt").read_text() + capfd.readouterr().err
        (tmp_path / "warnings.txt").write_text("")
        return found

    yield since
    logger.removeHandler(handler)
    handler.close()


def load(loader: ImageLoader, url: str) -> str:
    return str(loader(url).size)


@pytest.mark.parametrize("how", ["here", "fork", pytest.param("spawn", marks=pytest.mark.slow)])
def test_a_loader_and_its_copies_in_workers_say_it_once(
    served: Callable[..., list[str]],
    policies: str,
    tmp_path: Path,
    how: str,
    said: Callable[[], str],
) -> None:
    urls = served(4)
    loader = ImageLoader()
    if how == "here":
        assert len(loader(urls)) == 4
        assert load(pickle.loads(pickle.dumps(loader)), urls[0]) == "(96, 64)"
    else:
        # Workers of two epochs.
        for two in (urls[:2], urls[2:]):
            with multiprocessing.get_context(how).Pool(2) as pool:
                assert pool.starmap(load, [(loader, url) for url in two], chunksize=1) == ["(96, 64)"] * 2
    assert said().count(SAID) == 1
    assert len(list((tmp_path / "temporary").glob("img2dataset-said-*"))) == 1
    del loader
    gc.collect()
    assert list((tmp_path / "temporary").glob("img2dataset-said-*")) == []


def test_another_loader_says_it_again_and_one_with_a_contact_does_not(
    served: Callable[..., list[str]], policies: str, said: Callable[[], str]
) -> None:
    (url,) = served(1)
    for user_agent, times in ((None, 1), ("mine", 1), ("mine (me@example.org)", 0)):
        ImageLoader(user_agent=user_agent)(url)
        told = said()
        assert told.count(SAID) == times
        assert told.count("put one into user_agent") == times


def test_the_workers_of_a_dataset_say_it_once(
    served: Callable[..., list[str]], policies: str, tmp_path: Path, said: Callable[[], str]
) -> None:
    urls = served(8)
    (tmp_path / "list.csv").write_text("url,caption\n" + "".join(f"{url},a\n" for url in urls))
    dataset = ImageTextDataset(str(tmp_path / "list.csv"))
    for _ in range(2):
        loader: Any = DataLoader(dataset, batch_size=None, num_workers=2)
        assert len(list(loader)) == 8
    assert said().count(SAID) == 1


@pytest.mark.parametrize("processes", [1, 2])
def test_a_stream_says_it_once(
    served: Callable[..., list[str]], policies: str, processes: int, said: Callable[[], str]
) -> None:
    options: dict[str, Any] = {"host_policies": policies, "processes_count": processes}
    urls = [f"{url}?{row}" for url in served(4) for row in range(20)]
    assert len(list(stream(urls, **options))) == 80
    assert said().count(SAID) == 1
    assert len(list(stream(urls, contact="me@example.org", **options))) == 80
    assert SAID not in said()


def test_the_workers_of_a_url_stream_say_it_once(
    served: Callable[..., list[str]], policies: str, said: Callable[[], str]
) -> None:
    dataset = UrlStream(served(8), host_policies=policies)
    for _ in range(2):
        loader: Any = DataLoader(dataset, batch_size=None, num_workers=2)
        assert len(list(loader)) == 8
    assert said().count(SAID) == 1
