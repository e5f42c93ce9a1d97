"""``img2dataset watch OUTPUT``: words come in, a page on loopback is served until it is ended.

Called by the command line.
"""

from __future__ import annotations

import argparse
import signal
import threading

from img2dataset.command_words import CommandWords, refused, say
from img2dataset.errors import Img2datasetError, OptionError, OutputError, one_line
from img2dataset.status.dashboard import open_page
from img2dataset.status.folder_status import folder_status

_PAGE = """\
usage: img2dataset watch OUTPUT [--port PORT]

A page in the browser that shows a run while it goes on, or one that has ended:
progress, speed, failures, hosts, findings, the latest images. From any machine
that sees the output folder, of every engine; it reads only. The page is served
to this machine alone, at the address that is printed; over ssh:
ssh -L PORT:127.0.0.1:PORT the-machine. Ctrl-C ends it.

  OUTPUT  the output folder, on any fsspec file system
  --port  of the page; one that is free if not given, or if it is taken

Exit status: 0 when ended, 1 where OUTPUT cannot be read or has nothing of a
run, 2 for wrong usage."""


def run(words: list[str]) -> int:
    """Serve the page of the folder that the words name; ``words``: those after ``watch``.

    Returns:
        The exit status: 0, 1 where there is nothing to show, 2 for wrong usage.
    """
    ended = threading.Event()
    try:
        asked = _parser().parse_args(words)
        if asked.help:
            return say(_PAGE)
        if asked.output is None:
            raise OptionError("watch needs the output folder; img2dataset watch --help says how it is used")
        if not 0 <= asked.port <= 65535:
            raise OptionError(f"--port is {asked.port}; it takes a whole number from 0 to 65535")
        folder_status(asked.output)  # a folder that was mistyped is told at once
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda *_: ended.set())
        try:
            page = open_page(asked.output, asked.port)
        except OSError as error:
            raise OutputError(f"the page cannot be served on 127.0.0.1: {one_line(error)}") from error
    except Img2datasetError as error:
        return refused(error)
    say(f"{page.url}\nCtrl-C ends it")
    ended.wait()
    page.close()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = CommandWords("watch")
    parser.add_argument("output", nargs="?")
    parser.add_argument("--port", type=int, default=0)
    return parser
