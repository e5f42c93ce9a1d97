"""From samples to batches: ``buckets`` of image sizes, ``sampling``, ``collation``, ``features`` that a model
computed once, and ``device_dataset`` for what fits on a GPU. Works on ``load``; called by ``data`` and
``streaming``.
"""
