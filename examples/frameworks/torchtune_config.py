"""torchtune: the dataset stands in a recipe's YAML, and is made by ``config.instantiate``.

    pip install 'img2dataset[training]' torchtune torchao==0.13.0 torchvision
    python examples/frameworks/torchtune_config.py pairs.csv cache

``pairs.csv`` has the columns ``url`` and ``caption``.
"""

from __future__ import annotations

import sys

from omegaconf import OmegaConf
from torch.utils.data import DataLoader
from torchtune import config

from img2dataset.training import collate

RECIPE = """
dataset:
  _component_: img2dataset.training.ImageTextDataset
  path: {url_list}
  cache: {cache}
  img_transform: {{resize: [64, 64], horizontal_flip: 0.5, normalize: true}}
  caption_transform: {{drop: 0.1, prefix: "a photograph: "}}
  seed: 0
sampler:
  _component_: img2dataset.training.ShuffleSampler
  seed: 0
batch_size: 4
"""


def main(url_list: str, cache: str) -> None:
    """One epoch, as a recipe goes through it."""
    recipe = OmegaConf.create(RECIPE.format(url_list=url_list, cache=cache))
    dataset = config.instantiate(recipe.dataset)
    sampler = config.instantiate(recipe.sampler, dataset=dataset)
    loader = DataLoader(dataset, batch_size=recipe.batch_size, sampler=sampler, collate_fn=collate)
    rows = 0
    for batch in loader:
        assert batch["img"].shape[1:] == (3, 64, 64)
        rows += len(batch["caption"])
    print(f"{rows} rows")


if __name__ == "__main__":
    main(*sys.argv[1:])
