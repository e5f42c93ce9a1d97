"""``python -m img2dataset``: the command line."""

from img2dataset.cli import main

main()
