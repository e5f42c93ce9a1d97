"""The dataset of images and captions, in a DataLoader as training uses it."""

from __future__ import annotations

import importlib
import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from torch.utils.data import DataLoader

from img2dataset.errors import OptionError
from img2dataset.training import (
    Buckets,
    BucketSampler,
    CaptionTokenizer,
    ImageLoadError,
    ImageTextDataset,
    MetadataDataset,
    ShuffleSampler,
    collate,
)
from img2dataset.training.batch.collation import EmptyBatch
from tests.pictures import photograph
from tests.servers import ImageServer


def letters(caption: str) -> list[int]:
    return [ord(letter) for letter in caption]


def rows_of(urls: list[str]) -> list[dict[str, Any]]:
    return [{"image": url, "caption": f"part {n}, one, two, three", "n": n} for n, url in enumerate(urls)]


@pytest.mark.parametrize("workers", [0, 2])
def test_the_second_epoch_makes_no_request(served, requests_of, tmp_path: Path, workers: int) -> None:
    urls = served(12)
    dataset = ImageTextDataset(
        rows_of(urls), img_transform={"resize": [32, 32]}, tokenizer=letters, cache=tmp_path, seed=1
    )
    loader = DataLoader(
        dataset, batch_size=4, sampler=ShuffleSampler(dataset), num_workers=workers, collate_fn=collate
    )
    for _epoch in range(2):
        batches = list(loader)
        assert [tuple(batch["img"].shape) for batch in batches] == [(4, 3, 32, 32)] * 3
        assert sorted(row["n"] for batch in batches for row in batch["metadata"]) == list(range(12))
        assert requests_of(urls) == 12


def sample_of_every_row(dataset: ImageTextDataset, workers: int, epoch: int) -> dict[int, tuple[str, float]]:
    dataset.set_epoch(epoch)
    loader = DataLoader(dataset, batch_size=3, num_workers=workers, collate_fn=collate)
    return {
        int(index): (caption, float(image[0, 0, 0]))
        for batch in loader
        for index, caption, image in zip(batch["index"], batch["caption"], batch["img"], strict=True)
    }


def test_random_choices_depend_on_seed_epoch_and_row_not_on_workers(pictures_folder: Path) -> None:
    dataset = ImageTextDataset(
        pictures_folder,
        img_transform={"resize": 64, "random_crop": 32, "horizontal_flip": 0.5},
        caption_transform={"shuffle_parts": 1.0, "drop": 0.2},
        seed=5,
    )
    first = sample_of_every_row(dataset, 0, 0)
    assert sample_of_every_row(dataset, 2, 0) == first
    assert sample_of_every_row(dataset, 2, 1) != first
    assert sample_of_every_row(dataset, 1, 1) == sample_of_every_row(dataset, 0, 1)


def add_noise(picture: Any) -> torch.Tensor:
    return torch.rand(3, 2, 2) + picture.size[0]


def test_a_callable_that_draws_from_pytorch_is_seeded_too(pictures_folder: Path) -> None:
    dataset = ImageTextDataset(pictures_folder, img_transform=add_noise, seed=5)
    first = sample_of_every_row(dataset, 0, 0)
    assert sample_of_every_row(dataset, 2, 0) == first
    assert sample_of_every_row(dataset, 0, 1) != first


def test_persistent_workers_see_the_epoch(pictures_folder: Path) -> None:
    dataset = ImageTextDataset(
        pictures_folder, img_transform={"resize": [8, 8]}, caption_transform={"shuffle_parts": 1.0}, seed=0
    )
    loader = DataLoader(dataset, batch_size=6, num_workers=1, persistent_workers=True, collate_fn=collate)
    captions = []
    for epoch in range(8):
        dataset.set_epoch(epoch)
        captions.append(tuple(next(iter(loader))["caption"]))
    assert len(set(captions)) > 1


def test_without_a_seed_choices_vary_from_visit_to_visit(pictures_folder: Path) -> None:
    dataset = ImageTextDataset(pictures_folder, caption_transform={"shuffle_parts": 1.0})
    assert len({dataset[0]["caption"] for _ in range(40)}) == 2


@pytest.mark.parametrize("choice", ["random", "first", "all"])
def test_several_captions_a_row(pictures_folder: Path, choice: str) -> None:
    rows = [{"image": "0.jpg", "caption": ["one", "two", "three"]}]
    dataset = ImageTextDataset(rows, base_path=pictures_folder, captions=choice, seed=0, tokenizer=letters)
    seen = []
    for epoch in range(30):
        dataset.set_epoch(epoch)
        seen.append(dataset[0]["caption"])
    if choice == "random":
        assert set(seen) == {"one", "two", "three"}
    else:
        assert seen == [{"first": "one", "all": ["one", "two", "three"]}[choice]] * 30


def broken_rows(server: ImageServer, folder: Path) -> list[dict[str, Any]]:
    return [
        {"image": "0.jpg", "caption": "fine"},
        {"image": server.url("/status/404"), "caption": "lost"},
        {"image": "2.jpg", "caption": "fine"},
        {"image": "none.jpg", "caption": "lost"},
    ]


def test_bad_samples_are_raised_skipped_or_replaced_with_their_cause(
    image_server: ImageServer, pictures_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = broken_rows(image_server, pictures_folder)
    options: dict[str, Any] = {
        "base_path": pictures_folder,
        "img_transform": {"resize": [8, 8]},
        "loader": {"retries": 0},
    }
    with pytest.raises(ImageLoadError, match="HTTP 404"):
        list(DataLoader(ImageTextDataset(rows, **options), batch_size=4, collate_fn=collate))
    with caplog.at_level(logging.WARNING, "img2dataset"):
        skipping = ImageTextDataset(rows, on_error="skip", **options)
        for _epoch in range(2):
            (batch,) = DataLoader(skipping, batch_size=4, collate_fn=collate)
            assert batch["caption"] == ["fine", "fine"]
    assert caplog.text.count("HTTP 404") == 1
    assert "No such file" in skipping.failures[3]
    assert skipping[1] is None
    replacing = ImageTextDataset(rows, on_error="replace", **options)
    for _epoch in range(2):
        (batch,) = DataLoader(replacing, batch_size=4, collate_fn=collate)
        assert batch["caption"] == ["fine"] * 4


def test_a_batch_of_failures_alone_says_so(pictures_folder: Path) -> None:
    dataset = ImageTextDataset([{"image": "none.jpg"}] * 3, base_path=pictures_folder, on_error="skip")
    with pytest.raises(EmptyBatch, match="No such file"):
        list(DataLoader(dataset, batch_size=3, collate_fn=collate))
    replacing = ImageTextDataset([{"image": "none.jpg"}] * 3, base_path=pictures_folder, on_error="replace")
    with pytest.raises(EmptyBatch, match="No such file"):
        replacing[0]


def test_the_memory_cache_spares_reading_the_file_again(pictures_folder: Path) -> None:
    dataset = ImageTextDataset(pictures_folder, memory_cache=2)
    first = dataset[0]["img"]
    (pictures_folder / "0.jpg").unlink()
    assert dataset[0]["img"] is first
    dataset[1], dataset[2]  # two others: the first is the oldest
    with pytest.raises(ImageLoadError):
        dataset[0]


@pytest.mark.parametrize("size", [1, 2, 3])
def test_with_a_memory_cache_a_batch_has_the_pictures_of_its_rows(pictures_folder: Path, size: int) -> None:
    images = ["0.jpg", "2.jpg", ["0.jpg", "0.jpg", "4.jpg"], ["4.jpg", "2.jpg", "0.jpg"], "4.jpg"]
    rows = [{"image": image} for image in images]
    plain = ImageTextDataset(rows, base_path=pictures_folder)
    remembering = ImageTextDataset(rows, base_path=pictures_folder, memory_cache=size)
    for batch in ([0], [1, 0, 1], [2], [0, 1, 4, 0], [3, 2, 4], [1, 2, 3, 0]):
        for found, expected in zip(remembering.__getitems__(batch), plain.__getitems__(batch), strict=True):
            assert found["img"] == expected["img"]


def test_batches_of_buckets_have_one_size_and_say_where_they_were_cropped(tmp_path: Path) -> None:
    rows = []
    for n in range(24):
        size = [(120, 80), (80, 120), (100, 100)][n % 3]
        (tmp_path / f"{n}.jpg").write_bytes(photograph(*size, n))
        rows.append({"image": f"{n}.jpg"} | ({"width": size[0], "height": size[1]} if n % 2 else {}))
    dataset = ImageTextDataset(
        rows, base_path=tmp_path, buckets={"area": 64 * 64, "step": 16}, img_transform={"normalize": True}
    )
    batches = list(
        DataLoader(dataset, batch_sampler=BucketSampler(dataset, 4), num_workers=2, collate_fn=collate)
    )
    assert len(batches) == 6
    assert len({batch["img"].shape for batch in batches}) == 3
    for batch in batches:
        for target, top_left, original in zip(
            batch["target_size"], batch["crop_top_left"], batch["original_size"], strict=True
        ):
            assert target == tuple(batch["img"].shape[2:])
            assert original in ((80, 120), (120, 80), (100, 100))
            assert min(top_left) == 0


def test_pictures_too_small_for_every_bucket_have_none(pictures_folder: Path) -> None:
    dataset = ImageTextDataset(
        pictures_folder, buckets=Buckets([(128, 80), (512, 512)], upscale=False), on_error="skip"
    )
    assert sorted(dataset.bucket_ids().tolist()) == [-1, 0, 0, 0, 0, 0]
    assert sum(dataset[index] is None for index in range(6)) == 1


def test_a_model_transform_has_the_last_word(pictures_folder: Path) -> None:
    dataset = ImageTextDataset(pictures_folder, model_transform=lambda sample: len(sample["caption"]))
    assert dataset[0] == len("picture 0, a photograph")


def test_metadata_with_urls_paths_and_lists_of_them_loads_with_one_object(served, tmp_path: Path) -> None:
    first, second = served(2)
    (tmp_path / "sub").mkdir()
    for path in (tmp_path / "sub" / "b.png", tmp_path / "c.png"):
        path.write_bytes(photograph(40, 30, 7, image_format="PNG"))
    row = {
        "prompt": "a poster",
        "image": first,
        "layer_input_image": [second, "sub/b.png", str(tmp_path / "c.png")],
    }
    path = tmp_path / "metadata.json"
    path.write_text(json.dumps([row]))
    rows = MetadataDataset(
        path,
        base_path=tmp_path,
        image_columns=("image", "layer_input_image"),
        cache=tmp_path / "cache",
        repeat=3,
    )
    sample = rows[2]
    assert len(rows) == 3
    assert sample["prompt"] == "a poster"
    assert sample["image"].size == (96, 64)
    assert [picture.size for picture in sample["layer_input_image"]] == [(96, 64), (40, 30), (40, 30)]


def instantiate(configuration: Any) -> Any:
    """What a configuration library does: import what ``_component_`` names, call it with the other keys."""
    if not isinstance(configuration, dict) or "_component_" not in configuration:
        return configuration
    arguments = {name: instantiate(value) for name, value in configuration.items() if name != "_component_"}
    module, _, name = configuration["_component_"].rpartition(".")
    return getattr(importlib.import_module(module), name)(**arguments)


def test_a_configuration_file_makes_the_dataset_by_keyword_arguments_alone(pictures_folder: Path) -> None:
    lines = ["image\tcaption", *(f"{n}.jpg\tpart {n}, one, two" for n in (0, 2, 4))]
    (pictures_folder / "data.tsv").write_text("\n".join(lines))
    configuration = yaml.safe_load(
        f"""
        dataset:
          _component_: img2dataset.training.ImageTextDataset
          path: {pictures_folder}/data.tsv
          img_transform: {{resize: [64, 48], center_crop: true, horizontal_flip: 0.5}}
          caption_transform: {{drop: 0.05, shuffle_parts: 0.1}}
          tokenizer:
            _component_: img2dataset.training.CaptionTokenizer
            tokenizer: {{_component_: tests.training.data.test_datasets.WordTokenizer}}
            max_length: 3
        """
    )
    sample = instantiate(configuration["dataset"])[1]
    assert sample["img"].shape == (3, 64, 48)
    assert len(sample["tokens"]) <= 3
    assert set(sample) == {"img", "caption", "tokens", "index", "metadata"}


class WordTokenizer:
    """As tokenizers of CLIP are: a begin, an end, and a way to call them."""

    eos_token_id = 2
    pad_token_id = 0

    def encode(self, text: str) -> list[int]:
        return [1, *(10 + len(word) for word in text.split()), self.eos_token_id]


def test_tokenizers_cut_pad_and_keep_the_end() -> None:
    cut = CaptionTokenizer(WordTokenizer(), max_length=4)
    assert cut("one two three four") == [1, 13, 13, 2]
    padded = CaptionTokenizer(WordTokenizer(), max_length=5, pad=True)
    assert padded("one") == [1, 13, 2, 0, 0]
    both = CaptionTokenizer(clip=WordTokenizer(), t5=letters, max_length={"clip": 3, "t5": 2})
    assert both("ab cd") == {"clip": [1, 12, 2], "t5": [97, 98]}
    with pytest.raises(OptionError, match="either one tokenizer"):
        CaptionTokenizer()


def test_wrong_options_are_named(pictures_folder: Path) -> None:
    for options in (
        {"captions": "some"},
        {"on_error": "ignore"},
        {"memory_cache": -1},
        {"img_transform": {"resise": 5}},
        {"caption_transform": 5},
    ):
        with pytest.raises(OptionError, match=next(iter(options))):
            ImageTextDataset(pictures_folder, **options)
    with pytest.raises(OptionError, match="must not resize"):
        ImageTextDataset(pictures_folder, buckets=Buckets(), img_transform={"resize": 64})


def pairs_of(folder: Path, sizes: list[tuple[int, int]], rows: int = 40) -> list[dict[str, Any]]:
    """Rows of images that show where on them a pixel is: red grows to the right, green downwards."""
    folder.mkdir(exist_ok=True)
    for number, (width, height) in enumerate(sizes):
        across = np.linspace(0, 255, width).astype(np.uint8)[None, :].repeat(height, 0)
        down = np.linspace(0, 255, height).astype(np.uint8)[:, None].repeat(width, 1)
        pixels = np.stack([across, down, np.zeros_like(down)], axis=2)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return [{"image": [str(folder / f"{n}.png") for n in range(len(sizes))]} for _ in range(rows)]


@pytest.mark.parametrize("sizes", [[(96, 64), (96, 64)], [(96, 64), (192, 128), (60, 40)]])
@pytest.mark.parametrize("seed", [None, 5])
def test_images_of_one_row_share_their_random_choices(
    tmp_path: Path, sizes: list[tuple[int, int]], seed: int | None
) -> None:
    rows = pairs_of(tmp_path / "pairs", sizes)
    transform = {"resize": 64, "random_crop": [40, 40], "horizontal_flip": 0.5}
    alike = ImageTextDataset(rows, img_transform=transform, seed=seed)
    flipped = []
    for index in range(len(rows)):
        first, *others = alike[index]["img"]
        for other in others:
            assert torch.allclose(first, other, atol=0.06), index
        flipped.append(bool(first[0, 0, 0] > first[0, 0, -1]))
    assert 5 < sum(flipped) < 35
    # The corners differ from row to row, and, if that is asked for, within a row.
    assert len({tuple(alike[index]["img"][0][:, 0, 0].tolist()) for index in range(20)}) > 10
    each = ImageTextDataset(rows, img_transform=transform, seed=seed, images_alike=False)
    assert sum(not torch.allclose(*each[index]["img"][:2], atol=0.06) for index in range(40)) > 20


@pytest.mark.parametrize("seed", [None, 5])
def test_a_callable_of_ones_own_draws_alike_for_the_images_of_a_row(tmp_path: Path, seed: int | None) -> None:
    rows = pairs_of(tmp_path / "pairs", [(8, 8), (8, 8)], rows=10)
    dataset = ImageTextDataset(rows, img_transform=lambda picture: torch.rand(3), seed=seed)
    drawn = [dataset[index]["img"] for index in range(10)]
    assert all(torch.equal(*pair) for pair in drawn)
    assert len({tuple(pair[0].tolist()) for pair in drawn}) == 10
