"""One loader over one small dataset, in a process of its own: ``loader_process.py NAME FOLDER EPOCHS``.

``prepare`` as a name writes what each format needs, from the JPEGs in ``FOLDER/images``. A loader goes
through its format ``EPOCHS`` times, with two workers and batches of 32, to float32 from -1 to 1, and prints
the CPU milliseconds a sample of each epoch, workers included. Started by ``loaders.py`` in an environment
that has all of these packages.
"""

from __future__ import annotations

import csv
import io
import json
import resource
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

BATCH, WORKERS = 32, 2
SAMPLES_A_SHARD = 500


def to_tensor(picture: Image.Image) -> torch.Tensor:
    """What each loader but this project's is given to do, with the usual means."""
    pixels = torch.from_numpy(np.array(picture.convert("RGB")))
    return pixels.permute(2, 0, 1).contiguous().float().div_(127.5).sub_(1)


def decoded(body: bytes) -> torch.Tensor:
    return to_tensor(Image.open(io.BytesIO(body)))


def prepare(folder: Path) -> None:
    """Every format of the same images and captions."""
    import datasets
    import litdata
    import streaming

    files = sorted((folder / "images").glob("*.jpg"))
    with open(folder / "pairs.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "caption"])
        writer.writerows((f"images/{path.name}", f"picture {path.stem}") for path in files)
    for start in range(0, len(files), SAMPLES_A_SHARD):
        with tarfile.open(folder / f"{start // SAMPLES_A_SHARD:05d}.tar", "w") as tar:
            for path in files[start : start + SAMPLES_A_SHARD]:
                tar.add(path, path.name)
                text = f"picture {path.stem}".encode()
                member = tarfile.TarInfo(f"{path.stem}.txt")
                member.size = len(text)
                tar.addfile(member, io.BytesIO(text))
    rows = [{"image": {"bytes": path.read_bytes(), "path": None}, "caption": path.stem} for path in files]
    features = datasets.Features({"image": datasets.Image(), "caption": datasets.Value("string")})
    datasets.Dataset.from_list(rows, features=features).save_to_disk(str(folder / "hf"))
    columns = {"image": "bytes", "caption": "str"}
    with streaming.MDSWriter(out=str(folder / "mds"), columns=columns) as mds:
        for path in files:
            mds.write({"image": path.read_bytes(), "caption": path.stem})
    litdata.optimize(
        fn=read_sample, inputs=[str(path) for path in files], output_dir=str(folder / "lit"),
        chunk_bytes="64MB", num_workers=1,
    )  # fmt: skip


def read_sample(path: str) -> dict[str, Any]:
    return {"image": Path(path).read_bytes(), "caption": Path(path).stem}


class PictureFolder(Dataset[tuple[torch.Tensor, str]]):
    """The least that one can write oneself."""

    def __init__(self, folder: Path):
        self.files = sorted((folder / "images").glob("*.jpg"))

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, str]:
        return to_tensor(Image.open(self.files[index])), self.files[index].stem


def pil_folder(folder: Path) -> Any:
    return DataLoader(PictureFolder(folder), BATCH, num_workers=WORKERS)


def hugging_face(folder: Path) -> Any:
    import datasets

    def transform(rows: dict[str, list[Any]]) -> dict[str, list[Any]]:
        return {"image": [to_tensor(picture) for picture in rows["image"]], "caption": rows["caption"]}

    dataset = datasets.load_from_disk(str(folder / "hf")).with_transform(transform)
    return DataLoader(dataset, BATCH, num_workers=WORKERS)


def web_dataset(folder: Path) -> Any:
    import webdataset

    tars = [str(path) for path in sorted(folder.glob("*.tar"))]
    dataset = webdataset.WebDataset(tars, shardshuffle=False).decode("pil").to_tuple("jpg", "txt")
    return DataLoader(dataset.map_tuple(to_tensor, str), BATCH, num_workers=WORKERS)


def lit_data(folder: Path) -> Any:
    import litdata

    # Without the package, as where types are checked, its class is of no known type.
    class Decoded(litdata.StreamingDataset):  # type: ignore[misc]
        def __getitem__(self, index: Any) -> Any:
            sample = super().__getitem__(index)
            return decoded(sample["image"]), sample["caption"]

    return litdata.StreamingDataLoader(Decoded(str(folder / "lit")), batch_size=BATCH, num_workers=WORKERS)


def mosaic(folder: Path) -> Any:
    import streaming

    # As above.
    class Decoded(streaming.StreamingDataset):  # type: ignore[misc]
        def __getitem__(self, index: Any) -> Any:
            sample = super().__getitem__(index)
            return decoded(sample["image"]), sample["caption"]

    return DataLoader(
        Decoded(local=str(folder / "mds"), batch_size=BATCH, shuffle=False), BATCH, num_workers=WORKERS
    )


TRANSFORM = {"resize": [256, 256], "normalize": True}


def own_list(folder: Path) -> Any:
    from img2dataset.training import ImageTextDataset, collate

    dataset = ImageTextDataset(folder / "pairs.csv", img_transform=TRANSFORM)
    return DataLoader(dataset, BATCH, num_workers=WORKERS, collate_fn=collate)


def own_tars(folder: Path) -> Any:
    from img2dataset.training import TarStream, collate

    dataset = TarStream(str(folder / "{00000..99999}.tar").replace("99999", last_tar(folder)),
                        img_transform=TRANSFORM)  # fmt: skip
    return DataLoader(dataset, BATCH, num_workers=WORKERS, collate_fn=collate)


def last_tar(folder: Path) -> str:
    return max(path.stem for path in folder.glob("*.tar"))


LOADERS: dict[str, Callable[[Path], Any]] = {
    "PIL, a folder": pil_folder,
    "Hugging Face datasets": hugging_face,
    "webdataset": web_dataset,
    "litData": lit_data,
    "MosaicML streaming": mosaic,
    "ImageTextDataset, a list": own_list,
    "TarStream": own_tars,
}


def cpu_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def main() -> None:
    name, folder, epochs = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    if name == "prepare":
        prepare(folder)
        return
    loader = LOADERS[name](folder)
    found = []
    for _ in range(epochs):
        before, samples = cpu_seconds(), 0
        for batch in loader:
            images = batch.get("img", batch.get("image")) if isinstance(batch, dict) else batch[0]
            assert images.dtype == torch.float32
            assert images.shape[1:] == (3, 256, 256)
            samples += len(images)
        found.append((samples, (cpu_seconds() - before) * 1000 / samples))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
