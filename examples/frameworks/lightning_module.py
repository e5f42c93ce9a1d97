"""Lightning: a model that tells bright pictures from dark ones, over a list of URLs.

    pip install 'img2dataset[training]' lightning
    python examples/frameworks/lightning_module.py pairs.csv cache

``pairs.csv`` has the columns ``url`` and ``caption``. The sampler divides the rows among ranks by itself and
knows the epoch, so Lightning is told not to put its own in its place.
"""

from __future__ import annotations

import sys
from typing import Any

import lightning
import torch
from torch.utils.data import DataLoader

from img2dataset.training import ImageTextDataset, ShuffleSampler, collate


class Brightness(lightning.LightningModule):
    """One layer; the mean of the pixels is what it is to say."""

    def __init__(self) -> None:
        super().__init__()
        self.model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 32 * 32, 1))
        self.losses: list[float] = []

    def training_step(self, batch: dict[str, Any], batch_index: int) -> torch.Tensor:
        """The squared error of a batch of ``img`` (batch, 3, 32, 32)."""
        wanted = batch["img"].mean(dim=(1, 2, 3))
        loss = torch.nn.functional.mse_loss(self.model(batch["img"]).squeeze(1), wanted)
        self.losses.append(loss.item())
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Plain Adam."""
        return torch.optim.Adam(self.parameters(), 1e-3)


def main(url_list: str, cache: str) -> None:
    """Two epochs; the second makes no request."""
    dataset = ImageTextDataset(url_list, img_transform={"resize": [32, 32]}, cache=cache, seed=0)
    loader = DataLoader(dataset, 4, sampler=ShuffleSampler(dataset), num_workers=2, collate_fn=collate)
    module = Brightness()
    trainer = lightning.Trainer(
        max_epochs=2,
        accelerator="cpu",
        use_distributed_sampler=False,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
    )
    trainer.fit(module, loader)
    print(f"{len(module.losses)} steps, loss {module.losses[0]:.4f} to {module.losses[-1]:.4f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
