"""diffusers with accelerate: a small UNet learns to take noise away, over a list of URLs, in buckets.

    pip install 'img2dataset[training]' diffusers accelerate
    python examples/frameworks/diffusers_accelerate.py pairs.csv cache
    torchrun --standalone --nproc-per-node 2 examples/frameworks/diffusers_accelerate.py pairs.csv cache

``pairs.csv`` has the columns ``url`` and ``caption``. Batches hold one size; accelerate divides them among
the ranks, which needs them to be full (``remainder="fill"``).
"""

from __future__ import annotations

import sys

import torch
from accelerate import Accelerator
from diffusers import DDPMScheduler, UNet2DModel
from torch.utils.data import DataLoader

from img2dataset.training import Buckets, BucketSampler, ImageTextDataset, collate


def main(url_list: str, cache: str) -> None:
    """Two epochs; the second makes no request."""
    accelerator = Accelerator(cpu=True)
    dataset = ImageTextDataset(
        url_list,
        buckets=Buckets([(64, 64), (48, 64), (64, 48)]),
        img_transform={"normalize": True},
        cache=cache,
        seed=0,
    )
    sampler = BucketSampler(dataset, 2, remainder="fill")
    loader = DataLoader(dataset, batch_sampler=sampler, collate_fn=collate)
    model = UNet2DModel(
        block_out_channels=(16, 32),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "UpBlock2D"),
        norm_num_groups=8,
    )
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
    model, optimizer, loader = accelerator.prepare(model, optimizer, loader)
    noise_of = DDPMScheduler(num_train_timesteps=100)
    steps, sizes = 0, set()
    for _ in range(2):
        for batch in loader:
            images = batch["img"]
            noise = torch.randn_like(images)
            times = torch.randint(0, 100, (len(images),), device=images.device)
            found = model(noise_of.add_noise(images, noise, times), times).sample
            accelerator.backward(torch.nn.functional.mse_loss(found, noise))
            optimizer.step()
            optimizer.zero_grad()
            steps += 1
            sizes.add(tuple(images.shape[2:]))
    print(f"rank {accelerator.process_index}: {steps} steps, sizes {sorted(sizes)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
