"""torchdata's StatefulDataLoader: training stops in the middle of an epoch, and goes on with the rows left.

    pip install 'img2dataset[training]' torchdata
    python examples/frameworks/torchdata_stateful.py pairs.csv cache

``pairs.csv`` has the columns ``url`` and ``caption``. The sampler keeps the place, and says it to the loader.
"""

from __future__ import annotations

import sys

from torchdata.stateful_dataloader import StatefulDataLoader

from img2dataset.training import ImageTextDataset, ShuffleSampler, collate


def loader_of(url_list: str, cache: str) -> StatefulDataLoader:
    """Batches of four, by two workers."""
    dataset = ImageTextDataset(
        url_list, img_transform={"resize": [64, 64], "horizontal_flip": 0.5}, cache=cache, seed=0
    )
    return StatefulDataLoader(
        dataset, batch_size=4, sampler=ShuffleSampler(dataset), num_workers=2, collate_fn=collate
    )


def main(url_list: str, cache: str) -> None:
    """Take three batches, stop, and take the rest with another loader."""
    loader = loader_of(url_list, cache)
    before: list[int] = []
    state = loader.state_dict()
    for step, batch in enumerate(loader):
        before += batch["index"]
        if step == 2:
            state = loader.state_dict()
            break
    loader = loader_of(url_list, cache)
    loader.load_state_dict(state)
    after = [row for batch in loader for row in batch["index"]]
    rows = sorted(before + after)
    each_once = rows == list(range(len(loader.dataset)))
    print(f"{len(before)} rows, then {len(after)}; each once: {each_once}")


if __name__ == "__main__":
    main(*sys.argv[1:])
