"""The main function of a checking process: shards come in on standard input, checks go out on standard
output.

Started by ``processes``. It ends by itself when its parent is gone, whose end of the pipe then closes.
"""

from __future__ import annotations

import os
import pickle
import signal

from img2dataset.errors import Img2datasetError
from img2dataset.verifying.checking import check_shard
from img2dataset.verifying.report import ShardCheck


def main() -> None:
    """Serve one verification. The first message is the ``CheckSettings``."""
    # A Ctrl-C in the terminal reaches the whole group; the parent ends its processes.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    incoming = os.fdopen(os.dup(0), "rb")
    outgoing = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints is no answer
    try:
        settings = pickle.load(incoming)
        while True:
            shard = pickle.load(incoming)
            answer: ShardCheck | Img2datasetError
            try:
                answer = check_shard(settings, shard)
            except Img2datasetError as error:
                answer = error
            pickle.dump(answer, outgoing)
            outgoing.flush()
    except (EOFError, BrokenPipeError):
        # The parent has no more, or is gone; what a library still does must not hold the process.
        os._exit(0)
