"""A stand-in for a model that describes pictures: it tells their colour, brightness and shape.

    cd examples
    img2dataset caption /path/to/images --captioner captioner:Captioner

Then train on the folder: ``ImageTextDataset("/path/to/images")`` reads the captions. In place of the words
below, load a model in ``__init__`` and call it with the pictures, for example a pipeline of transformers:

    self.model = transformers.pipeline("image-to-text", model="Salesforce/blip-image-captioning-base")
    ...
    return [answers[0]["generated_text"] for answers in self.model(pictures)]
"""

from __future__ import annotations

from PIL import Image

COLOURS = {
    "red": (200, 40, 40),
    "green": (40, 170, 60),
    "blue": (50, 80, 200),
    "yellow": (220, 210, 60),
    "grey": (128, 128, 128),
}


class Captioner:
    """Made once, then called with several pictures at a time."""

    def __call__(self, pictures: list[Image.Image]) -> list[str]:
        return [self.describe(picture) for picture in pictures]

    def describe(self, picture: Image.Image) -> str:
        """One sentence about a picture."""
        pixel = picture.resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))
        assert isinstance(pixel, tuple)
        colour = min(
            COLOURS, key=lambda name: sum((a - b) ** 2 for a, b in zip(pixel, COLOURS[name], strict=True))
        )
        light = "bright" if sum(pixel) > 450 else "dark" if sum(pixel) < 250 else "plain"
        shape = (
            "wide"
            if picture.width > picture.height
            else "tall"
            if picture.width < picture.height
            else "square"
        )
        return f"a {light}, {shape} picture, mostly {colour}"
