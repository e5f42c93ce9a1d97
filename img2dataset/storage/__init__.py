"""Storage: what every room that reads or writes files needs of a file system, and nothing of what is in them.

Called by ``reading``, ``fetching``, ``formats``, ``working``, ``verifying`` and ``training``, and knows none.

Reading order: ``schemes`` (which package a scheme needs) and ``locations`` (a path on any file system);
``retries`` (what a store may do again); ``putting`` (files put whole, or only where nothing stands),
``notes``, ``folders`` (listing, removing) and ``moving``; ``runs`` and ``temporaries`` (whose leftovers may
go); ``locks``, and ``inherited`` (files that the workers of a run inherit).
"""
