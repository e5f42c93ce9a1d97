"""The version, in a file that imports nothing, so that packaging can read it."""

__version__ = "2.0.0"
PROJECT_ADDRESS = "https://github.com/rom1504/img2dataset"
