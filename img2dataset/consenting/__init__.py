"""What was said of training of a finished dataset: counted, asked again, taken out, summed up for the AI Act.

``counting`` counts what was honoured and seen; ``rechecking`` asks sites again and ``removing`` takes rows
out of shards; ``domains``, ``crawlers`` and ``eu_summary`` fill in the AI Office's template. ``command`` is
``img2dataset consent``.
"""
