"""What a dataset takes as it is: tokenizers of others, callables of a sample or of image and text."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader

from img2dataset import download
from img2dataset.errors import OptionError
from img2dataset.training import CaptionTokenizer, Collate, ImageTextDataset, ShardDataset, UrlStream, collate

ROWS = [{"image": "0.jpg", "caption": "one two"}, {"image": "2.jpg", "caption": "one two three four"}]


class OfTorchtune:
    """As torchtune's are: called with a sample of messages; a text goes through ``encode``."""

    bos_id, eos_id, pad_id = 1, 2, 128004

    def encode(self, text: str, add_bos: bool = True, add_eos: bool = True) -> list[int]:
        return [self.bos_id] * add_bos + [10 + len(word) for word in text.split()] + [self.eos_id] * add_eos

    def __call__(self, sample: dict[str, Any], inference: bool = False) -> dict[str, Any]:
        sample["tokens"] = self.encode(sample.pop("messages"))
        return sample


class OfTransformers:
    """As those of transformers are: called with a text, they return a batch of it."""

    model_max_length, eos_token_id, pad_token_id = 8, 2, 7

    def __call__(self, text: str, truncation: bool = False, max_length: int | None = None) -> dict[str, Any]:
        numbers = [1, *(10 + len(word) for word in text.split()), self.eos_token_id]
        return {"input_ids": numbers, "attention_mask": [1] * len(numbers)}

    def encode(self, text: str) -> list[int]:
        return list(self(text)["input_ids"])


class OfSentencepiece:
    """As sentencepiece's are: what is padded with is a method's answer."""

    def encode(self, text: str) -> list[int]:
        return [len(word) for word in text.split()]

    def pad_id(self) -> int:
        return 3


def batch_of(folder: Path, tokenizer: Any, collation: Any = collate) -> Any:
    dataset = ImageTextDataset(
        ROWS, base_path=folder, tokenizer=tokenizer, img_transform={"resize": [8, 8]}, seed=0
    )
    (batch,) = DataLoader(dataset, 2, collate_fn=collation, num_workers=1)
    return batch


@pytest.mark.parametrize(
    ("tokenizer", "first", "pad_id"),
    [
        (OfTorchtune(), [1, 13, 13, 2], 128004),
        (OfTransformers(), [1, 13, 13, 2], 7),
        (OfSentencepiece(), [3, 3], 3),
        (OfTorchtune().encode, [1, 13, 13, 2], 128004),
        (functools.partial(OfTorchtune().encode, add_bos=False), [13, 13, 2], 128004),
        (CaptionTokenizer(OfTransformers(), max_length=5), [1, 13, 13, 2], 7),
        (CaptionTokenizer(OfTransformers(), pad_id=9), [1, 13, 13, 2], 9),
    ],
)
def test_a_tokenizer_is_taken_as_it_is_and_says_what_is_padded_with(
    pictures_folder: Path, tokenizer: Any, first: list[int], pad_id: int
) -> None:
    tokens = batch_of(pictures_folder, tokenizer)
    longest = tokens["tokens"].shape[1]
    assert tokens["tokens"][0].tolist() == first + [pad_id] * (longest - len(first))
    assert tokens["tokens_mask"].sum(dim=1).tolist() == [len(first), longest]
    assert batch_of(pictures_folder, tokenizer, Collate(pad_id=5))["tokens"][0, -1] == 5


def test_several_tokenizers_are_padded_each_as_it_says(pictures_folder: Path) -> None:
    tokenizer = CaptionTokenizer(clip=OfTransformers(), llama=OfTorchtune())
    tokens = batch_of(pictures_folder, tokenizer)["tokens"]
    assert (tokens["clip"][0, -1], tokens["llama"][0, -1]) == (7, 128004)
    tokens = batch_of(pictures_folder, tokenizer, Collate(pad_id={"clip": 4}))["tokens"]
    assert (tokens["clip"][0, -1], tokens["llama"][0, -1]) == (4, 128004)


def padded(text: str) -> dict[str, Any]:
    """As a tokenizer of transformers called with padding and tensors asked for."""
    numbers = torch.tensor([[1, len(text), 2, 0]])
    return {"input_ids": numbers, "attention_mask": (numbers != 0).long()}


def test_a_callable_that_returns_a_batch_of_one_gives_the_one_and_its_mask(pictures_folder: Path) -> None:
    tokens = batch_of(pictures_folder, padded)["tokens"]
    assert tokens["input_ids"].tolist() == [[1, 7, 2, 0], [1, 18, 2, 0]]
    assert tokens["attention_mask"].tolist() == [[1, 1, 1, 0]] * 2


def test_other_datasets_take_tokenizers_as_they_are(served: Any, tmp_path: Path) -> None:
    listed = tmp_path / "list.csv"
    listed.write_text("\n".join(["url,caption", *(f"{url},one two" for url in served(2))]))
    options: dict[str, Any] = {"input_format": "csv", "caption_col": "caption"}
    stream = UrlStream(str(listed), tokenizer=OfTorchtune(), **options)
    assert [sample["tokens"] for sample in stream] == [[1, 13, 13, 2]] * 2
    download(str(listed), output_folder=str(tmp_path / "out"), processes_count=1, report=False, **options)
    assert ShardDataset(tmp_path / "out", tokenizer=OfTorchtune())[0]["tokens"] == [1, 13, 13, 2]


def test_what_is_no_tokenizer_is_named(pictures_folder: Path) -> None:
    with pytest.raises(OptionError, match="tokenizer is 5; it takes a callable, an object with encode"):
        ImageTextDataset(pictures_folder, tokenizer=5)


def test_tokenizers_of_transformers_and_tokenizers(pictures_folder: Path) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    words = {"[UNK]": 0, "[PAD]": 1, "one": 2, "two": 3, "three": 4, "four": 5}
    model = tokenizers.models.WordLevel(words, unk_token="[UNK]")
    tokenizer = tokenizers.Tokenizer(model)
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    assert batch_of(pictures_folder, tokenizer)["tokens"].tolist() == [[2, 3, 0, 0], [2, 3, 4, 5]]
    tokenizer.enable_padding(pad_id=1, pad_token="[PAD]")
    assert batch_of(pictures_folder, tokenizer)["tokens"].tolist() == [[2, 3, 1, 1], [2, 3, 4, 5]]
    transformers = pytest.importorskip("transformers")
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]"
    )
    batch = batch_of(pictures_folder, fast)
    assert batch["tokens"].tolist() == [[2, 3, 1, 1], [2, 3, 4, 5]]
    assert batch["tokens_mask"].sum() == 6
    as_called = functools.partial(fast, padding="max_length", max_length=5, return_tensors="pt")
    tokens = batch_of(pictures_folder, as_called)["tokens"]
    assert tokens["input_ids"].tolist() == [[2, 3, 1, 1, 1], [2, 3, 4, 5, 1]]
    assert tokens["attention_mask"].tolist() == [[1, 1, 0, 0, 0], [1, 1, 1, 1, 0]]


# What is given, and what comes of it: the sample's ``made`` is "sample", or the text that was given.
def of_sample(sample: dict[str, Any]) -> Any:
    return sample | {"made": "sample"}


def of_sample_as_torchtune(sample: dict[str, Any], inference: bool = False) -> Any:
    return sample | {"made": "sample" if not inference else "inference"}


def of_anything(*inputs: Any) -> Any:
    return inputs[0] | {"made": "sample"} if len(inputs) == 1 else None


def of_image_and_text(img: Any, text: str) -> Any:
    return {"made": text, "size": img.size}


def of_image_and_perhaps_text(img: Any, text: str | None = None) -> Any:
    return {"made": text, "size": img.size}


class Model(torch.nn.Module):
    def forward(self, image: Any, caption: str) -> Any:
        return {"made": caption, "size": image.size}


class Processor:
    def __call__(self, pixels: Any, words: str, /, *, upper: bool = False) -> Any:
        return {"made": words, "size": pixels.size}


@pytest.mark.parametrize(
    ("transform", "made"),
    [
        (of_sample, "sample"),
        (of_sample_as_torchtune, "sample"),
        (of_anything, "sample"),
        (functools.partial(of_sample_as_torchtune, inference=False), "sample"),
        (of_image_and_text, "one two"),
        (of_image_and_perhaps_text, "one two"),
        (Model(), "one two"),
        (Processor(), "one two"),
    ],
)
def test_a_model_transform_is_of_the_sample_or_of_image_and_text(
    pictures_folder: Path, transform: Any, made: str
) -> None:
    dataset = ImageTextDataset(ROWS, base_path=pictures_folder, model_transform=transform)
    samples = next(iter(DataLoader(dataset, 2, collate_fn=list)))
    assert samples[0]["made"] == made
    assert ("index" in samples[0]) == (made == "sample")


def test_a_model_transform_of_image_and_text_goes_to_workers_that_are_spawned(pictures_folder: Path) -> None:
    dataset = ImageTextDataset(ROWS, base_path=pictures_folder, model_transform=of_image_and_text)
    (samples,) = DataLoader(dataset, 2, collate_fn=list, num_workers=1, multiprocessing_context="spawn")
    assert [sample["made"] for sample in samples] == [row["caption"] for row in ROWS]


def test_a_pair_that_a_model_transform_returns_takes_the_places_of_image_and_text(
    pictures_folder: Path,
) -> None:
    def smaller(img: Any, text: str) -> tuple[Any, str]:
        return img.resize((4, 2)), text.upper()

    sample = ImageTextDataset(ROWS, base_path=pictures_folder, model_transform=smaller)[1]
    assert (sample["img"].size, sample["caption"], sample["index"]) == ((4, 2), "ONE TWO THREE FOUR", 1)


@pytest.mark.parametrize("wrong", [5, lambda: 1, lambda a, b, c: 1, lambda sample, *, needed: 1])
def test_a_model_transform_of_something_else_is_refused(pictures_folder: Path, wrong: Any) -> None:
    with pytest.raises(OptionError, match=r"model_transform is .*callable of the sample or of \(img, text\)"):
        ImageTextDataset(ROWS, base_path=pictures_folder, model_transform=wrong)
