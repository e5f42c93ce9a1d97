"""Train a small CLIP-like model on a list of image URLs with captions, on the CPU.

    python examples/train_on_urls.py --list pairs.csv --cache /tmp/images --workers 2
    torchrun --nproc-per-node 2 examples/train_on_urls.py --list pairs.csv --cache /tmp/images

``pairs.csv`` has the columns ``url`` and ``caption``. The first epoch downloads each image once, whatever the
number of workers and ranks; the second makes no request.
"""

from __future__ import annotations

import argparse
import os
import zlib

import torch
import torch.nn.functional as functional
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader

from img2dataset.training import ImageTextDataset, ShuffleSampler, collate

VOCABULARY = 512


def tokenize(caption: str) -> list[int]:
    """A number a word: enough for a small example, in place of a real tokenizer."""
    return [1 + zlib.crc32(word.encode()) % (VOCABULARY - 1) for word in caption.lower().split()] or [0]


class SmallClip(nn.Module):
    """An image and a text encoder into one space (Radford et al. 2021), small."""

    def __init__(self, width: int = 64):
        super().__init__()
        self.image = nn.Sequential(
            nn.Conv2d(3, 32, 4, 4),
            nn.GELU(),
            nn.Conv2d(32, width, 4, 4),
            nn.GELU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(width, width),
        )
        self.words = nn.Embedding(VOCABULARY, width)
        self.text = nn.Linear(width, width)
        self.scale = nn.Parameter(torch.tensor(2.0))

    def forward(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """The contrastive loss of a batch of ``img`` (batch, 3, h, w) and ``tokens`` (batch, length)."""
        images = functional.normalize(self.image(batch["img"]), dim=1)
        mask = batch["tokens_mask"].unsqueeze(-1)
        texts = (self.words(batch["tokens"]) * mask).sum(1) / mask.sum(1)
        texts = functional.normalize(self.text(texts), dim=1)
        logits = self.scale.exp() * images @ texts.T
        own = torch.arange(len(logits))
        return (functional.cross_entropy(logits, own) + functional.cross_entropy(logits.T, own)) / 2


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--list", required=True, help="csv, tsv, json, jsonl or parquet with url and caption")
    parser.add_argument("--cache", required=True, help="folder for the downloaded images")
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--batch", type=int, default=16)
    arguments = parser.parse_args()

    distributed = "RANK" in os.environ
    if distributed:
        torch.distributed.init_process_group("gloo")
    torch.manual_seed(0)
    dataset = ImageTextDataset(
        arguments.list,
        img_transform={"resize": [64, 64], "center_crop": True, "horizontal_flip": 0.5, "normalize": True},
        caption_transform={"shuffle_parts": 0.1},
        tokenizer=tokenize,
        cache=arguments.cache,
        on_error="replace",
        seed=0,
    )
    sampler = ShuffleSampler(dataset)  # knows the rank, and tells the dataset the epoch
    loader = DataLoader(
        dataset,
        batch_size=arguments.batch,
        sampler=sampler,
        num_workers=arguments.workers,
        collate_fn=collate,
        persistent_workers=arguments.workers > 0,
    )
    model: nn.Module = SmallClip()
    if distributed:
        model = DistributedDataParallel(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for epoch in range(arguments.epochs):
        losses = []
        for batch in loader:
            loss = model(batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        print(f"epoch {epoch}: loss {sum(losses) / len(losses):.4f} over {len(losses)} batches", flush=True)
    if distributed:
        torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
