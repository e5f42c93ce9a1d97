"""A child for the tests: says what it is told, or does what its name says."""

from __future__ import annotations

import os
import time

from img2dataset.processes import Parent, end_process, join_parent


def main() -> None:
    """Answer until told to end."""
    parent: Parent[str, str] = join_parent()
    while True:
        message = parent.hear()
        if message == "end":
            end_process()
        elif message == "die":
            os._exit(3)
        elif message == "sleep":
            time.sleep(600)
        elif message == "print":
            print("this is no message", flush=True)
        elif message == "break":
            parent.start_vital_thread("heart", lambda: [][0], lambda why: f"last: {why}")
        elif message == "environment":
            descriptor = int(os.environ["ECHO_DESCRIPTOR"])
            parent.say(os.pread(descriptor, 100, 0).decode())
        else:
            parent.say(message)
