"""From samples to batches: ``buckets`` of image sizes, ``sampling``, ``collation``, and
``features`` that a model computed once. Works on ``load``; called by ``data`` and ``streaming``.
"""
