"""Storage: what every room that reads or writes files needs of a file system, and nothing of what is in them.

Called by ``reading``, ``fetching``, ``writing``, ``verifying`` and ``training``; knows none of them.

Reading order: ``locations`` (a path on any file system), ``retries`` (what a store may do again), ``moving``,
``runs`` and ``temporaries`` (whose leftovers may go), ``locks``.
"""
