"""What is about loading goes to the loader, once; and what an object is can be seen at a prompt."""

from __future__ import annotations

import inspect
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from img2dataset.errors import OptionError
from img2dataset.training import (
    Buckets,
    BucketSampler,
    CaptionTokenizer,
    Collate,
    ConcatDataset,
    FeatureDataset,
    ImageLoader,
    ImageLoadError,
    ImageTextDataset,
    ImageTransform,
    MetadataDataset,
    ShuffleSampler,
    UrlStream,
    precompute,
    stream,
)

DATASETS = [ImageTextDataset, MetadataDataset]


def list_in(folder: Path) -> Path:
    path = folder / "list.csv"
    path.write_text("image,caption\n0.jpg,one\n2.jpg,two")
    return path


def test_a_dataset_takes_no_option_of_loading_but_the_two_that_everybody_gives() -> None:
    loaders = set(inspect.signature(ImageLoader).parameters)
    for kind in DATASETS:
        assert set(inspect.signature(kind).parameters) & loaders == {"base_path", "cache"}
    assert len(inspect.signature(ImageTextDataset).parameters) <= 19


@pytest.mark.parametrize("kind", DATASETS)
def test_arguments_of_the_loader_are_given_as_a_dictionary(pictures_folder: Path, kind: Any) -> None:
    arguments = yaml.safe_load("loader: {mode: L, timeout_s: 5, allow_urls: false}")
    dataset = kind(list_in(pictures_folder), **arguments)
    assert dataset.loader.mode == "L"
    sample = dataset[1]
    assert (sample["img"] if "img" in sample else sample["image"]).mode == "L"
    refusing = kind([{"image": "http://127.0.0.1:9/a.jpg"}], **arguments)
    with pytest.raises(ImageLoadError, match="allow_urls=False"):
        refusing[0]


@pytest.mark.parametrize("kind", DATASETS)
@pytest.mark.parametrize("short", ["base_path", "cache"])
def test_what_is_given_twice_is_refused_with_the_way_out(
    pictures_folder: Path, tmp_path: Path, kind: Any, short: str
) -> None:
    path = list_in(pictures_folder)
    with pytest.raises(OptionError, match=rf"{short} and an ImageLoader .* loader=ImageLoader\({short}=…\)"):
        kind(path, loader=ImageLoader(), **{short: tmp_path / "a"})
    with pytest.raises(OptionError, match=f"{short} is given twice"):
        kind(path, loader={short: tmp_path / "a"}, **{short: tmp_path / "a"})
    kind(path, loader={short: tmp_path / "a"})


@pytest.mark.parametrize("kind", DATASETS)
def test_what_is_no_loader_is_named(pictures_folder: Path, kind: Any) -> None:
    path = list_in(pictures_folder)
    with pytest.raises(OptionError, match="loader is 5; it takes an ImageLoader, or a dictionary"):
        kind(path, loader=5)
    with pytest.raises(OptionError, match="timeot"):
        kind(path, loader={"timeot": 5})
    with pytest.raises(OptionError, match="timeout_s is 0"):
        kind(path, loader={"timeout_s": 0})


@pytest.mark.parametrize("kind", DATASETS)
@pytest.mark.parametrize("given", ["none", "dictionary", "loader"])
def test_relative_paths_are_from_the_folder_of_the_list_whoever_makes_the_loader(
    pictures_folder: Path, kind: Any, given: str
) -> None:
    loader = {"none": None, "dictionary": {"retries": 0}, "loader": ImageLoader(retries=0)}[given]
    assert kind(list_in(pictures_folder), loader=loader)[0] is not None
    if isinstance(loader, ImageLoader):
        assert loader.sources.base_path is None  # the user's own is as it was


def test_a_loader_keeps_its_own_folder(pictures_folder: Path, tmp_path: Path) -> None:
    path = list_in(pictures_folder)
    shutil.move(pictures_folder / "0.jpg", tmp_path / "0.jpg")
    assert ImageTextDataset(path, loader=ImageLoader(tmp_path))[0]["caption"] == "one"
    assert ImageTextDataset(path, base_path=tmp_path)[0]["caption"] == "one"


def test_images_are_called_img_or_image_in_a_column_map(pictures_folder: Path) -> None:
    rows = [{"photo": str(pictures_folder / "0.jpg"), "words": "one"}]
    for name in ("img", "image"):
        dataset = ImageTextDataset(rows, column_map={name: "photo", "caption": "words"})
        assert dataset[0]["caption"] == "one"
    with pytest.raises(OptionError, match="both 'image' and 'img'"):
        ImageTextDataset(rows, column_map={"img": "photo", "image": "photo"})


def test_every_sample_has_its_number_and_its_image_under_the_same_names(
    served: Any, pictures_folder: Path
) -> None:
    urls = served(2)
    names = {"img", "caption", "index", "metadata"}
    assert names <= set(ImageTextDataset(pictures_folder)[1])
    for sample in UrlStream(urls):
        assert names <= set(sample)
        assert sample["index"] == sample["row"]
    found = {sample.index: sample.img.size for sample in stream(urls, image="pil")}
    assert sorted(found) == [0, 1]


def test_objects_show_what_matters(pictures_folder: Path, tmp_path: Path) -> None:
    transform = {"resize": [16, 16], "horizontal_flip": 0.5}
    dataset = ImageTextDataset(pictures_folder, img_transform=transform, seed=0, on_error="skip")
    folder = str(pictures_folder)
    shown = repr(dataset)
    for part in ("ImageTextDataset(6 rows of ", "resize=[16, 16], horizontal_flip=0.5", "on_error='skip'"):
        assert part in shown
    assert "caption_transform" not in shown
    assert "seed=0" in shown
    assert repr(ImageTransform(normalize=True)) == "ImageTransform(normalize=True)"
    refusing = ImageLoader("/a", allow_urls=False)
    assert repr(refusing) == "ImageLoader(base_path='/a', mode='RGB', urls='refused')"
    assert repr(ImageLoader(cache=tmp_path)) == f"ImageLoader(mode='RGB', cache={str(tmp_path)!r})"
    rows = [{"image": "a.jpg", "text": "b"}]
    assert repr(MetadataDataset(rows)).startswith(
        "MetadataDataset(1 row of a list, operators={'image': Image"
    )
    assert repr(ConcatDataset([dataset, dataset])).startswith(
        "ConcatDataset(12 rows, ImageTextDataset(6 rows"
    )
    assert repr(ShuffleSampler(dataset)) == (
        "ShuffleSampler(6 steps an epoch, rank='0 of 1', shuffle=True, seed=0, epoch=0)"
    )
    sampler = BucketSampler([0, 0, 0, 1], 2)
    assert repr(sampler).startswith("BucketSampler(3 steps an epoch, rank='0 of 1', batch_size=2")
    assert repr(Collate(pad_id=3)) == "Collate(pad_id=3)"
    assert repr(CaptionTokenizer(clip=len, max_length={"clip": 77})) == (
        "CaptionTokenizer(clip=builtin_function_or_method, max_length={'clip': 77})"
    )
    assert repr(Buckets([(8, 8)])) == "Buckets(((8, 8),), upscale=True)"
    assert repr(Buckets("sdxl")) == "Buckets(40 sizes, upscale=True)"
    url_stream = UrlStream(["http://127.0.0.1:9/a.jpg"], shuffle=True, img_transform=transform)
    assert repr(url_stream).startswith("UrlStream(a list, img_transform=ImageTransform(resize=[16, 16]")
    precompute(dataset, lambda batch: {"mean": batch["img"].mean(dim=(2, 3))}, tmp_path / "f", version="1")
    assert repr(FeatureDataset(dataset, tmp_path / "f", version="1")).startswith(
        "FeatureDataset(6 of 6 rows in"
    )
    assert folder in shown
    assert len(repr(ImageTextDataset(rows * 500, base_path="/a"))) < 300
