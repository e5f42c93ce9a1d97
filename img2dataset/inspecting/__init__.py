"""What is in a dataset: its counts and columns, a few of its rows and images, and all that is known of one.

``open_dataset`` opens a folder; ``gather`` gives its facts, ``sample_images`` images chosen by a seed,
``find_sample`` one sample. ``img2dataset inspect`` prints them. Nothing is written.
"""

from img2dataset.inspecting.dataset import Dataset, open_dataset
from img2dataset.inspecting.facts import Column, DatasetFacts, FailureCount, gather
from img2dataset.inspecting.one_sample import FoundSample, find_sample
from img2dataset.inspecting.sampled_images import SampledImage, sample_images

__all__ = [
    "Column",
    "Dataset",
    "DatasetFacts",
    "FailureCount",
    "FoundSample",
    "SampledImage",
    "find_sample",
    "gather",
    "open_dataset",
    "sample_images",
]
