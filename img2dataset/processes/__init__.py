"""A Python child process: start it, feed it, hear it, bury it. It knows nothing of what the others do.

``child``: seen from the program. ``parent``: seen from the child. ``frames``: the messages between them.
"""

from img2dataset.processes.child import Child, Ended, Heard, Program, bury, next_heard
from img2dataset.processes.parent import Parent, end_process, join_parent

__all__ = ["Child", "Ended", "Heard", "Parent", "Program", "bury", "end_process", "join_parent", "next_heard"]
