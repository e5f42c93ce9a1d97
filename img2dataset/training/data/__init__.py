"""Datasets of rows that are there: ``lists`` (any list → rows by number), ``datasets`` and
``metadata_dataset`` (rows → samples), ``shards`` (finished outputs read back), ``preview``.

Works on ``load`` and ``batch``.
"""
